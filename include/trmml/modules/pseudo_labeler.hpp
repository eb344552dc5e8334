#pragma once

#include "trmml/core/check.hpp"
#include "trmml/functional/pseudo_label.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>
#include <c10/util/StringUtil.h>
#include <torch/arg.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>

namespace trmml {

/// How `PseudoLabeler` turns evidence into labels.
enum class PseudoLabelPolicy {
  /// Rank by the relation evidence (`functional::relation_evidence`), shares of the
  /// expected positives and absences.
  kRelations,
  /// The same ranks, and soft targets around the rank of the expected positives.
  kRelationsSoft,
  /// Absolute thresholds on the model's probability.
  kThreshold,
  /// Thresholds per category on the relation evidence, which reach a wanted precision
  /// on the known labels.
  kPrecision,
  /// The rule of kRelations on the model's logit as evidence. It only repeats the
  /// model: at 5 % known it cost 5 mAP on FashionScenes.
  kRank,
  /// Unknown logits whose probability exceeds `splc_threshold` are present.
  kSplc,
};

/// What a policy expects as evidence.
enum class PseudoLabelEvidence { kRelations, kLogits, kProbabilities };

/// What `policy` expects as evidence; `training::Trainer` hands it that.
inline PseudoLabelEvidence evidence_of(PseudoLabelPolicy policy) {
  switch (policy) {
    case PseudoLabelPolicy::kRank:
    case PseudoLabelPolicy::kSplc:
      return PseudoLabelEvidence::kLogits;
    case PseudoLabelPolicy::kThreshold:
      return PseudoLabelEvidence::kProbabilities;
    default:
      return PseudoLabelEvidence::kRelations;
  }
}

/// Where the expected number of positives comes from.
enum class PositivePrior {
  /// The known labels of each category, shrunk to the pooled rate.
  kKnownLabels,
  /// `positives_per_image`, the same for every category.
  kUniform,
  /// `positives_per_image`, in proportion to the known positives.
  kProportional,
};

/// Options for `PseudoLabeler`. All values ours.
///
/// ```
/// PseudoLabelerOptions options;
/// options.policy(PseudoLabelPolicy::kRelationsSoft)
///     .prior(PositivePrior::kUniform)
///     .positives_per_image(2.9)
///     .negative_share(0);
/// ```
struct PseudoLabelerOptions {
  /// The rule (default kRelations, ours).
  TORCH_ARG(PseudoLabelPolicy, policy) = PseudoLabelPolicy::kRelations;

  /// Share of the expected positives that is accepted, in [0, 1] (default 0.6, ours).
  TORCH_ARG(double, positive_share) = 0.6;

  /// Share of the expected absences that is accepted, in [0, 1] (default 0.6, ours).
  TORCH_ARG(double, negative_share) = 0.6;

  /// Source of the expected positives (default kKnownLabels, ours). Single-positive
  /// labels know no absences and need one of the others.
  TORCH_ARG(PositivePrior, prior) = PositivePrior::kKnownLabels;

  /// Entries by which a category's known rate is shrunk to the pooled one, >= 0
  /// (default 5, ours). Used by kKnownLabels.
  TORCH_ARG(double, shrinkage) = 5.0;

  /// Expected positives of one picture, known ones included, > 0. Required by, and only
  /// allowed with, the priors kUniform and kProportional.
  TORCH_ARG(double, positives_per_image) = 0.0;

  /// Slope of the soft targets per unit of evidence, > 0 (default 2, ours).
  TORCH_ARG(double, softness) = 2.0;

  /// kThreshold: present at or above (default 0.8, ours); must exceed `lower`.
  TORCH_ARG(double, upper) = 0.8;

  /// kThreshold: absent at or below (default 0.05, ours).
  TORCH_ARG(double, lower) = 0.05;

  /// kPrecision: wanted precision of present labels, in (0, 1] (default 0.9, ours).
  TORCH_ARG(double, positive_precision) = 0.9;

  /// kPrecision: wanted precision of absent labels, in (0, 1] (default 0.98, ours).
  TORCH_ARG(double, negative_precision) = 0.98;

  /// kPrecision: known labels that a threshold must rest on, > 0 (default 3, ours).
  TORCH_ARG(int64_t, min_support) = 3;

  /// kSplc: probability above which unknown counts as present, in (0, 1) (default 0.6,
  /// ours; on FashionScenes 0.9 held where 0.6 collapsed).
  TORCH_ARG(double, splc_threshold) = 0.6;
};

/// What `PseudoLabeler::forward` returns.
struct PseudoLabels {
  at::Tensor labels;        ///< [N, C] int8: pseudo-labels; 0 where known or undecided
  at::Tensor soft_targets;  ///< [N, C] probability of presence; known entries 0 or 1;
                            ///< undecided entries of the hard policies 0.5
  at::Tensor positives;     ///< [C] int64, accepted positives
  at::Tensor negatives;     ///< [C] int64, accepted absences
};

/// Estimates unknown labels from evidence. That unknown labels are estimated from
/// intra- and inter-category relations in both modalities is [S] stated by the paper's
/// abstract; the policies are ours. With the default policy, per category: \f[ \tilde y
/// = +1 \text{ for the top } 0.6\,E^+_c,\quad
///     \tilde y = -1 \text{ for the bottom } 0.6\,(n^?_c - E^+_c) \f]
/// of the unknown entries by evidence, E+ from `functional::expected_positives`; with
/// kRelationsSoft also targets sigmoid(2 (u - u at rank E+)).
///
/// Shapes (N pictures of a training set or a batch, C categories):
///   evidence [N, C]  finite; larger is likelier present. See `evidence_of`; only
///                    kThreshold and kSplc depend on its scale
///   labels   [N, C]  in {-1, 0, +1}
/// Never changes a known entry; ties keep the order of the pictures. No gradient, no
/// parameters, no buffers, no random numbers. When nothing is known and the expectation
/// comes from the known labels, everything stays unknown.
/// Throws `c10::ValueError`: at construction for options that are out of range or
/// contradict each other; in forward for wrong shapes, labels, non-finite evidence
/// (names the category), and kKnownLabels on labels that know positives but no absence.
///
/// ```
/// PseudoLabeler labeler;
/// PseudoLabels pseudo = labeler->forward(evidence.combined, labels);
/// ```
class PseudoLabelerImpl : public torch::nn::Cloneable<PseudoLabelerImpl> {
 public:
  explicit PseudoLabelerImpl(const PseudoLabelerOptions& options_ = {});

  void reset() override {}
  void pretty_print(std::ostream& stream) const override;

  PseudoLabels forward(const at::Tensor& evidence, const at::Tensor& labels);

  /// E+ [C] by this module's prior: expected positives among the unknown entries.
  at::Tensor expected_positives(const at::Tensor& labels) const;

  /// Whether there is a rate to expect positives by: not with nothing known and the
  /// prior kKnownLabels.
  bool can_expect(const at::Tensor& labels) const {
    return options.prior() != PositivePrior::kKnownLabels ||
           labels.ne(0).any().item<bool>();
  }

  /// The options this module was built with.
  PseudoLabelerOptions options;

 private:
  at::Tensor decide(const at::Tensor& evidence, const at::Tensor& labels) const;
};

TORCH_MODULE(PseudoLabeler);

/// "relations", "relations-soft", "threshold", "precision", "rank" or "splc".
inline std::string to_string(PseudoLabelPolicy policy) {
  switch (policy) {
    case PseudoLabelPolicy::kRelations:
      return "relations";
    case PseudoLabelPolicy::kRelationsSoft:
      return "relations-soft";
    case PseudoLabelPolicy::kThreshold:
      return "threshold";
    case PseudoLabelPolicy::kPrecision:
      return "precision";
    case PseudoLabelPolicy::kRank:
      return "rank";
    case PseudoLabelPolicy::kSplc:
      return "splc";
  }
  return "unknown";
}

/// The inverse of `to_string`. Throws `c10::ValueError` for any other text.
inline PseudoLabelPolicy parse_pseudo_label_policy(std::string_view name) {
  std::string names;
  for (const auto policy :
       {PseudoLabelPolicy::kRelations,
        PseudoLabelPolicy::kRelationsSoft,
        PseudoLabelPolicy::kThreshold,
        PseudoLabelPolicy::kPrecision,
        PseudoLabelPolicy::kRank,
        PseudoLabelPolicy::kSplc}) {
    if (to_string(policy) == name) {
      return policy;
    }
    names += (names.empty() ? "" : ", ") + to_string(policy);
  }
  C10_THROW_ERROR(
      ValueError,
      c10::str(
          "parse_pseudo_label_policy: expected one of ",
          names,
          ", got \"",
          name,
          "\""));
}

inline PseudoLabelerImpl::PseudoLabelerImpl(const PseudoLabelerOptions& options_)
    : options(options_) {
  constexpr auto kWhere = "PseudoLabeler";
  const auto is_share = [](double value) { return value >= 0 && value <= 1; };
  TORCH_CHECK_VALUE(
      is_share(options.positive_share()) && is_share(options.negative_share()),
      kWhere,
      ": expected positive_share and negative_share in [0, 1], got ",
      options.positive_share(),
      " and ",
      options.negative_share());
  TORCH_CHECK_VALUE(
      options.shrinkage() >= 0,
      kWhere,
      ": expected shrinkage >= 0, got ",
      options.shrinkage());
  const bool from_known = options.prior() == PositivePrior::kKnownLabels;
  TORCH_CHECK_VALUE(
      from_known ? options.positives_per_image() == 0
                 : options.positives_per_image() > 0,
      kWhere,
      from_known ? ": expected no positives_per_image with prior kKnownLabels, got "
                 : ": expected positives_per_image > 0 with this prior, got ",
      options.positives_per_image());
  TORCH_CHECK_VALUE(
      options.softness() > 0,
      kWhere,
      ": expected softness > 0, got ",
      options.softness());
  TORCH_CHECK_VALUE(
      options.lower() < options.upper(),
      kWhere,
      ": expected lower < upper, got ",
      options.lower(),
      " and ",
      options.upper());
  TORCH_CHECK_VALUE(
      options.positive_precision() > 0 && options.positive_precision() <= 1 &&
          options.negative_precision() > 0 && options.negative_precision() <= 1,
      kWhere,
      ": expected positive_precision and negative_precision in (0, 1], got ",
      options.positive_precision(),
      " and ",
      options.negative_precision());
  TORCH_CHECK_VALUE(
      options.min_support() > 0,
      kWhere,
      ": expected min_support > 0, got ",
      options.min_support());
  TORCH_CHECK_VALUE(
      options.splc_threshold() > 0 && options.splc_threshold() < 1,
      kWhere,
      ": expected splc_threshold in (0, 1), got ",
      options.splc_threshold());
  PseudoLabelerImpl::reset();
}

inline PseudoLabels PseudoLabelerImpl::forward(
    const at::Tensor& evidence,
    const at::Tensor& labels) {
  constexpr auto kWhere = "PseudoLabeler::forward";
  const c10::NoGradGuard guard;
  check_shape(evidence, {kAnySize, kAnySize}, kWhere, "evidence");
  check_floating(evidence, kWhere, "evidence");
  check_labels(labels, {evidence.size(0), evidence.size(1)}, kWhere);
  functional::check_finite_evidence(evidence, kWhere);
  PseudoLabels pseudo;
  pseudo.labels = decide(evidence, labels);
  if (options.policy() == PseudoLabelPolicy::kRelationsSoft && can_expect(labels)) {
    pseudo.soft_targets = functional::rank_soft_targets(
        evidence, labels, expected_positives(labels), options.softness());
  } else {
    const at::Tensor seen =
        functional::merge_labels(labels, pseudo.labels).to(evidence.scalar_type());
    pseudo.soft_targets = (seen + 1) / 2;
  }
  pseudo.positives = pseudo.labels.gt(0).sum(0);
  pseudo.negatives = pseudo.labels.lt(0).sum(0);
  return pseudo;
}

inline at::Tensor PseudoLabelerImpl::decide(
    const at::Tensor& evidence,
    const at::Tensor& labels) const {
  switch (options.policy()) {
    case PseudoLabelPolicy::kRelations:
    case PseudoLabelPolicy::kRelationsSoft:
    case PseudoLabelPolicy::kRank:
      if (!can_expect(labels)) {
        return at::zeros_like(labels, labels.options().dtype(at::kChar));
      }
      return functional::rank_pseudo_labels(
          evidence,
          labels,
          expected_positives(labels),
          options.positive_share(),
          options.negative_share());
    case PseudoLabelPolicy::kThreshold: {
      const auto type = evidence.options();
      return functional::threshold_pseudo_labels(
          evidence,
          labels,
          at::scalar_tensor(options.upper(), type),
          at::scalar_tensor(options.lower(), type));
    }
    case PseudoLabelPolicy::kPrecision: {
      const CategoryThresholds thresholds = functional::precision_thresholds(
          evidence,
          labels,
          options.positive_precision(),
          options.negative_precision(),
          options.min_support());
      return functional::threshold_pseudo_labels(
          evidence, labels, thresholds.upper, thresholds.lower);
    }
    case PseudoLabelPolicy::kSplc:
      return functional::splc_pseudo_labels(evidence, labels, options.splc_threshold());
  }
  TORCH_INTERNAL_ASSERT(false, "PseudoLabeler: policy without a rule");
}

inline at::Tensor PseudoLabelerImpl::expected_positives(
    const at::Tensor& labels) const {
  if (options.prior() != PositivePrior::kKnownLabels) {
    return functional::expected_positives_from_prior(
        labels,
        options.positives_per_image(),
        options.prior() == PositivePrior::kUniform ? PriorShape::kUniform
                                                   : PriorShape::kProportional);
  }
  TORCH_CHECK_VALUE(
      labels.lt(0).any().item<bool>() || !labels.gt(0).any().item<bool>(),
      "PseudoLabeler::expected_positives: expected known absences beside the known "
      "positives, got none (single-positive labels need the prior kUniform or "
      "kProportional)");
  return functional::expected_positives(labels, options.shrinkage());
}

inline void PseudoLabelerImpl::pretty_print(std::ostream& stream) const {
  stream << "trmml::PseudoLabeler(policy=" << to_string(options.policy())
         << ", positive_share=" << options.positive_share()
         << ", negative_share=" << options.negative_share() << ")";
}

}  // namespace trmml
