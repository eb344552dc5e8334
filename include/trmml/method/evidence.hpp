#pragma once

#include "trmml/core/error.hpp"
#include "trmml/functional/pseudo_label.hpp"
#include "trmml/method/feature_source.hpp"
#include "trmml/method/method.hpp"
#include "trmml/modules/pseudo_labeler.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>
#include <torch/arg.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

// From a method and its training set to the evidence that `PseudoLabeler` reads.

namespace trmml {

/// How many pictures a method scores at a time for its memory to stay bounded in the
/// categories: as many as give [n, C, D] at most 2^26 numbers, but 1 at least and 500
/// at most. `n_cls` C and `embed_dim` D, >= 0.
inline int64_t pictures_at_once(int64_t n_cls, int64_t embed_dim) {
  constexpr int64_t kMostNumbers = int64_t{1} << 26;
  constexpr int64_t kMostPictures = 500;
  const int64_t each = std::max<int64_t>(1, n_cls * embed_dim);
  return std::clamp<int64_t>(kMostNumbers / each, 1, kMostPictures);
}

/// Gives `visit` what the method computes for the test views of all pictures, batch by
/// batch in their order; in evaluation mode and without gradient. `batch_size` > 0, or
/// 0: `pictures_at_once`.
///
/// Between two batches `should_stop` is asked, unless it is empty. Throws `Interrupted`
/// when it says so, and `c10::ValueError` for a batch_size < 0; messages begin with
/// `where`.
template <typename Visit>
void for_each_output(
    Method& method,
    const Features& images,
    int64_t batch_size,
    const std::function<bool()>& should_stop,
    std::string_view where,
    Visit&& visit) {
  TORCH_CHECK_VALUE(
      batch_size >= 0, where, ": expected batch_size >= 0, got ", batch_size);
  const c10::NoGradGuard no_grad;
  const EvaluationMode evaluation(method.as_module());
  const at::Device device = method.device();
  const at::Tensor text = method.text_features();  // [P, C, D]
  const int64_t at_once =
      batch_size > 0 ? batch_size : pictures_at_once(text.size(-2), text.size(-1));
  const int64_t size = images->size();
  for (int64_t i = 0; i < size; i += at_once) {
    if (i > 0 && should_stop && should_stop()) {
      throw Interrupted(
          fmt::format("{}: stopped after {} of {} pictures", where, i, size));
    }
    const int64_t n = std::min(at_once, size - i);
    visit(method.forward(images->test_views(i, n).to(device), text));
  }
}

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
/// zero-shot piece only. `batch_size` and `should_stop` as for `for_each_output`.
/// Throws `c10::ValueError` for weights out of range and for shapes that disagree,
/// `Interrupted` when asked to stop.
inline at::Tensor gather_evidence(
    Method& method,
    const TrainingSet& train,
    const EvidenceOptions& options = {},
    int64_t batch_size = 0,
    const std::function<bool()>& should_stop = {}) {
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
    const at::Tensor frozen_text =
        needs_text ? train.frozen_text.to(method.device()) : at::Tensor();
    std::vector<at::Tensor> visual;
    std::vector<at::Tensor> relation;
    const auto collect = [&](const TrmMlOutput& output) {
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
    };
    for_each_output(method, train.features, batch_size, should_stop, kWhere, collect);
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
