#include "trmml/report/run_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string_view>
#include <utility>

#include "html_parts.hpp"

// What report.html shows of a run.

namespace trmml::report {

namespace {

std::string in_percent(double fraction) {
  return std::isnan(fraction) ? "-" : percent(fraction) + " %";
}

// "78.4", over several seeds "78.4 +- 0.3" (with the true sign).
std::string mAP_text(const RunReport& report) {
  return report.runs > 1
             ? fmt::format("{} \u00b1 {}", percent(report.mAP), percent(report.mAP_sd))
             : percent(report.mAP);
}

std::string labels_text(const RunReport& report) {
  return report.known_label_proportion
             ? fmt::format(
                   "{:g} % known labels", 100.0 * *report.known_label_proportion)
             : report.protocol;
}

// 12345678 as "12,345,678".
std::string grouped(std::int64_t value) {
  std::string digits = std::to_string(value);
  const std::size_t first = value < 0 ? 1 : 0;
  for (std::size_t i = digits.size(); i > first + 3; i -= 3) {
    digits.insert(i - 3, 1, ',');  // one char: a literal warns falsely in g++ 12
  }
  return digits;
}

std::vector<std::pair<std::string, std::string>> result_facts(const RunReport& report) {
  std::vector<std::pair<std::string, std::string>> facts = {
      {"mAP (" + report.average_precision_definition + ")",
       std::isnan(report.mAP) ? "-" : mAP_text(report) + " %"}};
  for (const auto& [name, value] : report.mAP_by_definition) {
    if (name != report.average_precision_definition) {
      facts.emplace_back("mAP (" + name + ")", in_percent(value));
    }
  }
  const std::string at = fmt::format(" at {:g}", report.threshold);
  const evaluation::MultilabelMetrics& metrics = report.at_threshold;
  facts.emplace_back("CF1 of means" + at, in_percent(metrics.CF1_of_means));
  facts.emplace_back(
      "CF1 mean of classes" + at, in_percent(metrics.CF1_mean_of_classes));
  facts.emplace_back("OF1" + at, in_percent(metrics.OF1));
  if (report.top_k > 0) {
    const std::string top = fmt::format(" at top {}", report.top_k);
    facts.emplace_back("CF1 of means" + top, in_percent(report.at_top_k.CF1_of_means));
    facts.emplace_back("OF1" + top, in_percent(report.at_top_k.OF1));
  }
  if (!std::isnan(report.mAP_best_on_test)) {
    facts.emplace_back("mAP, best on test", in_percent(report.mAP_best_on_test));
  }
  return facts;
}

std::vector<std::pair<std::string, std::string>> run_facts(const RunReport& report) {
  std::vector<std::pair<std::string, std::string>> facts = {{"Method", report.method}};
  facts.emplace_back("Split", report.split);
  facts.emplace_back("Known entries", grouped(report.known_entries));
  if (!report.unreadable.empty()) {
    std::string counts;
    for (const auto& [part, count] : report.unreadable) {
      counts +=
          fmt::format("{}{} {}", counts.empty() ? "" : ", ", grouped(count), part);
    }
    facts.emplace_back("Unreadable pictures, left out", counts);
  }
  facts.emplace_back("Selected on", report.selected_on);
  if (report.held_out_mAP) {
    facts.emplace_back("Held-out mAP", in_percent(*report.held_out_mAP));
  }
  if (report.runs > 1) {
    facts.emplace_back("Runs (seeds)", std::to_string(report.runs));
  } else {
    facts.emplace_back("Seed", std::to_string(report.seed));
  }
  facts.emplace_back(
      "Epochs",
      std::to_string(report.epochs) + (report.stopped_early ? ", stopped early" : ""));
  if (report.best_epoch) {
    facts.emplace_back("Epoch chosen, from 0", std::to_string(*report.best_epoch));
  }
  facts.emplace_back("Training time", fmt::format("{:.0f} s", report.seconds));
  facts.emplace_back("Mask digest", report.mask_digest);
  for (const auto& [name, value] : report.settings) {
    facts.emplace_back("Setting " + name, fmt::format("{:.10g}", value));
  }
  std::erase_if(facts, [](const auto& fact) { return fact.second.empty(); });
  return facts;
}

std::vector<std::pair<std::string, std::string>> environment_facts(
    const RunReport& report) {
  std::vector<std::pair<std::string, std::string>> facts = {
      {"trmml", report.trmml_version}, {"LibTorch", report.torch_version}};
  facts.insert(facts.end(), report.environment.begin(), report.environment.end());
  std::erase_if(facts, [](const auto& fact) { return fact.second.empty(); });
  return facts;
}

BarChart methods_chart(const std::vector<RunReport>& rows) {
  BarChart chart;
  chart.title = "mAP of each method (%)";
  for (const RunReport& row : rows) {
    chart.bars.push_back({row.method, row.mAP});
  }
  return chart;
}

BarChart classes_chart(const RunReport& report) {
  BarChart chart;
  chart.title = "Average precision (%), best category first";
  for (const auto& [name, value] : report.per_class_AP) {
    chart.bars.push_back({name, value});
  }
  // NaN (a category that could not be evaluated) last.
  std::stable_sort(
      chart.bars.begin(), chart.bars.end(), [](const Bar& a, const Bar& b) {
        return std::isnan(b.value) ? !std::isnan(a.value) : a.value > b.value;
      });
  return chart;
}

// A curve over the epochs; NaN where `value_of` has none.
template <typename ValueOf>
Series
curve(const std::vector<EpochMetrics>& history, std::string name, ValueOf&& value_of) {
  Series series{std::move(name), {}, {}};
  for (const EpochMetrics& metrics : history) {
    series.x.push_back(static_cast<double>(metrics.epoch));
    series.y.push_back(value_of(metrics));
  }
  return series;
}

bool has_values(const Series& series) {
  return std::any_of(
      series.y.begin(), series.y.end(), [](double y) { return !std::isnan(y); });
}

void add_if_any(LineChart& chart, Series series) {
  if (has_values(series)) {
    chart.series.push_back(std::move(series));
  }
}

LineChart mAP_chart(const std::vector<EpochMetrics>& history) {
  LineChart chart{"mAP after each epoch", "epoch", "%", {}, /*y_in_percent=*/true};
  add_if_any(chart, curve(history, "held out", [](const EpochMetrics& m) {
               return m.held_out_mAP;
             }));
  add_if_any(
      chart,
      curve(history, "held out, weights not averaged", [](const EpochMetrics& m) {
        return m.held_out_mAP_raw;
      }));
  add_if_any(chart, curve(history, "test, for comparison", [](const EpochMetrics& m) {
               return m.test_mAP.value_or(EpochMetrics::kNone);
             }));
  return chart;
}

LineChart rate_chart(const std::vector<EpochMetrics>& history) {
  LineChart chart{"Learning rate at each epoch's end", "epoch", "", {}};
  add_if_any(chart, curve(history, "prompts", [](const EpochMetrics& m) {
               return m.learning_rate;
             }));
  return chart;
}

// The total first, then the terms in the order in which they were reported.
std::vector<std::string> loss_names(const std::vector<EpochMetrics>& history) {
  std::vector<std::string> names;
  for (const EpochMetrics& metrics : history) {
    for (const auto& [name, value] : metrics.losses) {
      if (std::find(names.begin(), names.end(), name) == names.end()) {
        names.push_back(name);
      }
    }
  }
  std::stable_partition(
      names.begin(), names.end(), [](const auto& name) { return name == "total"; });
  return names;
}

// Terms differ by powers of ten, so each is seen best on a logarithmic axis.
LineChart loss_chart(const std::vector<EpochMetrics>& history) {
  LineChart chart{"Loss, mean of each epoch", "epoch", "", {}};
  chart.y_in_log = true;
  for (const std::string& name : loss_names(history)) {
    add_if_any(chart, curve(history, name, [&name](const EpochMetrics& metrics) {
                 const auto& losses = metrics.losses;
                 const auto found =
                     std::find_if(losses.begin(), losses.end(), [&](const auto& loss) {
                       return loss.first == name;
                     });
                 return found == losses.end() ? EpochMetrics::kNone : found->second;
               }));
  }
  return chart;
}

std::vector<LineChart> training_charts(const std::vector<EpochMetrics>& history) {
  std::vector<LineChart> charts = {
      mAP_chart(history), loss_chart(history), rate_chart(history)};
  std::erase_if(charts, [](const LineChart& chart) { return chart.series.empty(); });
  return charts;
}

std::vector<LineChart> pseudo_label_charts(const std::vector<EpochMetrics>& history) {
  LineChart quality{"Quality against the hidden labels", "epoch", "%", {}, true};
  LineChart coverage{"Unknown entries that got a label", "epoch", "%", {}, true};
  using Quality = evaluation::PseudoLabelQuality;
  const auto add = [&](LineChart& chart, std::string name, double Quality::*field) {
    add_if_any(chart, curve(history, std::move(name), [&](const EpochMetrics& metrics) {
                 return metrics.pseudo_labels ? *metrics.pseudo_labels.*field
                                              : EpochMetrics::kNone;
               }));
  };
  add(quality, "precision, present", &Quality::positive_precision);
  add(quality, "recall, present", &Quality::positive_recall);
  add(quality, "precision, absent", &Quality::negative_precision);
  add(quality, "recall, absent", &Quality::negative_recall);
  add(coverage, "coverage", &Quality::coverage);
  std::vector<LineChart> charts = {std::move(quality), std::move(coverage)};
  std::erase_if(charts, [](const LineChart& chart) { return chart.series.empty(); });
  return charts;
}

void add_charts(
    HtmlReport& html,
    std::string_view heading,
    const std::vector<LineChart>& charts) {
  if (charts.empty()) {
    return;
  }
  html.add_section(heading);
  for (const LineChart& chart : charts) {
    html.add_line_chart(chart);
  }
}

}  // namespace

Table ablation_table(const std::vector<RunReport>& rows) {
  Table table;
  table.header = {"Method", "mAP", "CF1", "OF1", "Known entries", "Epochs", "Seconds"};
  std::size_t best = rows.size();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const RunReport& row = rows[i];
    table.rows.push_back(
        {row.method,
         mAP_text(row),
         percent(row.at_threshold.CF1_of_means),
         percent(row.at_threshold.OF1),
         grouped(row.known_entries),
         std::to_string(row.epochs),
         fmt::format("{:.0f}", row.seconds)});
    if (!std::isnan(row.mAP) && (best == rows.size() || row.mAP > rows[best].mAP)) {
      best = i;
    }
  }
  if (best < rows.size()) {
    table.emphasised = {best};
    table.caption = fmt::format(
        "In percent. mAP: {}. CF1 (of means) and OF1 at threshold {:g}.",
        rows.front().average_precision_definition,
        rows.front().threshold);
  }
  return table;
}

HtmlReport html_report(const RunReport& report) {
  HtmlReport html(
      fmt::format("{} on {}", report.method, report.dataset), labels_text(report));
  html.add_facts(result_facts(report)).add_section("Run").add_facts(run_facts(report));
  if (!report.rows.empty()) {
    html.add_section("Methods");
    html.add_table(ablation_table(report.rows)).add_bars(methods_chart(report.rows));
  }
  add_charts(html, "Training", training_charts(report.history));
  if (!report.per_class_AP.empty()) {
    html.add_section("Categories").add_bars(classes_chart(report));
  }
  add_charts(html, "Pseudo-labels", pseudo_label_charts(report.history));
  html.add_section("Environment").add_facts(environment_facts(report));
  return html;
}

}  // namespace trmml::report
