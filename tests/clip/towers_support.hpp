#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

// The deterministic weights and inputs of tests/reference/towers.py.

namespace support {

/// Doubles in [-0.5, 0.5): element j of stream i is a 32-bit mix of i and j.
inline torch::Tensor hashed(int64_t stream, at::IntArrayRef shape) {
  const torch::Tensor values = torch::empty(shape, torch::kDouble);
  auto* out = values.data_ptr<double>();
  for (int64_t j = 0; j < values.numel(); ++j) {
    auto v = static_cast<uint32_t>(
        static_cast<uint64_t>(j) * 2654435761U +
        static_cast<uint64_t>(stream) * 40503U + 12345U);
    v = (v ^ (v >> 16)) * 0x85EBCA6BU;
    v = (v ^ (v >> 13)) * 0xC2B2AE35U;
    v ^= v >> 16;
    out[j] = v / 4294967296.0 - 0.5;
  }
  return values;
}

/// Parameters and buffers by name, in alphabetical order.
inline std::map<std::string, torch::Tensor> state_of(const torch::nn::Module& module) {
  std::map<std::string, torch::Tensor> state;
  for (const auto& item : module.named_parameters()) {
    state[item.key()] = item.value();
  }
  for (const auto& item : module.named_buffers()) {
    state[item.key()] = item.value();
  }
  return state;
}

/// All names, with ".num_batches_tracked".
inline std::vector<std::string> names_of(const torch::nn::Module& module) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : state_of(module)) {
    names.push_back(name);
  }
  return names;
}

/// Gives every parameter and running statistic its hashed value; evaluation mode.
inline void fill_hashed(torch::nn::Module& module) {
  const torch::NoGradGuard no_grad;
  const auto ends_with = [](const std::string& text, const std::string& end) {
    return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
  };
  int64_t rank = 0;
  for (auto& [name, tensor] : state_of(module)) {
    if (name.find("num_batches") != std::string::npos) {
      continue;
    }
    torch::Tensor u = hashed(rank++, tensor.sizes());
    if (ends_with(name, "running_var") || (u.dim() == 1 && ends_with(name, "weight"))) {
      u += 1.0;
    } else if (u.dim() >= 2) {
      u *= std::sqrt(
          12.0 * static_cast<double>(u.size(0)) / static_cast<double>(u.numel()));
    }
    tensor.copy_(u);
  }
  module.eval();
}

/// Largest |a - b|; infinity when shapes differ or anything is NaN.
inline double difference(const torch::Tensor& a, const torch::Tensor& b) {
  if (a.sizes() != b.sizes()) {
    return std::numeric_limits<double>::infinity();
  }
  if (a.numel() == 0) {
    return 0.0;
  }
  const double largest =
      (a.to(torch::kDouble) - b.to(torch::kDouble)).abs().max().item<double>();
  return std::isnan(largest) ? std::numeric_limits<double>::infinity() : largest;
}

/// The same with the values of a reference header, whose shape is that of `a`.
inline double difference(const torch::Tensor& a, const std::vector<double>& expected) {
  if (a.numel() != static_cast<int64_t>(expected.size())) {
    return std::numeric_limits<double>::infinity();
  }
  return difference(a, torch::tensor(expected, torch::kDouble).view(a.sizes()));
}

/// |a - b| / |b|, by Euclidean norms; 0 for two empty tensors.
inline double relative_difference(const torch::Tensor& a, const torch::Tensor& b) {
  return a.numel() == 0 && a.sizes() == b.sizes()
             ? 0.0
             : ((a - b).norm() / b.norm()).item<double>();
}

}  // namespace support
