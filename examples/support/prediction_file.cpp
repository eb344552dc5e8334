#include "support/prediction_file.hpp"

#include "trmml/data/csv.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>

namespace program {

using trmml::data::csv_field;

namespace {

// JSON text that is UTF-8 whatever the names are.
std::string as_json(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

PredictionFile::PredictionFile(
    const std::filesystem::path& out,
    PredictionFormat format)
    : format_(std::move(format)), is_json_(out.extension() == ".json") {
  if (!out.empty()) {
    file_ = std::make_unique<trmml::io::AtomicFile>(out);
  }
  if (is_json_) {
    std::string head = "{";
    for (const auto& [key, value] : format_.origin) {
      head += fmt::format("{}: {},\n ", as_json(key), as_json(value));
    }
    write(fmt::format(
        "{}\"names\": {},\n \"thresholds\": [{}],\n \"images\": [",
        head,
        as_json(format_.names),
        fmt::join(format_.thresholds, ",")));
  } else if (is_long()) {
    write("image,category,probability,threshold,predicted\n");
  } else {
    std::string header = "image";
    for (const std::string& name : format_.names) {
      header += fmt::format(",{}", csv_field(name));
    }
    write(header + "\n");
  }
}

std::vector<PredictionFile::Category> PredictionFile::categories(
    const at::Tensor& probabilities) const {
  const float* values = probabilities.data_ptr<float>();
  std::vector<Category> all;
  for (size_t c = 0; c < format_.names.size(); ++c) {
    const bool is_predicted = static_cast<double>(values[c]) > format_.thresholds[c];
    if (is_predicted || !format_.predicted_only) {
      all.push_back({c, values[c], is_predicted});
    }
  }
  std::stable_sort(all.begin(), all.end(), [](const Category& a, const Category& b) {
    return a.probability > b.probability;
  });
  if (format_.top_k > 0 && all.size() > static_cast<size_t>(format_.top_k)) {
    all.resize(static_cast<size_t>(format_.top_k));
  }
  return all;
}

std::string PredictionFile::csv_lines(
    const std::string& image,
    const at::Tensor& probabilities) const {
  std::string text;
  if (!is_long()) {
    text = csv_field(image);
    const float* values = probabilities.data_ptr<float>();
    for (size_t c = 0; c < format_.names.size(); ++c) {
      text += fmt::format(",{}", values[c]);
    }
    return text + "\n";
  }
  for (const Category& category : categories(probabilities)) {
    text += fmt::format(
        "{},{},{},{},{}\n",
        csv_field(image),
        csv_field(format_.names[category.index]),
        category.probability,
        format_.thresholds[category.index],
        category.is_predicted ? 1 : 0);
  }
  return text;
}

std::string PredictionFile::json_object(
    const std::string& image,
    const at::Tensor& probabilities) const {
  std::vector<std::string> predicted;
  std::vector<std::string> items;
  for (const Category& category : categories(probabilities)) {
    const std::string& name = format_.names[category.index];
    if (category.is_predicted) {
      predicted.push_back(name);
    }
    items.push_back(fmt::format(
        "{{\"name\": {}, \"probability\": {}, \"predicted\": {}}}",
        as_json(name),
        category.probability,
        category.is_predicted));
  }
  if (is_long()) {
    return fmt::format(
        "{{\"image\": {}, \"categories\": [{}]}}",
        as_json(image),
        fmt::join(items, ", "));
  }
  const float* values = probabilities.data_ptr<float>();
  return fmt::format(
      "{{\"image\": {}, \"predicted\": {}, \"probabilities\": [{}]}}",
      as_json(image),
      as_json(predicted),
      fmt::join(values, values + probabilities.numel(), ","));
}

void PredictionFile::add(const std::string& image, const at::Tensor& probabilities) {
  if (!is_json_) {
    write(csv_lines(image, probabilities));
    return;
  }
  write((is_first_ ? "\n  " : ",\n  ") + json_object(image, probabilities));
  is_first_ = false;
}

void PredictionFile::left_out(const std::string& image, const std::string& error) {
  left_out_.emplace_back(image, error);
}

void PredictionFile::finish() {
  if (is_json_) {
    nlohmann::json list = nlohmann::json::array();
    for (const auto& [image, error] : left_out_) {
      list.push_back({{"image", image}, {"error", error}});
    }
    write("\n ],\n \"left_out\": " + as_json(list) + "}\n");
  }
  if (file_) {
    file_->commit();
  }
}

void PredictionFile::write(std::string_view text) {
  if (file_) {
    file_->write(text);
  } else {
    fmt::print("{}", text);
    std::fflush(stdout);
  }
}

}  // namespace program
