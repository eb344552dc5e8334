// One method on the attributes of CUB-200-2011, with every option.
//
//   train_cub --data D --clip F --known-label-proportion 0.1 --out RUN
//   train_cub --config RUN/config.toml --resume      after a kill or a signal
//
// leaves in RUN what docs/run_folder.md describes.

#include "support/train_program.hpp"

int main(int argc, char** argv) {
  return experiment::train_main("train_cub", argc, argv);
}
