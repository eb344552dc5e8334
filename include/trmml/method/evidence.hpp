#pragma once

#include "trmml/functional/pseudo_label.hpp"
#include "trmml/method/method.hpp"
#include "trmml/modules/pseudo_labeler.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/arg.h>

#include <algorithm>
#include <vector>

// From a method and its training set to the evidence that `PseudoLabeler` reads.

namespace trmml {

/// What is trained on: frozen features, computed once per view, and the labels that the
/// protocol left known.
struct TrainingSet {
  clip::ImageFeatures features;  ///< of N pictures
  at::Tensor labels;             ///< int8 [N, C] in {-1, 0, +1}
  at::Tensor zero_shot;    ///< [N, C] `functional::zero_shot_scores`; for pseudo-labels
  at::Tensor frozen_text;  ///< [C, D] text of "a photo of a {name}."; for pseudo-labels
};

/// Which pieces make up the evidence for pseudo-labels; see
/// `functional::relation_evidence`. Ours.
struct EvidenceOptions {
  /// e1, visual prototypes (default true).
  TORCH_ARG(bool, visual) = true;

  /// e2, relation to the frozen text prototypes (default true).
  TORCH_ARG(bool, text) = true;

  /// e3, zero-shot score of the picture (default true).
  TORCH_ARG(bool, zero_shot) = true;
};

/// The evidence [N, C] for the unknown labels, by the method as it stands (apply the
/// averaged weights first); see `functional::relation_evidence`. A method without
/// category-aware regions has the zero-shot piece only.
inline at::Tensor gather_evidence(
    Method& method,
    const TrainingSet& train,
    const EvidenceOptions& options = {},
    int64_t batch_size = 500) {
  constexpr auto kWhere = "gather_evidence";
  const c10::NoGradGuard no_grad;
  const CategoryPrototypeBankImpl* bank = method.prototypes();
  std::vector<at::Tensor> pieces;
  if (options.zero_shot() || bank == nullptr) {
    check_shape(
        train.zero_shot,
        {train.labels.size(0), train.labels.size(1)},
        kWhere,
        "zero_shot",
        "pseudo-labels are estimated from it");
    pieces.push_back(train.zero_shot);
  }
  if (bank != nullptr && (options.visual() || options.text())) {
    if (options.text()) {
      check_shape(
          train.frozen_text,
          {train.labels.size(1), kAnySize},
          kWhere,
          "frozen_text",
          "pseudo-labels are estimated from it");
    }
    const bool was_training = method.as_module().is_training();
    method.as_module().eval();
    const at::Tensor text = method.text_features();
    std::vector<at::Tensor> visual;
    std::vector<at::Tensor> relation;
    for (int64_t i = 0; i < train.labels.size(0); i += batch_size) {
      const int64_t n = std::min(batch_size, train.labels.size(0) - i);
      const TrmMlOutput output =
          method.forward(narrow_features(train.features, i, n), text);
      if (options.visual()) {
        visual.push_back(functional::prototype_evidence(
            output.query_features, bank->visual(), bank->negative()));
      }
      if (options.text()) {
        relation.push_back(functional::text_relation_evidence(
            output.region_features, train.frozen_text));
      }
    }
    method.as_module().train(was_training);
    if (options.visual()) {
      pieces.push_back(at::cat(visual));
    }
    if (options.text()) {
      pieces.push_back(at::cat(relation));
    }
  }
  return functional::combine_evidence(pieces);
}

}  // namespace trmml
