#include "support/ablation_table.hpp"

#include "trmml/method/ablation.hpp"

#include <utility>

#include "support/mean_deviation.hpp"

namespace experiment {
namespace {

using trmml::report::RunReport;

// Mean and standard deviation of the test mAP over seeds, on the last seed's report.
RunReport summary(const std::vector<RunReport>& runs) {
  std::vector<double> mAP;
  for (const RunReport& run : runs) {
    mAP.push_back(run.mAP);
  }
  const MeanDeviation over_seeds = mean_deviation(mAP);
  RunReport row = runs.back();
  row.runs = over_seeds.count;
  row.mAP = over_seeds.mean;
  row.mAP_sd = over_seeds.deviation;
  return row;
}

trmml::report::Series curve(const RunResult& result) {
  trmml::report::Series series{result.report.method, {}, {}};
  for (const trmml::report::EpochMetrics& metrics : result.report.history) {
    series.x.push_back(static_cast<double>(metrics.epoch));
    series.y.push_back(metrics.held_out_mAP);
  }
  return series;
}

}  // namespace

std::vector<std::string> table_methods(
    const RunOptions& options,
    const std::string& method) {
  const Protocol& protocol = options.protocol;
  if (method != "all") {
    RunOptions run = options;
    run.method = method;
    check(CLI::App(), run);
    return {method};
  }
  std::vector<std::string> names;
  for (const auto& [name, switches] : trmml::methods()) {
    const bool needs_unknown = switches.pseudo_labels;
    if (is_defined(name, protocol) && !(needs_unknown && protocol.hides_nothing())) {
      names.push_back(name);
    }
  }
  return names;
}

bool is_control(const std::string& method) {
  return trmml::method_switches(method).zero_shot_at_test;
}

Table make_table(
    World& world,
    const TableOptions& options,
    const RunCallbacks& callbacks,
    const std::function<void(const RunReport&)>& row_done) {
  Table table;
  table.curves = {
      "mAP on held-out pictures", "epoch", "mAP (%)", {}, /*y_in_percent=*/true};
  std::vector<RunReport> rows;
  std::vector<RunResult> bases;  // of the control, one a seed
  for (const auto& name : table_methods(options.run, options.method)) {
    std::vector<RunReport> runs;
    for (int64_t seed = 0; seed < options.seeds; ++seed) {
      RunOptions run_options = options.run;
      run_options.method = name;
      run_options.seed = static_cast<uint64_t>(seed);
      const auto index = static_cast<size_t>(seed);
      RunResult result =
          run(world,
              run_options,
              callbacks,
              is_control(name) && index < bases.size() ? &bases[index] : nullptr);
      if (name == kBaseOfControl) {
        bases.push_back(result);
      }
      runs.push_back(result.report);
      if (result.model) {
        table.trained = std::move(result);
      }
    }
    rows.push_back(summary(runs));
    row_done(rows.back());
    if (table.trained && table.trained->report.method == name) {
      table.curves.series.push_back(curve(*table.trained));
    }
  }
  table.report = rows.back();
  table.report.rows = std::move(rows);
  return table;
}

}  // namespace experiment
