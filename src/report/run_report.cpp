#include "trmml/report/run_report.hpp"

#include "trmml/io/atomic_file.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

namespace trmml::report {

namespace {

using Json = nlohmann::ordered_json;

Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

Json numbers(const std::vector<double>& values) {
  Json list = Json::array();
  for (const double value : values) {
    list.push_back(number(value));
  }
  return list;
}

Json named_numbers(const std::vector<std::pair<std::string, double>>& values) {
  Json object = Json::object();
  for (const auto& [name, value] : values) {
    object[name] = number(value);
  }
  return object;
}

Json metrics_json(const evaluation::MultilabelMetrics& metrics) {
  return Json{
      {"CP", number(metrics.CP)},
      {"CR", number(metrics.CR)},
      {"CF1_of_means", number(metrics.CF1_of_means)},
      {"CF1_mean_of_classes", number(metrics.CF1_mean_of_classes)},
      {"OP", number(metrics.OP)},
      {"OR", number(metrics.OR)},
      {"OF1", number(metrics.OF1)},
      {"per_class_F1", numbers(metrics.per_class_F1)},
      {"skipped_without_positive", metrics.skipped_without_positive}};
}

Json pseudo_labels_json(const PseudoLabelRecord& record) {
  const evaluation::PseudoLabelQuality& quality = record.quality;
  return Json{
      {"epoch", record.epoch},
      {"positive_precision", number(quality.positive_precision)},
      {"positive_recall", number(quality.positive_recall)},
      {"negative_precision", number(quality.negative_precision)},
      {"negative_recall", number(quality.negative_recall)},
      {"coverage", number(quality.coverage)},
      {"unknown", quality.unknown},
      {"pseudo_positives", quality.pseudo_positives},
      {"pseudo_negatives", quality.pseudo_negatives}};
}

Json named_texts(const std::vector<std::pair<std::string, std::string>>& values) {
  Json object = Json::object();
  for (const auto& [name, value] : values) {
    object[name] = value;
  }
  return object;
}

Json interval_json(const evaluation::BootstrapInterval& interval) {
  return Json{
      {"low", number(interval.low)},
      {"high", number(interval.high)},
      {"standard_error", number(interval.standard_error)},
      {"confidence", interval.options.confidence},
      {"method", "percentile bootstrap over pictures"},
      {"average_precision_definition", to_string(interval.definition)},
      {"replicates", interval.options.replicates},
      {"replicates_without_category",
       interval.options.replicates -
           static_cast<std::int64_t>(interval.replicates.size())},
      {"seed", interval.options.seed}};
}

Json bins_json(const evaluation::Calibration& calibration) {
  Json bins = Json::array();
  for (const evaluation::CalibrationBin& bin : calibration.bins) {
    bins.push_back(
        {{"low", bin.low},
         {"high", bin.high},
         {"entries", bin.entries},
         {"mean_probability", number(bin.mean_probability)},
         {"fraction_present", number(bin.fraction_present)}});
  }
  return bins;
}

Json categories_json(const RunReport& report) {
  Json categories = Json::array();
  for (const CategoryRecord& category : report.categories) {
    Json json = {
        {"name", category.name},
        {"positives", category.positives},
        {"negatives", category.negatives}};
    for (std::size_t i = 0; i < evaluation::kApDefinitions.size(); ++i) {
      json["AP_" + to_string(evaluation::kApDefinitions[i])] = number(category.AP[i]);
    }
    json["precision"] = number(category.precision);
    json["recall"] = number(category.recall);
    json["F1"] = number(category.F1);
    categories.push_back(std::move(json));
  }
  return categories;
}

// What the training was, as far as the numbers depend on it.
void add_labels(const RunReport& report, Json& json) {
  if (report.known_label_proportion) {
    json["known_label_proportion"] = number(*report.known_label_proportion);
  }
  if (!report.protocol.empty()) {
    json["protocol"] = report.protocol;
  }
  json["seed"] = report.seed;
  json["known_entries"] = report.known_entries;
  json["mask_digest"] = report.mask_digest;
}

void add_training(const RunReport& report, Json& json) {
  json["selected_on"] = report.selected_on;
  if (!std::isnan(report.mAP_best_on_test)) {
    json["mAP_best_on_test"] = number(report.mAP_best_on_test);
  }
  json["epochs"] = report.epochs;
  json["seconds"] = number(report.seconds);
}

Json report_json(const RunReport& report) {
  const bool is_training = !report.method.empty();
  Json json;
  if (is_training) {
    json["method"] = report.method;
  }
  if (!report.files.empty()) {
    json["files"] = named_texts(report.files);
  }
  if (is_training || !report.dataset.empty()) {
    json["dataset"] = report.dataset;
    json["split"] = report.split;
  }
  if (is_training) {
    add_labels(report, json);
  }
  json["mAP"] = number(report.mAP);
  json["average_precision_definition"] = report.average_precision_definition;
  if (report.runs > 1) {
    json["runs"] = report.runs;
    json["mAP_sd"] = number(report.mAP_sd);
  }
  json["mAP_by_definition"] = named_numbers(report.mAP_by_definition);
  if (report.mAP_interval) {
    json["mAP_interval"] = interval_json(*report.mAP_interval);
  }
  json["per_class_AP"] = named_numbers(report.per_class_AP);
  if (!report.categories.empty()) {
    json["skipped_without_positive"] = report.skipped_without_positive;
    json["skipped_without_negative"] = report.skipped_without_negative;
  }
  json["CF1"] = number(report.at_threshold.CF1_of_means);
  json["CF1_definition"] = "of_means";
  json["CF1_by_definition"] = {
      {"of_means", number(report.at_threshold.CF1_of_means)},
      {"mean_of_classes", number(report.at_threshold.CF1_mean_of_classes)}};
  json["OF1"] = number(report.at_threshold.OF1);
  json["threshold"] = number(report.threshold);
  json["at_threshold"] = metrics_json(report.at_threshold);
  if (report.top_k > 0) {
    json["top_k"] = report.top_k;
    json["at_top_k"] = metrics_json(report.at_top_k);
  }
  if (report.calibration) {
    json["ECE"] = number(report.calibration->ECE);
    json["calibration_bins"] = bins_json(*report.calibration);
  }
  if (!report.categories.empty()) {
    json["categories"] = categories_json(report);
  }
  if (is_training) {
    add_training(report, json);
  }
  json["torch_version"] = report.torch_version;
  json["trmml_version"] = report.trmml_version;
  if (!report.environment.empty()) {
    json["environment"] = named_texts(report.environment);
  }
  if (!report.pseudo_labels.empty()) {
    Json history = Json::array();
    for (const PseudoLabelRecord& record : report.pseudo_labels) {
      history.push_back(pseudo_labels_json(record));
    }
    json["pseudo_labels"] = std::move(history);
  }
  if (!report.rows.empty()) {
    Json rows = Json::array();
    for (const RunReport& row : report.rows) {
      rows.push_back(report_json(row));
    }
    json["rows"] = std::move(rows);
  }
  return json;
}

std::string percent(double fraction) {
  return std::isnan(fraction) ? "-" : fmt::format("{:.1f}", 100.0 * fraction);
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
      {"mAP (" + report.average_precision_definition + ")", mAP_text(report) + " %"}};
  for (const auto& [name, value] : report.mAP_by_definition) {
    if (name != report.average_precision_definition) {
      facts.emplace_back("mAP (" + name + ")", percent(value) + " %");
    }
  }
  const std::string at = fmt::format(" at {:g}", report.threshold);
  const evaluation::MultilabelMetrics& metrics = report.at_threshold;
  facts.emplace_back("CF1 of means" + at, percent(metrics.CF1_of_means) + " %");
  facts.emplace_back(
      "CF1 mean of classes" + at, percent(metrics.CF1_mean_of_classes) + " %");
  facts.emplace_back("OF1" + at, percent(metrics.OF1) + " %");
  if (report.top_k > 0) {
    const std::string top = fmt::format(" at top {}", report.top_k);
    facts.emplace_back(
        "CF1 of means" + top, percent(report.at_top_k.CF1_of_means) + " %");
    facts.emplace_back("OF1" + top, percent(report.at_top_k.OF1) + " %");
  }
  if (!std::isnan(report.mAP_best_on_test)) {
    facts.emplace_back("mAP, best on test", percent(report.mAP_best_on_test) + " %");
  }
  return facts;
}

std::vector<std::pair<std::string, std::string>> run_facts(const RunReport& report) {
  std::vector<std::pair<std::string, std::string>> facts = {{"Method", report.method}};
  facts.emplace_back("Split", report.split);
  facts.emplace_back("Known entries", grouped(report.known_entries));
  facts.emplace_back("Selected on", report.selected_on);
  if (report.runs > 1) {
    facts.emplace_back("Runs (seeds)", std::to_string(report.runs));
  } else {
    facts.emplace_back("Seed", std::to_string(report.seed));
  }
  facts.emplace_back("Epochs", std::to_string(report.epochs));
  facts.emplace_back("Training time", fmt::format("{:.0f} s", report.seconds));
  facts.emplace_back("Mask digest", report.mask_digest);
  facts.emplace_back("trmml", report.trmml_version);
  facts.emplace_back("LibTorch", report.torch_version);
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

std::pair<LineChart, LineChart> pseudo_label_charts(
    const std::vector<PseudoLabelRecord>& history) {
  LineChart quality{"Quality against the hidden labels", "epoch", "%", {}, true};
  LineChart coverage{"Unknown entries that got a label", "epoch", "%", {}, true};
  using Quality = evaluation::PseudoLabelQuality;
  const auto add = [&](LineChart& chart, std::string name, double Quality::*field) {
    Series series{std::move(name), {}, {}};
    for (const PseudoLabelRecord& record : history) {
      series.x.push_back(static_cast<double>(record.epoch));
      series.y.push_back(record.quality.*field);
    }
    chart.series.push_back(std::move(series));
  };
  add(quality, "precision, present", &Quality::positive_precision);
  add(quality, "recall, present", &Quality::positive_recall);
  add(quality, "precision, absent", &Quality::negative_precision);
  add(quality, "recall, absent", &Quality::negative_recall);
  add(coverage, "coverage", &Quality::coverage);
  return {std::move(quality), std::move(coverage)};
}

}  // namespace

std::string to_json(const RunReport& report) {
  // A name that is not UTF-8 must not cost the run its report.
  return report_json(report).dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

void write_json(const std::filesystem::path& path, const RunReport& report) {
  io::write_file_atomically(path, to_json(report));
}

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
  if (!report.per_class_AP.empty()) {
    html.add_section("Categories").add_bars(classes_chart(report));
  }
  if (!report.pseudo_labels.empty()) {
    const auto [quality, coverage] = pseudo_label_charts(report.pseudo_labels);
    html.add_section("Pseudo-labels").add_line_chart(quality).add_line_chart(coverage);
  }
  return html;
}

}  // namespace trmml::report
