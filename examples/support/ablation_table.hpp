#pragma once

#include "trmml/report/html_report.hpp"
#include "trmml/report/run_report.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "support/experiment.hpp"

// The table of the ablation: several methods, several seeds each.

namespace experiment {

struct TableOptions {
  RunOptions run;              ///< of every row, but for method and seed
  std::string method = "all";  ///< one by its name, or all
  int64_t seeds = 1;           ///< runs a method, with seeds 0, 1, ...
};

/// The rows: one method, or all that the protocol defines and that differ from another
/// row under it. Throws `program::UsageError` as `check` does.
std::vector<std::string> table_methods(const TableOptions& options);

/// What the table's runs have shown.
struct Table {
  trmml::report::RunReport report;   ///< of the last row, with all `rows`
  trmml::report::LineChart curves;   ///< held-out mAP of each row's last seed
  std::optional<RunResult> trained;  ///< the last run that has a model
};

/// Runs every row; `row_done` is told mean and deviation over the seeds of each.
Table make_table(
    World& world,
    const TableOptions& options,
    const RunCallbacks& callbacks,
    const std::function<void(const trmml::report::RunReport&)>& row_done);

}  // namespace experiment
