#include "trmml/data/label_code.hpp"

#include "trmml/core/check.hpp"

#include <ATen/ops/empty.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "faults.hpp"
#include "label_text.hpp"
#include "text_file.hpp"

namespace trmml::data {
namespace {

constexpr int8_t kNone = 2;  // a value that the code does not have

struct Code {
  LabelCode code;
  std::string_view name;
  std::array<int8_t, 3> ours;  // of the values -1, 0 and 1
  std::string_view meaning;
};

constexpr std::array<Code, 5> kCodes = {{
    {LabelCode::kHcp, "hcp", {-1, 0, 1}, "-1 absent, 0 unknown or 1 present"},
    {LabelCode::kDualCoOp, "dualcoop", {0, -1, 1}, "-1 unknown, 0 absent or 1 present"},
    {LabelCode::kCole, "cole", {-1, 0, 1}, "-1 absent, 0 unknown or 1 present"},
    {LabelCode::kColeComplete,
     "cole-complete",
     {kNone, -1, 1},
     "0 absent or 1 present"},
    {LabelCode::kSplc, "splc", {kNone, 0, 1}, "0 not in the list or 1 present"},
}};

const Code& find(LabelCode code) {
  return *std::find_if(kCodes.begin(), kCodes.end(), [code](const Code& known) {
    return known.code == code;
  });
}

}  // namespace

LabelCode parse_label_code(std::string_view name) {
  const std::string_view family = name == "csl" || name == "clsl" ? "dualcoop"
                                  : name == "scpnet"              ? "splc"
                                                                  : name;
  for (const Code& known : kCodes) {
    if (known.name == family) {
      return known.code;
    }
  }
  TORCH_CHECK_VALUE(
      false,
      "parse_label_code: expected hcp, dualcoop, cole, cole-complete or splc, got \"",
      name,
      "\"");
}

std::string to_string(LabelCode code) {
  return std::string(find(code).name);
}

std::optional<int8_t> state_of(std::string_view text, LabelCode code) {
  if (text == "+1") {
    text.remove_prefix(1);
  }
  const std::optional<int64_t> value = whole_number(text);
  if (!value || *value < -1 || *value > 1) {
    return std::nullopt;
  }
  const int8_t state = find(code).ours[static_cast<size_t>(*value + 1)];
  return state == kNone ? std::nullopt : std::optional(state);
}

std::string_view values_of(LabelCode code) {
  return find(code).meaning;
}

at::Tensor from_label_code(
    const at::Tensor& values,
    LabelCode code,
    const std::filesystem::path& file) {
  check_shape(values, {kAnySize, kAnySize}, "from_label_code", "values");
  const Code& known = find(code);
  const at::Tensor numbers = values.to(at::kCPU, at::kDouble).contiguous();
  const at::Tensor labels =
      at::empty(values.sizes(), at::TensorOptions().dtype(at::kChar));
  const auto* from = numbers.data_ptr<double>();
  auto* to = labels.data_ptr<int8_t>();
  const int64_t n_cls = values.size(1);
  Faults faults(fmt::format("labels in the code {}", known.name));
  for (int64_t i = 0; i < numbers.numel(); ++i) {
    const double value = from[i];
    const bool is_state = value == -1.0 || value == 0.0 || value == 1.0;
    to[i] = is_state ? known.ours[static_cast<size_t>(value + 1.0)] : kNone;
    if (to[i] == kNone) {
      faults.add(
          file,
          fmt::format("row {}, column {}", i / n_cls, i % n_cls),
          fmt::format("expected {}, got {}", known.meaning, value));
    }
  }
  faults.throw_if_any();
  return labels;
}

}  // namespace trmml::data
