#pragma once

#include "trmml/functional/asymmetric_loss.hpp"
#include "trmml/functional/distillation.hpp"
#include "trmml/functional/pseudo_label.hpp"
#include "trmml/method/method.hpp"
#include "trmml/modules/multimodal_contrastive_loss.hpp"

#include <torch/arg.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace trmml {

/// How an unknown label enters the classification loss.
enum class UnknownLabels {
  kIgnored,       ///< contributes nothing: some absences are known
  kAssumeAbsent,  ///< counts as absent, weakly: single-positive labels
  kSplc,          ///< the SPLC form of the single-positive loss
};

/// Distillation from the region level to the query level.
enum class Distillation { kNone, kKl, kCosine };

/// Options for `TrmMlLoss`. That these terms exist is [S] stated by the paper's
/// abstract; forms, weights and values are ours.
struct TrmMlLossOptions {
  /// Of the known labels (default: gamma 1 and 2, margin 0.05; ours).
  TORCH_ARG(AsymmetricLossOptions, classification) = {};

  /// Weights of the classification terms on z^r and z^q (default 1 each, ours).
  TORCH_ARG(double, region_weight) = 1.0;
  TORCH_ARG(double, query_weight) = 1.0;

  /// What an unknown label counts as (default kIgnored, ours).
  TORCH_ARG(UnknownLabels, unknown_labels) = UnknownLabels::kIgnored;

  /// kAssumeAbsent: weight of an unknown label that counts as absent (default 0.3,
  /// ours).
  TORCH_ARG(double, absent_weight) = 0.3;

  /// kAssumeAbsent: weights of what replaces it: a pseudo-positive (default 0.5, ours),
  /// a pseudo-absence (default 1, ours), a soft target (default 0.3, ours).
  TORCH_ARG(double, pseudo_positive_weight) = 0.5;
  TORCH_ARG(double, pseudo_absent_weight) = 1.0;
  TORCH_ARG(double, soft_target_weight) = 0.3;

  /// kSplc.
  TORCH_ARG(SplcOptions, splc) = {};

  /// Form of the distillation (default kKl, ours), its weight l_kd and, for kKl, its
  /// temperature tau in logits (default 1 and 2, ours).
  TORCH_ARG(Distillation, distillation) = Distillation::kKl;
  TORCH_ARG(double, distillation_weight) = 1.0;
  TORCH_ARG(double, distillation_tau) = 2.0;

  /// l_con (default 0.1, ours: 1 cost 2 mAP on FashionScenes); 0: no contrastive loss.
  TORCH_ARG(double, contrastive_weight) = 0.1;
  TORCH_ARG(MultimodalContrastiveLossOptions, contrastive) = {};

  /// Whether accepted pseudo-positives are anchors too (default true, ours).
  TORCH_ARG(bool, pseudo_anchors) = true;

  /// l_pl, weight of the loss on pseudo-labels with kIgnored; see
  /// `functional::pseudo_label_weight` for our rule (default 1).
  TORCH_ARG(double, pseudo_weight) = 1.0;
};

/// What a batch is trained on.
struct TrmMlTargets {
  at::Tensor labels;         ///< [B, C] in {-1, 0, +1}
  at::Tensor pseudo_labels;  ///< [B, C] in {-1, 0, +1}, 0 where known; or undefined
  at::Tensor soft_targets;   ///< [B, C] in [0, 1]; if defined, used in place of them
  int64_t epoch = 0;         ///< kSplc corrects from epoch 1 on
};

/// The terms of `TrmMlLoss`, unweighted, and their weighted sum. Scalars; a term that
/// is switched off or has nothing to work on is undefined.
struct TrmMlLossTerms {
  at::Tensor classification_region;  ///< L_cls(z^r)
  at::Tensor classification_query;   ///< L_cls(z^q)
  at::Tensor pseudo_region;          ///< L_pl(z^r)
  at::Tensor pseudo_query;           ///< L_pl(z^q)
  at::Tensor distillation;           ///< L_kd
  at::Tensor contrastive_visual;     ///< L_v
  at::Tensor contrastive_text;       ///< L_t
  at::Tensor contrastive_feature;    ///< over the batch, if asked for
  at::Tensor total;                  ///< what is minimised

  /// The terms that are there, by name; "total" comes last.
  std::vector<std::pair<std::string, at::Tensor>> named() const {
    std::vector<std::pair<std::string, at::Tensor>> terms;
    const auto add = [&terms](const char* name, const at::Tensor& value) {
      if (value.defined()) {
        terms.emplace_back(name, value);
      }
    };
    add("classification_region", classification_region);
    add("classification_query", classification_query);
    add("pseudo_region", pseudo_region);
    add("pseudo_query", pseudo_query);
    add("distillation", distillation);
    add("contrastive_visual", contrastive_visual);
    add("contrastive_text", contrastive_text);
    add("contrastive_feature", contrastive_feature);
    add("total", total);
    return terms;
  }
};

/// The total loss of TRM-ML,
/// \f[ L = L_{cls}(z^q) + L_{cls}(z^r) + \lambda_{kd} L_{kd} + \lambda_{con} L_{con}
///       + \lambda_{pl} (L_{pl}(z^q) + L_{pl}(z^r)) \f]
/// one switch a term; see `TrmMlLossOptions` for which parts are stated and which are
/// ours. With outputs that have no query level (the baselines) only the terms on z^r
/// remain.
///
/// With `UnknownLabels::kAssumeAbsent` pseudo-labels (or soft targets) replace the weak
/// absences inside L_cls, and there is no L_pl.
///
/// Gradients reach the output; none the targets or the bank. No state, no random
/// numbers. Throws `c10::ValueError` for wrong shapes and labels.
/// ```
/// TrmMlLossTerms terms = loss->forward(output, {labels}, model->prototypes());
/// terms.total.backward();
/// ```
class TrmMlLossImpl : public torch::nn::Cloneable<TrmMlLossImpl> {
 public:
  explicit TrmMlLossImpl(const TrmMlLossOptions& options_ = {}) : options(options_) {
    TORCH_CHECK_VALUE(
        options.distillation_weight() >= 0 && options.contrastive_weight() >= 0 &&
            options.pseudo_weight() >= 0 && options.absent_weight() >= 0 &&
            options.region_weight() >= 0 && options.query_weight() >= 0 &&
            options.pseudo_positive_weight() >= 0 &&
            options.pseudo_absent_weight() >= 0 && options.soft_target_weight() >= 0,
        "TrmMlLoss: expected weights >= 0, got a negative one");
    TORCH_CHECK_VALUE(
        options.distillation_tau() > 0,
        "TrmMlLoss: expected distillation_tau > 0, got ",
        options.distillation_tau());
    check_options(options.classification(), "TrmMlLoss");
    check_options(options.splc(), "TrmMlLoss");
    reset();
  }

  void reset() override {
    contrastive = register_module(
        "contrastive", MultimodalContrastiveLoss(options.contrastive()));
  }

  void pretty_print(std::ostream& stream) const override {
    stream << "trmml::TrmMlLoss(distillation_weight=" << options.distillation_weight()
           << ", contrastive_weight=" << options.contrastive_weight()
           << ", pseudo_weight=" << options.pseudo_weight() << ")";
  }

  /// `bank` may be null: then there is no contrastive term.
  TrmMlLossTerms forward(
      const TrmMlOutput& output,
      const TrmMlTargets& targets,
      const CategoryPrototypeBankImpl* bank = nullptr) {
    TrmMlLossTerms terms;
    terms.classification_region = classification(output.region_logits, targets);
    terms.total = options.region_weight() * terms.classification_region;
    terms.pseudo_region = pseudo(output.region_logits, targets);
    add(terms.total, options.pseudo_weight(), terms.pseudo_region);
    if (!output.query_logits.defined()) {
      return terms;
    }
    terms.classification_query = classification(output.query_logits, targets);
    add(terms.total, options.query_weight(), terms.classification_query);
    terms.pseudo_query = pseudo(output.query_logits, targets);
    add(terms.total, options.pseudo_weight(), terms.pseudo_query);
    terms.distillation = distillation(output);
    add(terms.total, options.distillation_weight(), terms.distillation);
    contrast(output, targets, bank, terms);
    return terms;
  }

  /// The options this module was built with.
  TrmMlLossOptions options;

  MultimodalContrastiveLoss contrastive{nullptr};

 private:
  static void add(at::Tensor& total, double weight, const at::Tensor& term) {
    if (term.defined()) {
      total = total + weight * term;
    }
  }

  at::Tensor classification(const at::Tensor& logits, const TrmMlTargets& targets)
      const {
    switch (options.unknown_labels()) {
      case UnknownLabels::kIgnored:
        return functional::partial_asymmetric_loss(
            logits, targets.labels, {}, options.classification());
      case UnknownLabels::kSplc:
        return functional::splc_loss(
            logits, targets.labels, targets.epoch >= 1, options.splc());
      case UnknownLabels::kAssumeAbsent:
        break;
    }
    if (targets.soft_targets.defined()) {
      const at::Tensor weights =
          at::ones_like(targets.soft_targets)
              .masked_fill(targets.labels.eq(0), options.soft_target_weight());
      return functional::soft_asymmetric_loss(
          logits, targets.soft_targets, weights, options.classification());
    }
    const WeightedLabels seen = functional::assume_absent(
        targets.labels,
        targets.pseudo_labels,
        options.absent_weight(),
        options.pseudo_positive_weight(),
        options.pseudo_absent_weight());
    return functional::partial_asymmetric_loss(
        logits, seen.labels, seen.weights, options.classification());
  }

  at::Tensor pseudo(const at::Tensor& logits, const TrmMlTargets& targets) const {
    if (options.unknown_labels() != UnknownLabels::kIgnored) {
      return {};
    }
    if (targets.soft_targets.defined()) {
      return functional::soft_asymmetric_loss(
          logits, targets.soft_targets, targets.labels.eq(0), options.classification());
    }
    if (targets.pseudo_labels.defined()) {
      return functional::partial_asymmetric_loss(
          logits, targets.pseudo_labels, {}, options.classification());
    }
    return {};
  }

  at::Tensor distillation(const TrmMlOutput& output) const {
    switch (options.distillation()) {
      case Distillation::kKl:
        return functional::distillation_kl(
            output.query_logits, output.region_logits, options.distillation_tau());
      case Distillation::kCosine:
        return functional::distillation_cosine(
            output.query_features, output.region_features);
      case Distillation::kNone:
        break;
    }
    return {};
  }

  void contrast(
      const TrmMlOutput& output,
      const TrmMlTargets& targets,
      const CategoryPrototypeBankImpl* bank,
      TrmMlLossTerms& terms) {
    if (options.contrastive_weight() == 0 || bank == nullptr ||
        !bank->visual_ready().any().item<bool>()) {
      return;
    }
    at::Tensor anchors = targets.labels;
    if (options.pseudo_anchors() && targets.pseudo_labels.defined()) {
      anchors = functional::merge_labels(targets.labels, targets.pseudo_labels);
    }
    const ContrastiveTerms contrast = contrastive->forward(
        {output.region_features, output.query_features},
        anchors,
        bank->visual().clone(),  // the bank changes before backward() may run
        bank->visual_ready(),
        output.text_features[0]);
    terms.contrastive_visual = contrast.visual;
    terms.contrastive_text = contrast.text;
    if (options.contrastive().feature_to_feature()) {
      terms.contrastive_feature = contrast.feature;
    }
    add(terms.total, options.contrastive_weight(), contrast.total());
  }
};

TORCH_MODULE(TrmMlLoss);

}  // namespace trmml
