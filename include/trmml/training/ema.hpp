#pragma once

#include "trmml/io/safetensors.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>

#include <string>
#include <utility>
#include <vector>

namespace trmml::training {

/// A parameter with the name it is filed under.
using NamedParameters = std::vector<std::pair<std::string, at::Tensor>>;

/// Exponential moving average of trained weights,
/// \f[ \bar\theta \leftarrow d\,\bar\theta + (1 - d)\,\theta \f]
/// No gradient, no random numbers.
class Ema {
 public:
  /// Starts from the weights as they are. Throws `c10::ValueError` unless `decay` d is
  /// in [0, 1).
  Ema(NamedParameters parameters, double decay)
      : parameters_(std::move(parameters)), decay_(decay) {
    TORCH_CHECK_VALUE(
        decay >= 0 && decay < 1, "Ema: expected a decay in [0, 1), got ", decay);
    for (const auto& [name, parameter] : parameters_) {
      average_.push_back(parameter.detach().clone());
    }
  }

  /// One step of the average; call it after the optimizer's.
  void update() {
    const c10::NoGradGuard no_grad;
    for (size_t i = 0; i < average_.size(); ++i) {
      average_[i].mul_(decay_).add_(parameters_[i].second, 1.0 - decay_);
    }
  }

  /// While it lives, the model's parameters hold the average; then their own values
  /// again. Do not train meanwhile.
  class Applied {
   public:
    explicit Applied(const Ema& ema) : ema_(ema) {
      const c10::NoGradGuard no_grad;
      for (const auto& [name, parameter] : ema_.parameters_) {
        own_.push_back(parameter.detach().clone());
      }
      for (size_t i = 0; i < own_.size(); ++i) {
        at::Tensor parameter = ema_.parameters_[i].second;
        parameter.copy_(ema_.average_[i]);
      }
    }
    ~Applied() {
      const c10::NoGradGuard no_grad;
      for (size_t i = 0; i < own_.size(); ++i) {
        at::Tensor parameter = ema_.parameters_[i].second;
        parameter.copy_(own_[i]);
      }
    }
    Applied(const Applied&) = delete;
    Applied& operator=(const Applied&) = delete;

   private:
    const Ema& ema_;
    std::vector<at::Tensor> own_;
  };

  /// The averages, to be changed in place only; in the order of the parameters.
  const std::vector<at::Tensor>& average() const { return average_; }

  const NamedParameters& parameters() const { return parameters_; }

 private:
  NamedParameters parameters_;
  double decay_;
  std::vector<at::Tensor> average_;
};

}  // namespace trmml::training
