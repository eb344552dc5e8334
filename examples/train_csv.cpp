// One method on data of one's own, with every option.
//
//   train_csv --dataset csv --data train.csv --test-data test.csv --clip F --out RUN
//   train_csv --config RUN/config.toml --resume      after a kill or a signal
//
// leaves in RUN what docs/run_folder.md describes.

#include "support/train_program.hpp"

int main(int argc, char** argv) {
  return experiment::train_main("train_csv", argc, argv);
}
