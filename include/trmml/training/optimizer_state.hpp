#pragma once

#include "trmml/core/error.hpp"
#include "trmml/core/torch_version.hpp"
#include "trmml/io/safetensors.hpp"

#include <torch/optim/adamw.h>

#include <fmt/format.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

// The state of an optimizer as named tensors. Ours.

namespace trmml::training {

/// Copies the moments and step counts of `optimizer` into `tensors`, filed under
/// "<prefix>.<index of the parameter>.exp_avg", ".exp_avg_sq" and ".step". A parameter
/// that was never updated has no entry.
inline void save_optimizer(
    const torch::optim::AdamW& optimizer,
    const std::string& prefix,
    io::TensorMap& tensors) {
  int64_t index = 0;
  for (const auto& group : optimizer.param_groups()) {
    for (const at::Tensor& parameter : group.params()) {
      const auto found = optimizer.state().find(optimizer_key(parameter));
      const std::string name = fmt::format("{}.{:04}", prefix, index++);
      if (found == optimizer.state().end()) {
        continue;
      }
      const auto& state =
          static_cast<const torch::optim::AdamWParamState&>(*found->second);
      tensors[name + ".exp_avg"] = state.exp_avg().detach().clone();
      tensors[name + ".exp_avg_sq"] = state.exp_avg_sq().detach().clone();
      tensors[name + ".step"] = at::full({}, state.step(), at::kLong);
    }
  }
}

/// The way back. Throws `CheckpointError`, beginning with `where` (say the file's
/// name), when a moment has another shape than its parameter, and when a parameter has
/// only some of its entries.
inline void load_optimizer(
    torch::optim::AdamW& optimizer,
    const std::string& prefix,
    const io::TensorMap& tensors,
    std::string_view where) {
  int64_t index = 0;
  for (auto& group : optimizer.param_groups()) {
    for (at::Tensor& parameter : group.params()) {
      const std::string name = fmt::format("{}.{:04}", prefix, index++);
      const auto average = tensors.find(name + ".exp_avg");
      const auto square = tensors.find(name + ".exp_avg_sq");
      const auto step = tensors.find(name + ".step");
      const auto none = tensors.end();
      if (average == none && square == none && step == none) {
        continue;
      }
      if (average == none || square == none || step == none ||
          average->second.sizes() != parameter.sizes() ||
          square->second.sizes() != parameter.sizes()) {
        throw CheckpointError(fmt::format(
            "{}: expected moments of the shape of parameter {}, got others or none "
            "(was the run started with other options?)",
            where,
            name));
      }
      auto state = std::make_unique<torch::optim::AdamWParamState>();
      state->exp_avg(average->second.to(parameter.device()).clone());
      state->exp_avg_sq(square->second.to(parameter.device()).clone());
      state->step(step->second.item<int64_t>());
      optimizer.state()[optimizer_key(parameter)] = std::move(state);
    }
  }
}

}  // namespace trmml::training
