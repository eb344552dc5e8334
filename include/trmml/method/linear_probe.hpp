#pragma once

#include "trmml/clip/image_features.hpp"
#include "trmml/core/check.hpp"
#include "trmml/functional/similarity.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/arg.h>
#include <torch/optim/adam.h>

#include <cmath>

namespace trmml {

/// Options for `LinearProbe`. All ours.
struct LinearProbeOptions {
  /// Unknown labels count as absent; otherwise they are left out (default false).
  TORCH_ARG(bool, assume_negative) = false;

  /// Ridge penalty on the weights, >= 0; to be chosen on held-out pictures.
  TORCH_ARG(double, weight_decay) = 1e-3;

  /// Full-batch steps of Adam at 0.05, falling to 0 by a cosine (default 120).
  TORCH_ARG(int64_t, steps) = 120;
};

/// A linear probe: logistic regression of every category on standardised frozen
/// features.
/// \f[ z = W \tfrac{x - \mu}{\sigma} + b \f]
///
/// Shapes (N pictures, F features): fit(features [N, F], labels [N, C] in {-1, 0, +1});
/// scores(features [n, F]) -> [n, C] logits. Half and bfloat16 are computed in float;
/// no gradient reaches the features in `fit`, whatever the gradient mode.
/// Deterministic. Throws `c10::ValueError` for options out of range, fewer than two
/// pictures, wrong shapes and labels, for features that hold NaN or infinity, and when
/// known labels are asked for and none is known.
/// ```
/// LinearProbe probe;
/// probe.fit(features.global, labels);
/// at::Tensor scores = probe.scores(test.global);
/// ```
class LinearProbe {
 public:
  explicit LinearProbe(const LinearProbeOptions& options_ = {}) : options(options_) {
    TORCH_CHECK_VALUE(
        options.steps() > 0 && options.weight_decay() >= 0,
        "LinearProbe: expected steps > 0 and weight_decay >= 0, got ",
        options.steps(),
        " and ",
        options.weight_decay());
  }

  void fit(const at::Tensor& features, const at::Tensor& labels) {
    check_shape(features, {kAnySize, kAnySize}, "LinearProbe::fit", "features");
    check_floating(features, "LinearProbe::fit", "features");
    check_labels(labels, {features.size(0), kAnySize}, "LinearProbe::fit");
    TORCH_CHECK_VALUE(
        features.size(0) >= 2,
        "LinearProbe::fit: expected at least two pictures (features are standardised), "
        "got ",
        features.size(0));
    TORCH_CHECK_VALUE(
        features.isfinite().all().item<bool>(),
        "LinearProbe::fit: expected finite features, got NaN or infinity");
    const c10::AutoGradMode with_graph(true);
    const at::Tensor raw = functional::promote_reduced(features.detach());
    mean_ = raw.mean(0);
    deviation_ = raw.std(0) + 1e-6;
    const at::Tensor x = standardised(raw);
    const at::Tensor target = labels.gt(0).to(x.options());
    const at::Tensor used = options.assume_negative() ? at::ones_like(target)
                                                      : labels.ne(0).to(x.options());
    const double n_used = used.sum().item<double>();
    TORCH_CHECK_VALUE(
        n_used > 0, "LinearProbe::fit: expected at least one known label, got none");
    weight_ = at::zeros({x.size(1), labels.size(1)}, x.options()).requires_grad_();
    bias_ = at::zeros({labels.size(1)}, x.options()).requires_grad_();
    constexpr double kRate = 0.05;
    torch::optim::Adam optimizer({weight_, bias_}, torch::optim::AdamOptions(kRate));
    for (int64_t step = 0; step < options.steps(); ++step) {
      const double done =
          static_cast<double>(step) / static_cast<double>(options.steps());
      static_cast<torch::optim::AdamOptions&>(optimizer.param_groups()[0].options())
          .lr(kRate * 0.5 * (1 + std::cos(M_PI * done)));
      const at::Tensor losses = at::binary_cross_entropy_with_logits(
          at::matmul(x, weight_) + bias_, target, {}, {}, at::Reduction::None);
      const at::Tensor penalty =
          weight_.square().sum() / static_cast<double>(labels.size(1));
      const at::Tensor loss =
          (losses * used).sum() / n_used + options.weight_decay() * penalty;
      optimizer.zero_grad();
      loss.backward();
      optimizer.step();
    }
    weight_ = weight_.detach();
    bias_ = bias_.detach();
  }

  at::Tensor scores(const at::Tensor& features) const {
    TORCH_CHECK_VALUE(
        weight_.defined(), "LinearProbe::scores: expected fit() to be called before");
    check_shape(
        features, {kAnySize, weight_.size(0)}, "LinearProbe::scores", "features");
    return at::matmul(standardised(functional::promote_reduced(features)), weight_) +
           bias_;
  }

  /// The options this probe was built with.
  LinearProbeOptions options;

 private:
  at::Tensor standardised(const at::Tensor& features) const {
    return (features - mean_) / deviation_;
  }

  at::Tensor mean_;
  at::Tensor deviation_;
  at::Tensor weight_;
  at::Tensor bias_;
};

/// The global feature beside mean and maximum of the cells [N, 3 D]: what the strongest
/// linear probe sees.
inline at::Tensor pooled_features(const clip::ImageFeatures& images) {
  return at::cat({images.global, images.regions.mean(1), images.regions.amax(1)}, 1);
}

}  // namespace trmml
