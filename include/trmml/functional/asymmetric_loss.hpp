#pragma once

#include "trmml/core/check.hpp"
#include "trmml/functional/similarity.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>
#include <torch/arg.h>

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace trmml {

/// What the sum over entries of a classification loss is divided by.
enum class LossNormalisation {
  /// C / (sum of the weights of the entries used, at least 1): the loss keeps its size
  /// at every share of known labels, so the weights of other terms keep their meaning.
  kKnownEntries,
  /// 1 / B, the number of images.
  kBatch,
};

/// Options of the partial asymmetric loss. All values ours.
///
/// ```
/// auto options = AsymmetricLossOptions().gamma_neg(4).margin(0.0);
/// ```
struct AsymmetricLossOptions {
  /// Focusing exponent of present labels, >= 0 (default 1, ours).
  TORCH_ARG(double, gamma_pos) = 1.0;

  /// Focusing exponent of absent labels, >= 0 (default 2, ours).
  TORCH_ARG(double, gamma_neg) = 2.0;

  /// Probability below which an absent label costs nothing, in [0, 1) (default 0.05,
  /// ours).
  TORCH_ARG(double, margin) = 0.05;

  /// Smallest argument of a logarithm, in (0, 1) (default 1e-8, ours).
  TORCH_ARG(double, eps) = 1e-8;

  /// Divisor of the sum (default kKnownEntries, ours: +2 mAP on FashionScenes with 10 %
  /// of the labels known, against kBatch).
  TORCH_ARG(LossNormalisation, normalisation) = LossNormalisation::kKnownEntries;
};

/// Options of the SPLC form of the single-positive loss. All values ours.
struct SplcOptions {
  /// Probability above which an unknown label counts as present, in (0, 1). Default
  /// 0.6, ours; on FashionScenes 0.6 collapsed and 0.9 held.
  TORCH_ARG(double, threshold) = 0.6;

  /// Focal margin subtracted from the logits of present labels, >= 0 (default 1, ours).
  TORCH_ARG(double, margin) = 1.0;

  /// Focusing exponent, >= 0 (default 2, ours).
  TORCH_ARG(double, gamma) = 2.0;

  /// Smallest argument of a logarithm, in (0, 1) (default 1e-8, ours).
  TORCH_ARG(double, eps) = 1e-8;
};

/// Labels as a loss should see them, with the weight of each entry.
struct WeightedLabels {
  at::Tensor labels;   ///< [B, C] in {-1, 0, +1}
  at::Tensor weights;  ///< [B, C], >= 0
};

/// Throws `c10::ValueError` when an option is out of range; `where` opens the message.
inline void check_options(
    const AsymmetricLossOptions& options,
    std::string_view where) {
  TORCH_CHECK_VALUE(
      options.gamma_pos() >= 0 && options.gamma_neg() >= 0,
      where,
      ": expected gamma_pos and gamma_neg >= 0, got ",
      options.gamma_pos(),
      " and ",
      options.gamma_neg());
  TORCH_CHECK_VALUE(
      options.margin() >= 0 && options.margin() < 1,
      where,
      ": expected margin in [0, 1), got ",
      options.margin());
  TORCH_CHECK_VALUE(
      options.eps() > 0 && options.eps() < 1,
      where,
      ": expected eps in (0, 1), got ",
      options.eps());
}

/// Likewise for the SPLC form.
inline void check_options(const SplcOptions& options, std::string_view where) {
  TORCH_CHECK_VALUE(
      options.threshold() > 0 && options.threshold() < 1,
      where,
      ": expected threshold in (0, 1), got ",
      options.threshold());
  TORCH_CHECK_VALUE(
      options.margin() >= 0 && options.gamma() >= 0,
      where,
      ": expected margin and gamma >= 0, got ",
      options.margin(),
      " and ",
      options.gamma());
  TORCH_CHECK_VALUE(
      options.eps() > 0 && options.eps() < 1,
      where,
      ": expected eps in (0, 1), got ",
      options.eps());
}

}  // namespace trmml

namespace trmml::functional {

/// Cost of every entry if it were present and if it were absent.
struct AsymmetricCosts {
  at::Tensor present;  ///< [B, C] -(1-p)^g+ log p
  at::Tensor absent;   ///< [B, C] -p_m^g- log(1-p_m)
};

/// The two sides of the asymmetric loss before labels choose between them:
/// \f[ p = \sigma(z),\quad p_m = \max(p - m, 0),\quad
///     \ell^+ = -(1-p)^{\gamma^+}\log p,\quad
///     \ell^- = -p_m^{\gamma^-}\log(1-p_m) \f]
/// Ours. Focusing weights (the powers) carry no gradient. Where p < eps the gradient of
/// the present side is zero: logits below log(eps) = -18 no longer move.
inline AsymmetricCosts asymmetric_costs(
    const at::Tensor& logits,
    const AsymmetricLossOptions& options = {}) {
  check_floating(logits, "functional::asymmetric_costs", "logits");
  const at::Tensor p = promote_reduced(logits).sigmoid();
  const at::Tensor shifted = (p - options.margin()).clamp_min(0);
  const at::Tensor focus_pos = (1 - p.detach()).pow(options.gamma_pos());
  const at::Tensor focus_neg = shifted.detach().pow(options.gamma_neg());
  return {
      -focus_pos * p.clamp_min(options.eps()).log(),
      -focus_neg * (1 - shifted).clamp_min(options.eps()).log()};
}

/// Sums `costs` [B, C] with `weights` [B, C] and divides as `normalisation` says.
inline at::Tensor normalise_loss(
    const at::Tensor& costs,
    const at::Tensor& weights,
    LossNormalisation normalisation) {
  const at::Tensor sum = (costs * weights).sum();
  if (normalisation == LossNormalisation::kBatch) {
    return sum / static_cast<double>(std::max<int64_t>(1, costs.size(0)));
  }
  return sum * static_cast<double>(costs.size(1)) / weights.sum().clamp_min(1);
}

/// Partial asymmetric loss of known labels. Ours:
/// \f[ L = \frac{C}{\max(1, \sum_{bc} w_{bc} [y_{bc} \ne 0])} \sum_{bc} w_{bc}
///     \big( [y_{bc}=+1]\,\ell^+_{bc} + [y_{bc}=-1]\,\ell^-_{bc} \big) \f]
/// with the costs of `asymmetric_costs`; unknown entries contribute nothing.
///
/// Shapes (B images, C categories):
///   logits   [B, C]
///   labels   [B, C]  +1 present, -1 absent, 0 unknown
///   weights  [B, C]  >= 0; undefined counts as 1
///   returns  scalar; 0, with a graph, when every entry is unknown
/// Gradients reach the logits (and the weights, if they require one). Sees the values
/// of `labels`, hence synchronises. Throws `c10::ValueError` on shapes that disagree
/// and on labels outside {-1, 0, +1}.
/// ```
/// at::Tensor loss = functional::partial_asymmetric_loss(logits, labels);
/// ```
inline at::Tensor partial_asymmetric_loss(
    const at::Tensor& logits,
    const at::Tensor& labels,
    const at::Tensor& weights = {},
    const AsymmetricLossOptions& options = {}) {
  constexpr auto kWhere = "functional::partial_asymmetric_loss";
  check_shape(logits, {kAnySize, kAnySize}, kWhere, "logits");
  check_labels(labels, {logits.size(0), logits.size(1)}, kWhere);
  const AsymmetricCosts costs = asymmetric_costs(logits, options);
  at::Tensor used = labels.ne(0).to(costs.present.scalar_type());  // [B, C]
  if (weights.defined()) {
    check_shape(weights, {logits.size(0), logits.size(1)}, kWhere, "weights");
    used = used * weights.to(used.scalar_type());
  }
  return normalise_loss(
      at::where(labels.gt(0), costs.present, costs.absent),
      used,
      options.normalisation());
}

/// The same loss for soft targets: every entry costs t l+ + (1 - t) l-. Ours.
/// \f[ L = \frac{C}{\max(1, \sum w)} \sum_{bc} w_{bc}
///     \big( t_{bc}\,\ell^+_{bc} + (1 - t_{bc})\,\ell^-_{bc} \big) \f]
///
/// Shapes: logits, targets, weights [B, C]; targets in [0, 1] (not checked), weights
/// >= 0 (0 leaves an entry out; undefined counts as 1). Gradients reach the logits.
/// ```
/// auto loss = functional::soft_asymmetric_loss(logits, soft.targets, labels.eq(0));
/// ```
inline at::Tensor soft_asymmetric_loss(
    const at::Tensor& logits,
    const at::Tensor& targets,
    const at::Tensor& weights = {},
    const AsymmetricLossOptions& options = {}) {
  constexpr auto kWhere = "functional::soft_asymmetric_loss";
  check_shape(logits, {kAnySize, kAnySize}, kWhere, "logits");
  check_shape(targets, {logits.size(0), logits.size(1)}, kWhere, "targets");
  const AsymmetricCosts costs = asymmetric_costs(logits, options);
  const at::Tensor t = targets.to(costs.present.scalar_type());
  at::Tensor used = at::ones_like(t);
  if (weights.defined()) {
    check_shape(weights, {logits.size(0), logits.size(1)}, kWhere, "weights");
    used = weights.to(t.scalar_type());
  }
  return normalise_loss(
      t * costs.present + (1 - t) * costs.absent, used, options.normalisation());
}

/// Labels of the single-positive setting as the loss should see them: without known
/// absences an unknown label counts as absent, weakly; an accepted pseudo-label
/// replaces it. Ours.
///
///   entry                          label   weight
///   known (+1 or -1)               itself  1
///   unknown, pseudo-label +1       +1      `pseudo_positive_weight`
///   unknown, pseudo-label -1       -1      `pseudo_absent_weight`
///   unknown, no pseudo-label       -1      `absent_weight`
///
/// Shapes: labels, pseudo_labels [B, C] in {-1, 0, +1} (pseudo_labels may be
/// undefined); weights come as float. No gradient. The default weights are ours
/// (measured on FashionScenes).
/// ```
/// WeightedLabels seen = functional::assume_absent(labels, pseudo.labels);
/// auto loss = functional::partial_asymmetric_loss(z, seen.labels, seen.weights);
/// ```
inline WeightedLabels assume_absent(
    const at::Tensor& labels,
    const at::Tensor& pseudo_labels = {},
    double absent_weight = 0.3,
    double pseudo_positive_weight = 0.5,
    double pseudo_absent_weight = 1.0) {
  constexpr auto kWhere = "functional::assume_absent";
  check_labels(labels, {kAnySize, kAnySize}, kWhere);
  TORCH_CHECK_VALUE(
      absent_weight >= 0 && pseudo_positive_weight >= 0 && pseudo_absent_weight >= 0,
      kWhere,
      ": expected weights >= 0, got ",
      absent_weight,
      ", ",
      pseudo_positive_weight,
      " and ",
      pseudo_absent_weight);
  const at::Tensor known = labels.ne(0);
  at::Tensor seen = labels;
  if (pseudo_labels.defined()) {
    check_labels(
        pseudo_labels, {labels.size(0), labels.size(1)}, kWhere, "pseudo_labels");
    seen = at::where(known, labels, pseudo_labels.to(labels.scalar_type()));
  }
  at::Tensor weights =
      at::full_like(labels, absent_weight, labels.options().dtype(at::kFloat));
  weights.masked_fill_(seen.gt(0), pseudo_positive_weight);
  weights.masked_fill_(seen.lt(0), pseudo_absent_weight);
  weights.masked_fill_(known, 1.0);
  return {seen.masked_fill(seen.eq(0), -1), weights};
}

/// SPLC form of the single-positive loss: unknown counts as absent, except that (when
/// `correct`) a confident unknown counts as present. Ours as an option; on
/// FashionScenes weaker than `assume_absent`. \f[ p^+ = \sigma(z - m),\quad p^- =
/// \sigma(z),\quad
///     L = -\frac{1}{B} \sum_{bc} \begin{cases}
///       (1 - p^+)^\gamma \log p^+ & y=+1 \text{ or } (y=0,\ p^- > \theta)
///       \\ (p^-)^\gamma \log(1 - p^-) & \text{otherwise}\end{cases} \f]
///
/// Shapes: logits [B, C]; labels [B, C] in {-1, 0, +1}; returns a scalar. Focusing
/// weights and the correction carry no gradient. `correct` is to be false in the first
/// epoch.
/// ```
/// at::Tensor loss = functional::splc_loss(logits, labels, /*correct=*/epoch >= 1);
/// ```
inline at::Tensor splc_loss(
    const at::Tensor& logits,
    const at::Tensor& labels,
    bool correct,
    const SplcOptions& options = {}) {
  constexpr auto kWhere = "functional::splc_loss";
  check_shape(logits, {kAnySize, kAnySize}, kWhere, "logits");
  check_floating(logits, kWhere, "logits");
  check_labels(labels, {logits.size(0), logits.size(1)}, kWhere);
  const at::Tensor z = promote_reduced(logits);
  const at::Tensor p_pos = (z - options.margin()).sigmoid();
  const at::Tensor p_neg = z.sigmoid();
  at::Tensor present = labels.gt(0);
  if (correct) {
    const at::Tensor confident = p_neg.detach().gt(options.threshold());
    present = present.logical_or(labels.eq(0).logical_and(confident));
  }
  const at::Tensor focus =
      at::where(present, 1 - p_pos.detach(), p_neg.detach()).pow(options.gamma());
  const at::Tensor log_likelihood = at::where(
      present,
      p_pos.clamp_min(options.eps()).log(),
      (1 - p_neg).clamp_min(options.eps()).log());
  return -(focus * log_likelihood).sum() /
         static_cast<double>(std::max<int64_t>(1, z.size(0)));
}

}  // namespace trmml::functional
