#include "trmml/report/run_report.hpp"

#include "trmml/io/atomic_file.hpp"

#include <cmath>
#include <utility>

#include "metrics_json.hpp"

namespace trmml::report {

namespace {

Json numbers(const std::vector<double>& values) {
  Json list = Json::array();
  for (const double value : values) {
    list.push_back(number(value));
  }
  return list;
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

// The epochs that had pseudo-labels.
Json pseudo_labels_json(const std::vector<EpochMetrics>& history) {
  Json list = Json::array();
  for (const EpochMetrics& metrics : history) {
    if (metrics.pseudo_labels) {
      Json record = {{"epoch", metrics.epoch}};
      add_quality(record, *metrics.pseudo_labels);
      list.push_back(std::move(record));
    }
  }
  return list;
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

// Whole numbers as such: 16, not 16.0.
Json settings_json(const std::vector<std::pair<std::string, double>>& settings) {
  Json object = Json::object();
  for (const auto& [name, value] : settings) {
    const bool is_whole = std::floor(value) == value && std::abs(value) < 1e15;
    object[name] = is_whole ? Json(static_cast<std::int64_t>(value)) : number(value);
  }
  return object;
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
  if (!report.unreadable.empty()) {
    Json counts = Json::object();
    for (const auto& [part, count] : report.unreadable) {
      counts[part] = count;
    }
    json["unreadable_pictures"] = std::move(counts);
  }
  if (!report.settings.empty()) {
    json["settings"] = settings_json(report.settings);
  }
}

void add_training(const RunReport& report, Json& json) {
  json["selected_on"] = report.selected_on;
  if (report.held_out_mAP) {
    json["held_out_mAP"] = number(*report.held_out_mAP);
  }
  if (report.best_epoch) {
    json["best_epoch"] = *report.best_epoch;
  }
  if (!std::isnan(report.mAP_best_on_test)) {
    json["mAP_best_on_test"] = number(report.mAP_best_on_test);
  }
  json["epochs"] = report.epochs;
  if (report.best_epoch) {
    json["stopped_early"] = report.stopped_early;
  }
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
  if (!report.thresholds.empty()) {
    json["thresholds"] = named_numbers(report.thresholds);
    json["at_thresholds"] = metrics_json(report.at_thresholds);
  }
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
  if (Json history = pseudo_labels_json(report.history); !history.empty()) {
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

}  // namespace

std::string to_json(const RunReport& report) {
  // A name that is not UTF-8 must not cost the run its report.
  return report_json(report).dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

void write_json(const std::filesystem::path& path, const RunReport& report) {
  io::write_file_atomically(path, to_json(report));
}

}  // namespace trmml::report
