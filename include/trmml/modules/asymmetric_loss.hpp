#pragma once

#include "trmml/functional/asymmetric_loss.hpp"

#include <ATen/core/Tensor.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

#include <ostream>

namespace trmml {

/// The partial asymmetric loss of known labels as a module: see
/// `functional::partial_asymmetric_loss` for the equation. Ours.
///
/// Shapes (B images, C categories): logits [B, C]; labels [B, C] in {-1, 0, +1};
/// weights [B, C] >= 0 or undefined; soft targets [B, C] in [0, 1]; returns a scalar, 0
/// with a graph when nothing is known. No parameters, no buffers, no random numbers.
/// Throws `c10::ValueError` for options out of range (at construction) and for wrong
/// shapes and labels.
///
/// ```
/// AsymmetricLoss loss(AsymmetricLossOptions().gamma_neg(2));
/// at::Tensor value = loss->forward(logits, labels);
/// ```
class AsymmetricLossImpl : public torch::nn::Cloneable<AsymmetricLossImpl> {
 public:
  explicit AsymmetricLossImpl(const AsymmetricLossOptions& options_ = {})
      : options(options_) {
    check_options(options, "AsymmetricLoss");
    AsymmetricLossImpl::reset();
  }

  void reset() override {}
  void pretty_print(std::ostream& stream) const override;

  at::Tensor forward(
      const at::Tensor& logits,
      const at::Tensor& labels,
      const at::Tensor& weights = {}) {
    return functional::partial_asymmetric_loss(logits, labels, weights, options);
  }

  /// The same for soft targets: see `functional::soft_asymmetric_loss`.
  at::Tensor forward_soft(
      const at::Tensor& logits,
      const at::Tensor& targets,
      const at::Tensor& weights = {}) {
    return functional::soft_asymmetric_loss(logits, targets, weights, options);
  }

  /// The options this module was built with.
  AsymmetricLossOptions options;
};

TORCH_MODULE(AsymmetricLoss);

inline void AsymmetricLossImpl::pretty_print(std::ostream& stream) const {
  stream << "trmml::AsymmetricLoss(gamma_pos=" << options.gamma_pos()
         << ", gamma_neg=" << options.gamma_neg() << ", margin=" << options.margin()
         << ", eps=" << options.eps() << ", normalisation="
         << (options.normalisation() == LossNormalisation::kBatch ? "batch"
                                                                  : "known entries")
         << ")";
}

}  // namespace trmml
