#pragma once

#include "trmml/functional/pseudo_label.hpp"
#include "trmml/method/feature_source.hpp"
#include "trmml/method/method.hpp"
#include "trmml/modules/pseudo_labeler.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/arg.h>

#include <algorithm>
#include <vector>

// From a method and its training set to the evidence that `PseudoLabeler` reads.

namespace trmml {

/// What is trained on: frozen features and the labels that the protocol left known.
struct TrainingSet {
  Features features;       ///< of N pictures
  at::Tensor labels;       ///< int8 [N, C] in {-1, 0, +1}, on the CPU
  at::Tensor zero_shot;    ///< [N, C] `functional::zero_shot_scores`; for pseudo-labels
  at::Tensor frozen_text;  ///< [C, D] text of "a photo of a {name}."; for pseudo-labels
};

/// How much each piece counts in the evidence for pseudo-labels; see
/// `functional::relation_evidence`. Each >= 0, not all 0; 0 leaves a piece out. Ours.
struct EvidenceOptions {
  /// e1, visual prototypes (default 1).
  TORCH_ARG(double, visual) = 1.0;

  /// e2, relation to the frozen text prototypes (default 1).
  TORCH_ARG(double, text) = 1.0;

  /// e3, zero-shot score of the picture (default 1).
  TORCH_ARG(double, zero_shot) = 1.0;

  /// e2: temperature > 0 (default 0.05) and floor >= 0 (default 1e-4); see
  /// `functional::text_relation_evidence`.
  TORCH_ARG(double, temperature) = 0.05;
  TORCH_ARG(double, floor) = 1e-4;
};

/// The evidence [N, C] for the unknown labels, by the method as it stands (apply the
/// averaged weights first): the weighted mean of the standardised pieces; see
/// `functional::relation_evidence`. A method without category-aware regions has the
/// zero-shot piece only. Throws `c10::ValueError` for weights out of range and for
/// shapes that disagree.
inline at::Tensor gather_evidence(
    Method& method,
    const TrainingSet& train,
    const EvidenceOptions& options = {},
    int64_t batch_size = 500) {
  constexpr auto kWhere = "gather_evidence";
  TORCH_CHECK_VALUE(
      options.visual() >= 0 && options.text() >= 0 && options.zero_shot() >= 0 &&
          options.visual() + options.text() + options.zero_shot() > 0,
      kWhere,
      ": expected weights >= 0, not all 0, got visual ",
      options.visual(),
      ", text ",
      options.text(),
      ", zero_shot ",
      options.zero_shot());
  TORCH_CHECK_VALUE(
      batch_size > 0, kWhere, ": expected batch_size > 0, got ", batch_size);
  const c10::NoGradGuard no_grad;
  const CategoryPrototypeBankImpl* bank = method.prototypes();
  std::vector<at::Tensor> pieces;
  std::vector<double> weights;
  if (options.zero_shot() > 0 || bank == nullptr) {
    check_shape(
        train.zero_shot,
        {train.labels.size(0), train.labels.size(1)},
        kWhere,
        "zero_shot",
        "pseudo-labels are estimated from it");
    pieces.push_back(train.zero_shot.to(train.labels.device()));
    weights.push_back(bank == nullptr ? 1.0 : options.zero_shot());
  }
  const bool needs_visual = options.visual() > 0;
  const bool needs_text = options.text() > 0;
  if (bank != nullptr && (needs_visual || needs_text)) {
    if (needs_text) {
      check_shape(
          train.frozen_text,
          {train.labels.size(1), kAnySize},
          kWhere,
          "frozen_text",
          "pseudo-labels are estimated from it");
    }
    const EvaluationMode evaluation(method.as_module());
    const at::Device device = method.device();
    const at::Tensor frozen_text =
        needs_text ? train.frozen_text.to(device) : at::Tensor();
    const at::Tensor text = method.text_features();
    std::vector<at::Tensor> visual;
    std::vector<at::Tensor> relation;
    for (int64_t i = 0; i < train.labels.size(0); i += batch_size) {
      const int64_t n = std::min(batch_size, train.labels.size(0) - i);
      const TrmMlOutput output =
          method.forward(train.features->test_views(i, n).to(device), text);
      if (needs_visual) {
        visual.push_back(
            functional::prototype_evidence(
                method.prototype_features(output), bank->visual(), bank->negative())
                .to(train.labels.device()));
      }
      if (needs_text) {
        relation.push_back(functional::text_relation_evidence(
                               output.region_features,
                               frozen_text,
                               options.temperature(),
                               options.floor())
                               .to(train.labels.device()));
      }
    }
    if (needs_visual) {
      pieces.push_back(at::cat(visual));
      weights.push_back(options.visual());
    }
    if (needs_text) {
      pieces.push_back(at::cat(relation));
      weights.push_back(options.text());
    }
  }
  return functional::combine_evidence(pieces, weights);
}

}  // namespace trmml
