#pragma once

#include <string>
#include <vector>

#include "support/run_options.hpp"

// The one code path of train_coco and its sisters.

namespace experiment {

/// What one training program is.
struct TrainProgram {
  const char* name;
  const char* description;
  std::vector<std::string> data_sets;  ///< of `data_set::names()`
  Defaults defaults;
};

/// Parses the command line, trains, and leaves in --out what docs/run_folder.md
/// describes. Returns the exit status.
int train_main(const TrainProgram& program, int argc, char** argv);

}  // namespace experiment
