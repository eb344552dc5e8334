#pragma once

#include "trmml/core/error.hpp"

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace trmml {

/// Which of TRM-ML's parts a row of the ablation has. Each row is the one before it and
/// one part more.
struct MethodSwitches {
  enum class Kind { kZeroShot, kLinear, kTextImage, kTextPixel, kRegion };

  Kind kind = Kind::kRegion;
  bool assume_negative = false;  ///< kLinear: unknown counts as absent
  bool pooled = false;           ///< kLinear: also sees mean and maximum of the cells
  bool distillation = false;
  bool contrastive = false;
  bool pseudo_labels = false;
  bool zero_shot_at_test = false;  ///< control: adds the zero-shot score at test

  /// Whether prompts are trained, step by step.
  bool has_prompts() const { return kind != Kind::kZeroShot && kind != Kind::kLinear; }
};

/// The methods by the names that programs and reports use, in the order of the table.
inline const std::vector<std::pair<std::string, MethodSwitches>>& methods() {
  using Kind = MethodSwitches::Kind;
  static const std::vector<std::pair<std::string, MethodSwitches>> all = {
      {"zero-shot", {.kind = Kind::kZeroShot}},
      {"linear", {.kind = Kind::kLinear}},
      {"linear-assume-negative", {.kind = Kind::kLinear, .assume_negative = true}},
      {"linear-pooled", {.kind = Kind::kLinear, .pooled = true}},
      {"text-image", {.kind = Kind::kTextImage}},
      {"text-pixel", {.kind = Kind::kTextPixel}},
      {"text-pixel+pseudo-labels", {.kind = Kind::kTextPixel, .pseudo_labels = true}},
      {"region", {.kind = Kind::kRegion}},
      {"region+distillation", {.kind = Kind::kRegion, .distillation = true}},
      {"region+distillation+contrastive",
       {.kind = Kind::kRegion, .distillation = true, .contrastive = true}},
      {"region+distillation+contrastive+zero-shot",
       {.kind = Kind::kRegion,
        .distillation = true,
        .contrastive = true,
        .zero_shot_at_test = true}},
      {"trm-ml",
       {.kind = Kind::kRegion,
        .distillation = true,
        .contrastive = true,
        .pseudo_labels = true}},
  };
  return all;
}

/// The switches of a method. Throws `std::invalid_argument` that lists the names when
/// it is unknown.
inline MethodSwitches method_switches(const std::string& name) {
  std::string names;
  for (const auto& [known, switches] : methods()) {
    if (known == name) {
      return switches;
    }
    names += (names.empty() ? "" : ", ") + known;
  }
  throw std::invalid_argument(
      fmt::format("expected a method of {}, got \"{}\"", names, name));
}

}  // namespace trmml
