// One method on MS-COCO 2014 or 2017, with every option.
//
//   train_coco --dataset coco2014 --data D --clip F --out RUN
//   train_coco --config RUN/config.toml --resume      after a kill or a signal
//
// leaves in RUN what docs/run_folder.md describes.

#include "support/train_program.hpp"

int main(int argc, char** argv) {
  return experiment::train_main("train_coco", argc, argv);
}
