#pragma once

#include "trmml/clip/winograd.hpp"
#include "trmml/core/device.hpp"

#include <ATen/Context.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/stack.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/linear.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// Layers whose weights never change again: what the inference forms of the image towers
// are made of. Gradients do not pass.

namespace trmml::clip::detail {

/// Weights to compute with, in single precision or better; not copied if they are.
inline at::Tensor precise(const at::Tensor& x) {
  return x.detach().to(at::promoteTypes(x.scalar_type(), at::kFloat));
}

/// max(x, 0) in place. In bfloat16 as whole numbers, for which the sign is in the same
/// place, at a fraction of the time; NaN stays NaN or becomes 0, by its sign.
inline at::Tensor clamp_negative_(at::Tensor x) {
  if (x.is_cpu() && x.scalar_type() == at::kBFloat16) {
    x.view(at::kShort).clamp_min_(0);
    return x;
  }
  return x.relu_();
}

/// A convolution that adds a bias and, if asked to, applies ReLU in the same pass. On a
/// CPU its weights are laid out once as oneDNN wants them; elsewhere, and for types
/// that oneDNN does not multiply here, it is `at::conv2d`.
class FrozenConv {
 public:
  FrozenConv() = default;

  /// weight [out, in, k, k], bias [out], of the type and on the device to compute in;
  /// both are copied.
  /// `side`: rows and columns of the usual input, which decide about the layout.
  FrozenConv(
      at::Tensor weight,
      at::Tensor bias,
      int64_t stride,
      int64_t padding,
      bool relu,
      int64_t side)
      : stride_(stride), padding_(padding), relu_(relu) {
    const auto op = find_operator("mkldnn_prepacked::conv2d_prepack");
    run_ = find_operator("mkldnn_prepacked::conv2d_run");
    if (WinogradConv::applies(weight, stride, padding)) {
      winograd_.emplace(weight, bias, relu);
    } else if (op && run_ && can_pack(weight)) {
      const int64_t in = weight.size(1);
      torch::jit::Stack stack = {
          weight.contiguous(at::MemoryFormat::ChannelsLast),
          bias.clone(),  // the weights are copied where they are laid out
          std::vector<int64_t>{stride, stride},
          std::vector<int64_t>{padding, padding},
          std::vector<int64_t>{1, 1},
          int64_t{1},
          std::vector<int64_t>{1, in, side, side},
          std::string(relu ? "relu" : "none")};
      op->callBoxed(&stack);
      packed_ = stack.back();
    } else {
      weight_ = weight.clone(at::MemoryFormat::ChannelsLast);
      bias_ = bias.clone();
    }
  }

  /// [B, in, h, w] -> [B, out, h', w'], both channels-last.
  at::Tensor operator()(const at::Tensor& x) const {
    if (winograd_) {
      return (*winograd_)(x);
    }
    if (weight_.defined()) {
      at::Tensor out = at::conv2d(x, weight_, bias_, stride_, padding_);
      return relu_ ? clamp_negative_(out) : out;
    }
    torch::jit::Stack stack = {x, packed_};
    run_->callBoxed(&stack);
    return std::move(stack.back()).toTensor();
  }

 private:
  static std::optional<c10::OperatorHandle> find_operator(const char* name) {
    const auto found = c10::Dispatcher::singleton().findSchema({name, ""});
    return found ? std::optional<c10::OperatorHandle>(*found) : std::nullopt;
  }

  static bool can_pack(const at::Tensor& weight) {
    const bool is_fast = weight.scalar_type() == at::kFloat ||
                         (weight.scalar_type() == at::kBFloat16 && cpu_has_bf16());
    return weight.is_cpu() && is_fast && at::globalContext().userEnabledMkldnn() &&
           at::hasMKLDNN();
  }

  int64_t stride_ = 1;
  int64_t padding_ = 0;
  bool relu_ = false;
  std::optional<WinogradConv> winograd_;
  at::Tensor weight_, bias_;  // undefined when packed
  c10::IValue packed_;
  std::optional<c10::OperatorHandle> run_;
};

/// A linear layer over tokens, computed as a convolution of 1 x 1 pixels: on a CPU much
/// faster than a matrix product of the system's BLAS, and its weights are laid out
/// once.
class FrozenLinear {
 public:
  FrozenLinear() = default;

  /// weight [out, in], bias [out]. `tokens`: how many are usual.
  FrozenLinear(const at::Tensor& weight, const at::Tensor& bias, int64_t tokens)
      : conv_(weight.unsqueeze(2).unsqueeze(3), bias, 1, 0, false, tokens) {}

  /// [B, L, in] contiguous -> [B, L, out] contiguous.
  at::Tensor operator()(const at::Tensor& x) const {
    const at::Tensor pixels =
        x.view({1, x.size(0) * x.size(1), 1, x.size(2)}).permute({0, 3, 1, 2});
    const at::Tensor out = conv_(pixels).permute({0, 2, 3, 1});  // [1, B * L, 1, out]
    return out.reshape({x.size(0), x.size(1), out.size(3)});
  }

 private:
  FrozenConv conv_;
};

/// A convolution without bias and the BatchNorm behind it, in evaluation mode, as one
/// convolution; exact but for rounding. The scale is computed in double.
inline FrozenConv fold(
    const torch::nn::Conv2dImpl& conv,
    const torch::nn::BatchNorm2dImpl& norm,
    bool relu,
    int64_t side,
    at::ScalarType dtype) {
  const auto exact = [](const at::Tensor& x) { return x.detach().to(at::kDouble); };
  const at::Tensor scale =
      exact(norm.weight) / (exact(norm.running_var) + norm.options.eps()).sqrt();
  const at::Tensor bias = exact(norm.bias) - exact(norm.running_mean) * scale;
  const int64_t kernel = conv.weight.size(2);
  const at::Tensor weight = precise(conv.weight);
  return FrozenConv(
      (weight * scale.to(weight.scalar_type()).view({-1, 1, 1, 1})).to(dtype),
      bias.to(dtype),
      (*conv.options.stride())[0],
      kernel / 2,
      relu,
      side);
}

}  // namespace trmml::clip::detail
