// One method on NUS-WIDE, with every option.
//
//   train_nus --data D --clip F --known-label-proportion 0.1 --out RUN
//   train_nus --config RUN/config.toml --resume      after a kill or a signal
//
// leaves in RUN what docs/run_folder.md describes.

#include "support/train_program.hpp"

int main(int argc, char** argv) {
  return experiment::train_main("train_nus", argc, argv);
}
