#pragma once

#include <ATen/Context.h>
#include <c10/core/Device.h>
#include <c10/core/GradMode.h>
#include <torch/nn/module.h>
#include <torch/serialize.h>

#include <cstdint>
#include <sstream>
#include <string>

#include "support/tensors.hpp"

// Small helpers for tests on modules.

namespace support {

/// Gives every parameter the values of a formula: `fill` seeded by the sum of the
/// characters of its name, times `size` (tests/reference/fill.py: by_name).
inline void fill_parameters(torch::nn::Module& module, double size = 0.3) {
  const c10::NoGradGuard guard;
  for (auto& parameter : module.named_parameters()) {
    int64_t seed = 0;
    for (const char c : parameter.key()) {
      seed += static_cast<unsigned char>(c);
    }
    parameter.value().copy_(fill(parameter.value().sizes(), seed) * size);
  }
}

/// Saves `from` and loads `to` from it, in memory.
template <typename Holder>
void save_and_load(const Holder& from, Holder& to) {
  std::stringstream stream;
  torch::save(from, stream);
  torch::load(to, stream);
}

/// Same names, shapes and values of parameters and buffers.
inline bool have_equal_state(const torch::nn::Module& a, const torch::nn::Module& b) {
  const auto equal = [](const auto& x, const auto& y) {
    bool same = x.size() == y.size();
    for (const auto& item : x) {
      const at::Tensor* other = y.find(item.key());
      same = same && other != nullptr && is_equal(item.value(), *other);
    }
    return same;
  };
  return equal(a.named_parameters(), b.named_parameters()) &&
         equal(a.named_buffers(), b.named_buffers());
}

/// True when no parameter or buffer of `a` lives in the memory of one of `b`.
inline bool share_nothing(const torch::nn::Module& a, const torch::nn::Module& b) {
  const auto apart = [](const auto& x, const auto& y) {
    for (const auto& one : x) {
      for (const auto& other : y) {
        if (one.numel() > 0 && one.is_alias_of(other)) {
          return false;
        }
      }
    }
    return true;
  };
  return apart(a.parameters(), b.parameters()) && apart(a.buffers(), b.buffers());
}

/// A GPU where there is one, else the CPU.
inline c10::Device other_device() {
  return at::hasCUDA() ? c10::Device(at::kCUDA, 0) : c10::Device(at::kCPU);
}

/// What the module prints.
inline std::string printed(const torch::nn::Module& module) {
  std::ostringstream stream;
  module.pretty_print(stream);
  return stream.str();
}

}  // namespace support
