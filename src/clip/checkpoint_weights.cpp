#include "checkpoint_weights.hpp"

#include "trmml/core/check.hpp"
#include "trmml/io/mapped_pages.hpp"

#include <ATen/ATen.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "../io/quoted.hpp"
#include "checkpoint_parameters.hpp"

namespace trmml::clip::checkpoint {

using io::in_quotes;

namespace {

/// "a, b, and 5 more of 7".
std::string list_some(const std::vector<std::string>& items) {
  constexpr size_t kShown = 20;
  const auto end =
      items.begin() + static_cast<ptrdiff_t>(std::min(items.size(), kShown));
  std::string text = fmt::format("{}", fmt::join(items.begin(), end, ", "));
  if (items.size() > kShown) {
    text += fmt::format(", and {} more", items.size() - kShown);
  }
  return text;
}

bool is_counter(const std::string& name) {
  return ends_with_part(
      name, "num_batches_tracked");  // not in every file, used nowhere
}

}  // namespace

void check_weights(
    const Weights& weights,
    const Named& named,
    const ClipModelOptions& sizes) {
  std::vector<std::string> missing, unexpected, other_shape, other_type;
  std::set<std::string> used;
  for (const auto& [name, shape] : expected_parameters(sizes)) {
    const Place place = place_of(named.family, name);
    std::vector<int64_t> there = shape;
    if (place.transposed) {
      std::reverse(there.begin(), there.end());
    }
    if (place.names.size() > 1) {
      there[0] /= static_cast<int64_t>(place.names.size());
    }
    for (const std::string& one : place.names) {
      used.insert(one);
      const auto found = named.tensors.find(one);
      if (found == named.tensors.end()) {
        if (!is_counter(one)) {
          missing.push_back(one);
        }
        continue;
      }
      const at::Tensor& tensor = found->second;
      const bool is_scalar = shape.empty() && tensor.numel() == 1;
      if (tensor.sizes() != at::IntArrayRef(there) && !is_scalar) {
        other_shape.push_back(fmt::format(
            "{} expected {}, got {}",
            one,
            format_shape(there),
            format_shape(tensor.sizes())));
      } else if (!tensor.is_floating_point() && !is_counter(one)) {
        other_type.push_back(fmt::format(
            "{} expected floating-point numbers, got {}",
            one,
            toString(tensor.scalar_type())));
      }
    }
  }
  for (const auto& [name, unused] : named.tensors) {
    if (used.count(name) == 0) {
      unexpected.push_back(in_quotes(name));
    }
  }
  std::vector<std::string> problems;
  const auto add = [&problems](
                       const std::vector<std::string>& items, std::string_view what) {
    if (!items.empty()) {
      problems.push_back(
          fmt::format("{} {}: {}", items.size(), what, list_some(items)));
    }
  };
  add(missing, "missing");
  add(unexpected, "unexpected");
  add(other_shape, "of another shape");
  add(other_type, "of another type");
  if (!problems.empty()) {
    fail(
        weights.file,
        fmt::format(
            "{}{}",
            named.prefix.empty() ? ""
                                 : fmt::format("under {}: ", in_quotes(named.prefix)),
            fmt::join(problems, "; ")));
  }
}

namespace {

/// Copies by pieces of some megabytes and gives the pages back, so that weights are in
/// memory once, not twice.
void copy_and_release(at::Tensor to, const at::Tensor& from) {
  constexpr int64_t kPiece = int64_t{16} << 20;
  if (from.dim() == 0 || !from.is_contiguous() ||
      static_cast<int64_t>(from.nbytes()) <= kPiece) {
    to.copy_(from);
    io::release_pages(from);
    return;
  }
  const int64_t rows = from.size(0);
  const int64_t row = static_cast<int64_t>(from.nbytes()) / rows;
  const int64_t step = std::max<int64_t>(1, kPiece / row);
  for (int64_t begin = 0; begin < rows; begin += step) {
    const int64_t end = std::min(rows, begin + step);
    to.slice(0, begin, end).copy_(from.slice(0, begin, end));
    io::release_pages(from.slice(0, begin, end));
  }
}

}  // namespace

void copy_weights(const Named& named, ClipModelImpl& model) {
  const at::NoGradGuard no_grad;
  const auto copy = [&named](const std::string& name, const at::Tensor& target) {
    const Place place = place_of(named.family, name);
    const at::Tensor whole = place.transposed ? target.t() : target;
    const auto parts = static_cast<int64_t>(place.names.size());
    for (int64_t i = 0; i < parts; ++i) {
      const auto found = named.tensors.find(place.names[static_cast<size_t>(i)]);
      if (found == named.tensors.end()) {
        TORCH_INTERNAL_ASSERT(is_counter(name), name);
        continue;
      }
      if (target.dim() == 0) {
        whole.copy_(found->second.reshape({}));
      } else {
        const int64_t rows = whole.size(0) / parts;
        copy_and_release(whole.slice(0, i * rows, (i + 1) * rows), found->second);
      }
    }
  };
  for (const auto& item : model.named_parameters()) {
    copy(item.key(), item.value());
  }
  for (const auto& item : model.named_buffers()) {
    copy(item.key(), item.value());
  }
}

void share_weights(const Named& named, ClipModelImpl& model) {
  const at::NoGradGuard no_grad;
  const auto share = [&named](const std::string& name, at::Tensor target) {
    const Place place = place_of(named.family, name);
    std::vector<at::Tensor> parts;
    for (const std::string& part : place.names) {
      const auto found = named.tensors.find(part);
      if (found == named.tensors.end()) {
        TORCH_INTERNAL_ASSERT(is_counter(name), name);
        return;
      }
      parts.push_back(found->second);
    }
    const at::Tensor whole = parts.size() == 1 ? parts.front() : at::cat(parts);
    target.set_data(place.transposed ? whole.t() : whole.view(target.sizes()));
  };
  for (const auto& item : model.named_parameters()) {
    share(item.key(), item.value());
  }
  for (const auto& item : model.named_buffers()) {
    share(item.key(), item.value());
  }
}

}  // namespace trmml::clip::checkpoint
