#pragma once

#include "trmml/evaluation/pseudo_label_quality.hpp"

#include <nlohmann/json.hpp>

#include <cmath>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

// Numbers as report.json and metrics.jsonl hold them. Private to src/report.

namespace trmml::report {

using Json = nlohmann::ordered_json;

/// JSON has no NaN.
inline Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

inline Json named_numbers(const std::vector<std::pair<std::string, double>>& values) {
  Json object = Json::object();
  for (const auto& [name, value] : values) {
    object[name] = number(value);
  }
  return object;
}

/// Calls `use(name, field)` for every field of `quality`, which may be const.
template <typename Quality, typename Use>
void for_each_field(Quality& quality, Use&& use) {
  use("positive_precision", quality.positive_precision);
  use("positive_recall", quality.positive_recall);
  use("negative_precision", quality.negative_precision);
  use("negative_recall", quality.negative_recall);
  use("coverage", quality.coverage);
  use("unknown", quality.unknown);
  use("pseudo_positives", quality.pseudo_positives);
  use("pseudo_negatives", quality.pseudo_negatives);
  use("hidden_positives", quality.hidden_positives);
  use("hidden_negatives", quality.hidden_negatives);
  use("right_positives", quality.right_positives);
  use("right_negatives", quality.right_negatives);
  use("false_positives", quality.false_positives);
  use("false_negatives", quality.false_negatives);
}

/// Adds the fields of `quality` to `object`.
inline void add_quality(Json& object, const evaluation::PseudoLabelQuality& quality) {
  for_each_field(quality, [&object](const char* name, auto value) {
    if constexpr (std::is_floating_point_v<decltype(value)>) {
      object[name] = number(value);
    } else {
      object[name] = value;
    }
  });
}

}  // namespace trmml::report
