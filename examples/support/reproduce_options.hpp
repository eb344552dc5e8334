#pragma once

#include <string>

#include "support/table_plan.hpp"

// The command line of reproduce.

namespace experiment {

struct ReproduceOptions {
  TableRequest request;
  bool dry_run = false;
  bool print_config = false;
  std::string command;  ///< the command line as a shell takes it
};

/// `reproduce TABLE --dataset S OPTION...`: the options of the table, and those of the
/// training program of the data set that the table leaves open. `--help` and mistakes
/// end the program with 0 and 2.
void parse_reproduce(ReproduceOptions& options, int argc, char** argv);

}  // namespace experiment
