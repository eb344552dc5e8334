#pragma once

#include "trmml/core/check.hpp"
#include "trmml/functional/contrastive.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <torch/arg.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

#include <cstdint>
#include <ostream>
#include <vector>

namespace trmml {

/// Options for `MultimodalContrastiveLoss`. All values ours.
struct MultimodalContrastiveLossOptions {
  /// Temperature t of the contrast with prototypes, > 0 (default 0.1, ours).
  TORCH_ARG(double, temperature) = 0.1;

  /// Also contrast the anchors of a batch with one another (default false, ours).
  TORCH_ARG(bool, feature_to_feature) = false;

  /// Temperature of that term, > 0 (default 0.2, ours).
  TORCH_ARG(double, feature_temperature) = 0.2;
};

/// The terms of `MultimodalContrastiveLoss`, unweighted. Each is a scalar, 0 with a
/// graph when it has no anchor.
struct ContrastiveTerms {
  at::Tensor visual;  ///< contrast with the visual prototypes
  at::Tensor text;    ///< contrast with the text prototypes
  at::Tensor
      feature;  ///< contrast of the anchors with one another (0 unless asked for)

  /// L_con = (visual + text) / 2 + feature.
  at::Tensor total() const { return (visual + text) / 2 + feature; }
};

/// Multimodal contrastive loss: pulls the features of a category to its visual and to
/// its text prototype and away from those of the others ([S] stated by the paper's
/// abstract). The form is ours: \f[ L_v = \sum_{x \in \{q, r\}} -\frac{1}{n}
/// \sum_{(b,c):\,y_{bc}=+1} \log
///     \frac{\exp(\langle \hat x_{bc}, P^v_c\rangle/t)}
///     {\sum_k \exp(\langle \hat x_{bc}, P^v_k\rangle/t)},\quad
///     L_t \text{ likewise with } P^t \f]
/// One mean per kind of feature given, added up. A category without a visual prototype
/// yet is left out of the visual term, as anchor and in the sum.
///
/// Shapes (B images, C categories, D joint width):
///   features          one or several [B, C, D] (query and region features); need not
///   be
///                     normalised
///   labels            [B, C] in {-1, 0, +1}; entries > 0 are the anchors (put accepted
///                     pseudo-positives in: `functional::merge_labels`)
///   visual_prototypes [C, D], visual_ready [C]
///   text_prototypes   [C, D]
/// Gradients reach the features and the text prototypes; the bank's visual prototypes
/// carry none. No parameters, no buffers, no random numbers. Throws `c10::ValueError`.
///
/// ```
/// MultimodalContrastiveLoss contrast;
/// ContrastiveTerms terms = contrast->forward(
///     {match.query_features, match.region_features}, labels, bank->visual(),
///     bank->visual_ready(), bank->text());
/// ```
class MultimodalContrastiveLossImpl
    : public torch::nn::Cloneable<MultimodalContrastiveLossImpl> {
 public:
  explicit MultimodalContrastiveLossImpl(
      const MultimodalContrastiveLossOptions& options_ = {});

  void reset() override {}
  void pretty_print(std::ostream& stream) const override;

  ContrastiveTerms forward(
      const std::vector<at::Tensor>& features,
      const at::Tensor& labels,
      const at::Tensor& visual_prototypes,
      const at::Tensor& visual_ready,
      const at::Tensor& text_prototypes);

  /// The options this module was built with.
  MultimodalContrastiveLossOptions options;
};

TORCH_MODULE(MultimodalContrastiveLoss);

inline MultimodalContrastiveLossImpl::MultimodalContrastiveLossImpl(
    const MultimodalContrastiveLossOptions& options_)
    : options(options_) {
  TORCH_CHECK_VALUE(
      options.temperature() > 0 && options.feature_temperature() > 0,
      "MultimodalContrastiveLoss: expected temperature and feature_temperature > 0, "
      "got ",
      options.temperature(),
      " and ",
      options.feature_temperature());
  MultimodalContrastiveLossImpl::reset();
}

inline ContrastiveTerms MultimodalContrastiveLossImpl::forward(
    const std::vector<at::Tensor>& features,
    const at::Tensor& labels,
    const at::Tensor& visual_prototypes,
    const at::Tensor& visual_ready,
    const at::Tensor& text_prototypes) {
  constexpr auto kWhere = "MultimodalContrastiveLoss::forward";
  TORCH_CHECK_VALUE(
      !features.empty(), kWhere, ": expected at least one feature tensor, got 0");
  check_labels(labels, {kAnySize, kAnySize}, kWhere);
  const int64_t categories = labels.size(1);
  check_shape(
      features.front(), {labels.size(0), categories, kAnySize}, kWhere, "features");
  const int64_t width = features.front().size(2);
  check_shape(visual_prototypes, {categories, width}, kWhere, "visual_prototypes");
  check_shape(visual_ready, {categories}, kWhere, "visual_ready");
  check_shape(text_prototypes, {categories, width}, kWhere, "text_prototypes");

  ContrastiveTerms terms;
  const auto add = [](at::Tensor& term, const at::Tensor& value) {
    term = term.defined() ? term + value : value;
  };
  for (const at::Tensor& x : features) {
    check_shape(x, {labels.size(0), categories, width}, kWhere, "features");
    const functional::Anchors anchors = functional::select_anchors(x, labels);
    add(terms.visual,
        functional::prototype_contrast(
            anchors.features,
            anchors.categories,
            visual_prototypes,
            visual_ready,
            options.temperature()));
    add(terms.text,
        functional::prototype_contrast(
            anchors.features,
            anchors.categories,
            text_prototypes,
            {},
            options.temperature()));
    add(terms.feature,
        options.feature_to_feature()
            ? functional::feature_contrast(
                  anchors.features, anchors.categories, options.feature_temperature())
            : anchors.features.sum() * 0);
  }
  return terms;
}

inline void MultimodalContrastiveLossImpl::pretty_print(std::ostream& stream) const {
  stream << "trmml::MultimodalContrastiveLoss(temperature=" << options.temperature()
         << ", feature_to_feature=" << std::boolalpha << options.feature_to_feature()
         << ", feature_temperature=" << options.feature_temperature() << ")";
}

}  // namespace trmml
