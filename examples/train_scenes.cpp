// One method on FashionScenes with every option.
//
//   train_scenes --known-label-proportion 0.05 --out runs/trm-ml
//   train_scenes --method text-pixel --epochs 30
//   train_scenes --out runs/trm-ml --resume      after a kill or a signal
//
// prints a line an epoch; leaves in --out what docs/run_folder.md describes:
// report.json, report.html, config.toml, metrics.jsonl, event files for TensorBoard,
// the state last.safetensors and the chosen weights best.safetensors.

#include "support/train_program.hpp"

int main(int argc, char** argv) {
  return experiment::train_main("train_scenes", argc, argv);
}
