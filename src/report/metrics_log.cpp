#include "trmml/report/metrics_log.hpp"

#include "trmml/core/error.hpp"
#include "trmml/io/atomic_file.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <fstream>
#include <system_error>

#include "../io/append_file.hpp"
#include "metrics_json.hpp"

namespace trmml::report {

namespace {

std::string line_of(const EpochMetrics& metrics) {
  Json json;
  json["epoch"] = metrics.epoch;
  json["held_out_mAP"] = number(metrics.held_out_mAP);
  json["held_out_mAP_raw"] = number(metrics.held_out_mAP_raw);
  if (metrics.test_mAP) {
    json["test_mAP"] = number(*metrics.test_mAP);
  }
  json["learning_rate"] = number(metrics.learning_rate);
  json["seconds"] = number(metrics.seconds);
  json["losses"] = named_numbers(metrics.losses);
  if (metrics.pseudo_labels) {
    add_quality(json["pseudo_labels"], *metrics.pseudo_labels);
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

// What stands under `key`, or null when it is missing or null itself.
const Json* find(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

// What is not there leaves `value` as it is.
template <typename T>
void read(const Json& object, const char* key, T& value) {
  if (const Json* found = find(object, key)) {
    found->get_to(value);
  }
}

EpochMetrics metrics_of(const Json& json) {
  using Object = const Json::object_t&;  // anything else throws
  EpochMetrics metrics;
  json.at("epoch").get_to(metrics.epoch);
  read(json, "held_out_mAP", metrics.held_out_mAP);
  read(json, "held_out_mAP_raw", metrics.held_out_mAP_raw);
  if (json.contains("test_mAP")) {
    read(json, "test_mAP", metrics.test_mAP.emplace(EpochMetrics::kNone));
  }
  read(json, "learning_rate", metrics.learning_rate);
  read(json, "seconds", metrics.seconds);
  if (const Json* losses = find(json, "losses")) {
    for (const auto& [name, value] : losses->get_ref<Object>()) {
      metrics.losses.emplace_back(
          name, value.is_null() ? EpochMetrics::kNone : value.get<double>());
    }
  }
  if (const Json* fields = find(json, "pseudo_labels")) {
    (void)fields->get_ref<Object>();
    for_each_field(metrics.pseudo_labels.emplace(), [&](const char* name, auto& value) {
      read(*fields, name, value);
    });
  }
  return metrics;
}

// A line of the file and what it says.
struct Line {
  std::string text;
  EpochMetrics metrics;
};

std::vector<Line> read_lines(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    throw DataError(fmt::format(
        "cannot read '{}': {}", path.string(), std::generic_category().message(errno)));
  }
  std::vector<Line> lines;
  for (std::string text; std::getline(file, text) && !file.eof();) {
    try {
      lines.push_back({text, metrics_of(Json::parse(text))});
    } catch (const Json::exception& error) {
      throw DataError(fmt::format(
          "{}, line {}: expected the metrics of an epoch as JSON, got something else "
          "({})",
          path.string(),
          lines.size() + 1,
          error.what()));
    }
  }
  return lines;
}

}  // namespace

MetricsLog::MetricsLog(
    const std::filesystem::path& path,
    std::optional<std::int64_t> resume_epoch) {
  std::string kept;
  if (resume_epoch && std::filesystem::exists(path)) {
    for (Line& line : read_lines(path)) {
      if (line.metrics.epoch < *resume_epoch) {
        kept += line.text + "\n";
        history_.push_back(std::move(line.metrics));
      }
    }
  }
  io::write_file_atomically(path, kept);
  file_ = std::make_unique<io::AppendFile>(path, io::AppendFile::Start::kAppend);
}

MetricsLog::~MetricsLog() = default;

void MetricsLog::append(const EpochMetrics& metrics) {
  file_->append(line_of(metrics));
  history_.push_back(metrics);
}

std::vector<EpochMetrics> read_metrics(const std::filesystem::path& path) {
  std::vector<EpochMetrics> all;
  for (Line& line : read_lines(path)) {
    all.push_back(std::move(line.metrics));
  }
  return all;
}

}  // namespace trmml::report
