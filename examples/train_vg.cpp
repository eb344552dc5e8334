// One method on Visual Genome, VG-200 or VG-256, with every option.
//
//   train_vg --dataset vg200 --data D --clip F --known-label-proportion 0.1 --out RUN
//   train_vg --config RUN/config.toml --resume      after a kill or a signal
//
// leaves in RUN what docs/run_folder.md describes.

#include "support/train_program.hpp"

int main(int argc, char** argv) {
  return experiment::train_main("train_vg", argc, argv);
}
