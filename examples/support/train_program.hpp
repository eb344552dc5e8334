#pragma once

#include <string>

// The mains of train_coco and its sisters.

namespace experiment {

/// Parses the command line of the training program `name` (`train_program`), trains,
/// and leaves in --out what docs/run_folder.md describes. Returns the exit status.
int train_main(const std::string& name, int argc, char** argv);

}  // namespace experiment
