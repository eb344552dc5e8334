#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace trmml {

/// Stands for "any size" in the shapes that `check_shape` compares.
inline constexpr int64_t kAnySize = -1;

/// "[2, 3, 128]"; a size of `kAnySize` prints as "*".
inline std::string format_shape(at::IntArrayRef shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) {
      text += ", ";
    }
    text += shape[i] == kAnySize ? std::string("*") : std::to_string(shape[i]);
  }
  return text + "]";
}

/// Throws `c10::ValueError` unless `tensor` is defined and has `shape`
/// (`kAnySize` matches every size), in the form
/// `where: expected NAME of shape [..], got [..] (hint)`.
inline void check_shape(
    const at::Tensor& tensor,
    std::initializer_list<int64_t> shape,
    std::string_view where,
    std::string_view name,
    std::string_view hint = "") {
  const at::IntArrayRef expected(shape);
  std::string suffix;
  if (!hint.empty()) {
    suffix.append(" (").append(hint).append(")");
  }
  TORCH_CHECK_VALUE(
      tensor.defined(),
      where,
      ": expected ",
      name,
      " of shape ",
      format_shape(expected),
      ", got an undefined tensor",
      suffix);
  bool matches = tensor.dim() == static_cast<int64_t>(expected.size());
  for (size_t i = 0; matches && i < expected.size(); ++i) {
    matches = expected[i] == kAnySize || expected[i] == tensor.size(i);
  }
  TORCH_CHECK_VALUE(
      matches,
      where,
      ": expected ",
      name,
      " of shape ",
      format_shape(expected),
      ", got ",
      format_shape(tensor.sizes()),
      suffix);
}

/// Throws `c10::TypeError` unless `tensor` holds floating-point numbers.
inline void check_floating(
    const at::Tensor& tensor,
    std::string_view where,
    std::string_view name) {
  TORCH_CHECK_TYPE(
      tensor.is_floating_point(),
      where,
      ": expected ",
      name,
      " of a floating-point type, got ",
      toString(tensor.scalar_type()));
}

/// Throws `c10::ValueError` unless every entry of `labels` is +1 (present),
/// -1 (absent) or 0 (unknown), and `c10::TypeError` for a type that cannot hold -1. The
/// message names the first offender. Synchronises with the device of `labels`.
inline void check_labels(
    const at::Tensor& labels,
    std::initializer_list<int64_t> shape,
    std::string_view where,
    std::string_view name = "labels") {
  check_shape(labels, shape, where, name);
  TORCH_CHECK_TYPE(
      labels.scalar_type() != at::kBool && labels.scalar_type() != at::kByte,
      where,
      ": expected ",
      name,
      " of a signed type, got ",
      toString(labels.scalar_type()),
      " (-1 absent, 0 unknown, +1 present; truth in {0, 1} is 2 * truth - 1 as int8)");
  const at::Tensor wrong =
      labels.ne(1).logical_and(labels.ne(-1)).logical_and(labels.ne(0));
  if (!wrong.any().item<bool>()) {
    return;
  }
  const at::Tensor first = wrong.nonzero()[0].cpu().contiguous();
  at::Tensor value = labels;
  for (int64_t i = 0; i < first.size(0); ++i) {
    value = value[first[i].item<int64_t>()];
  }
  std::string place = format_shape(
      at::IntArrayRef(first.data_ptr<int64_t>(), static_cast<size_t>(first.numel())));
  TORCH_CHECK_VALUE(
      false,
      where,
      ": expected ",
      name,
      " in {-1 absent, 0 unknown, +1 present}, got ",
      value.item<double>(),
      " at ",
      place,
      " (other projects code their labels differently: convert them first)");
}

}  // namespace trmml
