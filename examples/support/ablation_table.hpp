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

/// The rows: `method`, or with "all" those that the protocol of `options` defines and
/// that differ from another row under it. Throws `program::UsageError` as `check` does.
std::vector<std::string> table_methods(
    const RunOptions& options,
    const std::string& method);

/// The control adds the zero-shot score to a trained method's: to the weights of this
/// row, so that it need not train again.
bool is_control(const std::string& method);
inline constexpr const char* kBaseOfControl = "region+distillation+contrastive";

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
