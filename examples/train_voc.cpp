// One method on PASCAL VOC2007 or VOC2012, with every option.
//
//   train_voc --dataset voc2007 --data D --clip F --out RUN
//   train_voc --config RUN/config.toml --resume      after a kill or a signal
//
// leaves in RUN what docs/run_folder.md describes.

#include "support/train_program.hpp"

int main(int argc, char** argv) {
  return experiment::train_main("train_voc", argc, argv);
}
