#include "support/ablation_table.hpp"

#include "trmml/method/ablation.hpp"

#include <cmath>
#include <utility>

#include "support/mean_deviation.hpp"

namespace experiment {
namespace {

using trmml::evaluation::MultilabelMetrics;
using trmml::report::RunReport;

// Over the seeds, of what `value_of` takes from a report.
template <typename ValueOf>
MeanDeviation over_seeds(const std::vector<RunReport>& runs, ValueOf value_of) {
  std::vector<double> values;
  for (const RunReport& run : runs) {
    values.push_back(static_cast<double>(value_of(run)));
  }
  return mean_deviation(values);
}

MultilabelMetrics mean_metrics(
    const std::vector<RunReport>& runs,
    MultilabelMetrics RunReport::*metrics) {
  using M = MultilabelMetrics;
  M mean;
  for (double M::*value :
       {&M::CP,
        &M::CR,
        &M::CF1_of_means,
        &M::CF1_mean_of_classes,
        &M::OP,
        &M::OR,
        &M::OF1}) {
    mean.*value =
        over_seeds(runs, [&](const auto& run) { return run.*metrics.*value; }).mean;
  }
  return mean;
}

using NamedNumbers = std::vector<std::pair<std::string, double>>;

NamedNumbers mean_numbers(
    const std::vector<RunReport>& runs,
    NamedNumbers RunReport::*numbers) {
  NamedNumbers means = runs.front().*numbers;
  for (size_t i = 0; i < means.size(); ++i) {
    means[i].second = over_seeds(runs, [&](const auto& run) {
                        return (run.*numbers)[i].second;
                      }).mean;
  }
  return means;
}

// The numbers of a row: means over the seeds. What has none (thresholds, epochs one by
// one, which labels were hidden) is left out; `seed` is the first.
RunReport summary(const std::vector<RunReport>& runs) {
  if (runs.size() == 1) {
    return runs.front();
  }
  const auto mean = [&runs](auto member) {
    return over_seeds(runs, [&](const auto& run) { return run.*member; }).mean;
  };
  const MeanDeviation mAP = over_seeds(runs, [](const auto& run) { return run.mAP; });
  RunReport row = runs.front();
  row.runs = mAP.count;
  row.mAP = mAP.mean;
  row.mAP_sd = mAP.deviation;
  row.mAP_by_definition = mean_numbers(runs, &RunReport::mAP_by_definition);
  row.per_class_AP = mean_numbers(runs, &RunReport::per_class_AP);
  row.at_threshold = mean_metrics(runs, &RunReport::at_threshold);
  row.at_top_k = mean_metrics(runs, &RunReport::at_top_k);
  row.held_out_mAP = over_seeds(runs, [](const auto& run) {
                       return run.held_out_mAP.value_or(RunReport::kNone);
                     }).mean;
  row.mAP_best_on_test = mean(&RunReport::mAP_best_on_test);
  row.known_entries = std::llround(mean(&RunReport::known_entries));
  row.epochs = std::llround(mean(&RunReport::epochs));
  row.seconds = mean(&RunReport::seconds);
  row.mask_digest.clear();
  row.settings.clear();
  row.thresholds.clear();
  row.best_epoch.reset();
  row.stopped_early = false;
  row.history.clear();
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
