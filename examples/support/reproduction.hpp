#pragma once

#include <functional>
#include <string>

#include "support/result_table.hpp"
#include "support/table_plan.hpp"

// A table of the paper, run by run.

namespace experiment {

struct Reproduction {
  TableRequest request;
  TablePlan plan;
  std::string command;  ///< as it was given, for the files
};

/// The results that are there, with what others have published beside them.
ResultTable results(const Reproduction& reproduction);

/// Says which runs are done, to be resumed and to be run, how long the rest may take
/// where a finished run tells it, and what the data holds. Trains nothing.
void tell_plan(const Reproduction& reproduction);

/// Does what is missing, and writes the files of the table after each run. Throws
/// `trmml::Interrupted` when `should_stop` says so, `program::UsageError` before
/// anything is run for a folder whose run had other options.
void reproduce(
    const Reproduction& reproduction,
    const std::function<bool()>& should_stop);

}  // namespace experiment
