#pragma once

#include "trmml/core/check.hpp"
#include "trmml/core/error.hpp"
#include "trmml/io/safetensors.hpp"

#include <c10/core/ScalarType.h>
#include <torch/nn/module.h>

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trmml::io {

/// Every parameter and buffer of `module` by its full name, detached, on the CPU.
///
/// Tensors that already live on the CPU are shared with the module, not copied: write
/// them before the next step, or clone them. No gradients, no random numbers.
///
/// Example:
/// ```
/// io::write_safetensors("model.safetensors", io::module_tensors(*model));
/// ```
inline TensorMap module_tensors(const torch::nn::Module& module) {
  TensorMap tensors;
  for (const auto& item : module.named_parameters()) {
    tensors[item.key()] = item.value().detach().cpu();
  }
  for (const auto& item : module.named_buffers()) {
    tensors[item.key()] = item.value().detach().cpu();
  }
  return tensors;
}

namespace detail {

/// "2 missing: a, b", with at most 20 of `items`; nothing when there are none.
inline std::string count_and_list(
    const std::vector<std::string>& items,
    std::string_view what) {
  constexpr size_t kShown = 20;
  std::string text;
  for (size_t i = 0; i < items.size() && i < kShown; ++i) {
    text += (i == 0 ? "" : ", ") + items[i];
  }
  if (items.size() > kShown) {
    text += fmt::format(", and {} more", items.size() - kShown);
  }
  return items.empty() ? text : fmt::format("{} {}: {}", items.size(), what, text);
}

/// Floats of any width fit floats; whole numbers fit what holds them all.
inline bool dtype_fits(at::ScalarType from, at::ScalarType to) {
  if (at::isFloatingType(from) || at::isFloatingType(to)) {
    return at::isFloatingType(from) && at::isFloatingType(to);
  }
  return from == to ||
         (from != at::kBool && to != at::kBool && at::promoteTypes(from, to) == to);
}

}  // namespace detail

/// Copies `tensors` into the parameters and buffers of `module`, all of them or none.
///
/// Every name of the module must be there, no other may be, and shapes must be equal.
/// Dtypes may differ among floating-point types (fp16 weights into an fp32 model) and
/// where whole numbers cannot be cut off, never between floating-point and whole
/// numbers. Values are copied into the existing tensors on their devices, without
/// gradient; no random numbers.
///
/// Throws `CheckpointError`, beginning with `where` (say the file's name), that lists
/// all names that do not fit at once; then `module` is unchanged.
///
/// Example:
/// ```
/// io::load_module(*model, io::read_safetensors(path).tensors, path);
/// ```
inline void load_module(
    torch::nn::Module& module,
    const TensorMap& tensors,
    std::string_view where) {
  TensorMap targets;
  for (const auto& item : module.named_parameters()) {
    targets[item.key()] = item.value();
  }
  for (const auto& item : module.named_buffers()) {
    targets[item.key()] = item.value();
  }

  std::vector<std::string> missing, unexpected, other_shape, other_type;
  std::vector<std::pair<at::Tensor, at::Tensor>> copies;  // to, from
  for (const auto& [name, target] : targets) {
    const auto found = tensors.find(name);
    if (found == tensors.end() || !found->second.defined()) {
      missing.push_back(name);
      continue;
    }
    const at::Tensor& source = found->second;
    if (source.sizes() != target.sizes()) {
      other_shape.push_back(fmt::format(
          "{} expected {}, got {}",
          name,
          format_shape(target.sizes()),
          format_shape(source.sizes())));
    } else if (!detail::dtype_fits(source.scalar_type(), target.scalar_type())) {
      other_type.push_back(fmt::format(
          "{} expected {}, got {}",
          name,
          toString(target.scalar_type()),
          toString(source.scalar_type())));
    } else {
      copies.emplace_back(target, source);
    }
  }
  for (const auto& item : tensors) {
    if (targets.count(item.first) == 0) {
      unexpected.push_back(item.first);
    }
  }

  std::string problems;
  for (const std::string& part :
       {detail::count_and_list(missing, "missing"),
        detail::count_and_list(unexpected, "unexpected"),
        detail::count_and_list(other_shape, "of another shape"),
        detail::count_and_list(other_type, "of another type")}) {
    if (!part.empty()) {
      problems += (problems.empty() ? "" : "; ") + part;
    }
  }
  if (!problems.empty()) {
    throw CheckpointError(fmt::format("{}: {}", where, problems));
  }

  const at::NoGradGuard no_grad;
  for (auto& [target, source] : copies) {
    target.copy_(source);
  }
}

}  // namespace trmml::io
