#pragma once

#include "trmml/core/check.hpp"
#include "trmml/functional/similarity.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string_view>
#include <tuple>
#include <vector>

namespace trmml {

/// How expected positives are spread over the categories when a prior gives their sum.
enum class PriorShape {
  kUniform,       ///< the same number for every category
  kProportional,  ///< in proportion to the known positives of each category
};

/// The pieces of evidence of `functional::relation_evidence`, before they are combined.
struct RelationEvidence {
  at::Tensor prototypes;  ///< [N, C] e1, visual prototypes, positive minus negative
  at::Tensor relation;    ///< [N, C] e2, text prototypes, relation between categories
  at::Tensor zero_shot;   ///< [N, C] e3, zero-shot score of the picture
  at::Tensor combined;    ///< [N, C] u, mean of the standardised pieces
};

/// Thresholds per category.
struct CategoryThresholds {
  at::Tensor upper;  ///< [C] present at or above; +inf where none was found
  at::Tensor lower;  ///< [C] absent at or below; -inf where none was found
};

}  // namespace trmml

namespace trmml::functional {

/// First piece of the evidence: is the category's feature nearer to the positive than
/// to the negative visual prototype of its category? \f[ e_1 = \langle q_{nc},
/// P_c\rangle - \langle q_{nc}, N_c\rangle \f] That relations to the prototypes of both
/// modalities estimate unknown labels is [S] stated by the paper's abstract; this form
/// is ours.
///
/// Shapes: query_features [N, C, D] (normalised here), positive and negative [C, D] (as
/// the bank holds them: zero where a prototype does not exist yet); returns [N, C]. A
/// category without a positive prototype gets 0: it is left out. One without a negative
/// prototype is judged by the positive one alone.
/// ```
/// auto e1 = functional::prototype_evidence(q, bank->visual(), bank->negative());
/// ```
inline at::Tensor prototype_evidence(
    const at::Tensor& query_features,
    const at::Tensor& positive,
    const at::Tensor& negative) {
  constexpr auto kWhere = "functional::prototype_evidence";
  check_shape(query_features, {kAnySize, kAnySize, kAnySize}, kWhere, "query_features");
  const int64_t categories = query_features.size(1);
  check_shape(positive, {categories, query_features.size(2)}, kWhere, "positive");
  check_shape(negative, {categories, query_features.size(2)}, kWhere, "negative");
  const at::Tensor q = l2_normalise(promote_reduced(query_features));
  const at::Tensor exists = positive.ne(0).any(-1, /*keepdim=*/true);  // [C, 1]
  const at::Tensor direction = (positive - negative) * exists;
  return (q * direction.to(q.scalar_type())).sum(-1);
}

/// Second piece of the evidence: how much the category's region feature prefers its own
/// text prototype to those of all other categories.
/// \f[ e_2 = \log\big( \mathrm{softmax}_k(\langle r_{nc}, T_k\rangle / t)[c] + f \big)
/// \f] Ours. T are the frozen text features of "a photo of a {name}.", which training
/// cannot pull along.
///
/// Shapes: region_features [N, C, D] and text_features [C, D] (both normalised here);
/// returns [N, C]. `temperature` t > 0 (default 0.05, ours). `floor` f >= 0 (default
/// 1e-4, ours) keeps one hopeless entry from stretching the standardisation; 0 gives
/// the plain logarithm. Computed in chunks: [N, C, C] never stands in memory whole.
/// ```
/// auto e2 = functional::text_relation_evidence(match.region_features, frozen_text);
/// ```
inline at::Tensor text_relation_evidence(
    const at::Tensor& region_features,
    const at::Tensor& text_features,
    double temperature = 0.05,
    double floor = 1e-4) {
  constexpr auto kWhere = "functional::text_relation_evidence";
  check_shape(
      region_features, {kAnySize, kAnySize, kAnySize}, kWhere, "region_features");
  const int64_t categories = region_features.size(1);
  check_shape(
      text_features, {categories, region_features.size(2)}, kWhere, "text_features");
  TORCH_CHECK_VALUE(
      temperature > 0 && floor >= 0,
      kWhere,
      ": expected temperature > 0 and floor >= 0, got ",
      temperature,
      " and ",
      floor);
  const at::Tensor rows = promote_reduced(region_features).flatten(0, 1);  // [N * C, D]
  const at::Tensor text = l2_normalise(text_features.to(rows.scalar_type())).t();
  const at::Tensor own =
      at::arange(
          rows.size(0), text_features.options().dtype(at::kLong).requires_grad(false))
          .remainder(std::max<int64_t>(1, categories));  // [N * C]
  const int64_t chunk =
      std::max<int64_t>(1, kChunkElements / std::max<int64_t>(1, categories));
  std::vector<at::Tensor> parts;
  for (int64_t start = 0; start < rows.size(0); start += chunk) {
    const int64_t length = std::min(chunk, rows.size(0) - start);
    const at::Tensor logits =
        l2_normalise(rows.narrow(0, start, length)).matmul(text) / temperature;
    const at::Tensor log_share =
        logits.log_softmax(1).gather(1, own.narrow(0, start, length).unsqueeze(1));
    parts.push_back(log_share.squeeze(1));
  }
  if (parts.empty()) {
    return at::full({region_features.size(0), categories}, 0.0, rows.options());
  }
  const at::Tensor log_share =
      at::cat(parts, 0).view({region_features.size(0), categories});
  return floor > 0 ? (log_share.exp() + floor).log() : log_share;
}

/// Scores made comparable between categories: minus the mean, over the standard
/// deviation (population form) of each category over the N pictures. Ours. A constant
/// category becomes zero.
///
/// Shapes: scores [N, C] -> [N, C].
/// ```
/// at::Tensor standard = functional::standardise_per_category(scores);
/// ```
inline at::Tensor standardise_per_category(const at::Tensor& scores) {
  check_shape(
      scores, {kAnySize, kAnySize}, "functional::standardise_per_category", "scores");
  constexpr double kEps = 1e-6;
  const at::Tensor centred = scores - scores.mean(0, /*keepdim=*/true);
  const at::Tensor deviation = centred.square().mean(0, /*keepdim=*/true).sqrt();
  return centred / (deviation + kEps);
}

/// Weighted mean of the standardised pieces: one ranking of the pictures per category.
/// Ours.
///
/// Shapes: each piece [N, C]; at least one. `weights`: one for each piece, >= 0, not
/// all 0; empty (default): all equal. To be computed over the whole training set: a
/// batch has too few pictures to standardise.
/// ```
/// at::Tensor u = functional::combine_evidence({e1, e2, e3}, {0.3, 1, 1});
/// ```
inline at::Tensor combine_evidence(
    const std::vector<at::Tensor>& pieces,
    const std::vector<double>& weights = {}) {
  constexpr auto kWhere = "functional::combine_evidence";
  TORCH_CHECK_VALUE(!pieces.empty(), kWhere, ": expected at least one piece, got 0");
  TORCH_CHECK_VALUE(
      weights.empty() || weights.size() == pieces.size(),
      kWhere,
      ": expected one weight for each of ",
      pieces.size(),
      " pieces, got ",
      weights.size());
  at::Tensor sum;
  double total = 0.0;
  for (size_t i = 0; i < pieces.size(); ++i) {
    check_shape(
        pieces[i],
        {pieces.front().size(0), pieces.front().size(1)},
        kWhere,
        "every piece");
    const double weight = weights.empty() ? 1.0 : weights[i];
    TORCH_CHECK_VALUE(weight >= 0, kWhere, ": expected weights >= 0, got ", weight);
    const at::Tensor part = weight * standardise_per_category(pieces[i]);
    sum = sum.defined() ? sum + part : part;
    total += weight;
  }
  TORCH_CHECK_VALUE(total > 0, kWhere, ": expected a weight > 0, got only zeros");
  return sum / total;
}

/// The evidence of policy kRelations: intra- and inter-category relations of every
/// training picture to the prototypes of both modalities ([S]; the three pieces and
/// their combination are ours). The model's own logit is left out on purpose: it only
/// repeats the model.
///
/// Shapes (N pictures, C categories, D joint width): query_features and region_features
/// [N, C, D]; positive, negative, text_features [C, D]; zero_shot [N, C], computed once
/// by `zero_shot_scores`. `temperature` and `floor` as in `text_relation_evidence`.
/// Call it under a `NoGradGuard`.
/// ```
/// auto evidence = functional::relation_evidence(
///     q, r, bank->visual(), bank->negative(), frozen_text, zero_shot);
/// PseudoLabels pseudo = labeler->forward(evidence.combined, labels);
/// ```
inline RelationEvidence relation_evidence(
    const at::Tensor& query_features,
    const at::Tensor& region_features,
    const at::Tensor& positive,
    const at::Tensor& negative,
    const at::Tensor& text_features,
    const at::Tensor& zero_shot,
    double temperature = 0.05,
    double floor = 1e-4) {
  RelationEvidence evidence;
  evidence.prototypes = prototype_evidence(query_features, positive, negative);
  evidence.relation =
      text_relation_evidence(region_features, text_features, temperature, floor);
  check_shape(
      zero_shot,
      {query_features.size(0), query_features.size(1)},
      "functional::relation_evidence",
      "zero_shot");
  evidence.zero_shot = zero_shot;
  evidence.combined = combine_evidence(
      {evidence.prototypes,
       evidence.relation,
       zero_shot.to(evidence.relation.scalar_type())});
  return evidence;
}

/// Throws `c10::ValueError` that names the category when `evidence` [N, C] holds a NaN
/// or an infinity.
inline void check_finite_evidence(const at::Tensor& evidence, std::string_view where) {
  const at::Tensor wrong = evidence.isfinite().logical_not();
  if (!wrong.any().item<bool>()) {
    return;
  }
  const at::Tensor first = wrong.nonzero()[0].cpu();
  const int64_t image = first[0].item<int64_t>();
  const int64_t category = first[1].item<int64_t>();
  TORCH_CHECK_VALUE(
      false,
      where,
      ": expected finite evidence, got ",
      evidence[image][category].item<double>(),
      " in category ",
      category,
      " (picture ",
      image,
      ")");
}

/// Expected positives among the unknown entries of each category, from the known ones:
/// \f[ E^+_c = n^?_c\, \frac{k^+_c + s\,\pi}{k^+_c + k^-_c + s},\qquad
///     \pi = \frac{\sum_c k^+_c}{\max(1, \sum_c k^+_c + k^-_c)} \f]
/// the known rate, shrunk towards the pooled rate by s entries. Ours.
///
/// Shapes: labels [N, C] in {-1, 0, +1} -> [C] double. `shrinkage` s >= 0 (default 5,
/// ours). Nothing can be estimated without any known label: then all zero.
/// ```
/// at::Tensor expected = functional::expected_positives(labels);
/// ```
inline at::Tensor expected_positives(const at::Tensor& labels, double shrinkage = 5.0) {
  constexpr auto kWhere = "functional::expected_positives";
  check_labels(labels, {kAnySize, kAnySize}, kWhere);
  TORCH_CHECK_VALUE(
      shrinkage >= 0, kWhere, ": expected shrinkage >= 0, got ", shrinkage);
  const at::Tensor positives = labels.gt(0).sum(0).to(at::kDouble);
  const at::Tensor absences = labels.lt(0).sum(0).to(at::kDouble);
  const at::Tensor unknown = labels.eq(0).sum(0).to(at::kDouble);
  const at::Tensor known = positives + absences;
  const at::Tensor pooled = positives.sum() / known.sum().clamp_min(1);
  constexpr double kTiny = 1e-300;  // shrinkage 0 and nothing known: 0, not 0 / 0
  return unknown * (positives + pooled * shrinkage) /
         (known + shrinkage).clamp_min(kTiny);
}

/// Expected positives among the unknown entries of each category, from a prior: N
/// pictures with `positives_per_image` positives each, less the known ones, spread over
/// the categories. For single-positive labels, which know no absences. Ours.
///
/// Shapes: labels [N, C] in {-1, 0, +1} -> [C] double, between 0 and the number of
/// unknown entries. `positives_per_image` > 0. kProportional without any known positive
/// is kUniform.
/// ```
/// at::Tensor expected = functional::expected_positives_from_prior(labels, 2.9);
/// ```
inline at::Tensor expected_positives_from_prior(
    const at::Tensor& labels,
    double positives_per_image,
    PriorShape shape = PriorShape::kUniform) {
  constexpr auto kWhere = "functional::expected_positives_from_prior";
  check_labels(labels, {kAnySize, kAnySize}, kWhere);
  TORCH_CHECK_VALUE(
      positives_per_image > 0 &&
          positives_per_image <= static_cast<double>(labels.size(1)),
      kWhere,
      ": expected positives_per_image in (0, ",
      labels.size(1),
      "], got ",
      positives_per_image);
  const at::Tensor positives = labels.gt(0).sum(0).to(at::kDouble);
  const at::Tensor unknown = labels.eq(0).sum(0).to(at::kDouble);
  const at::Tensor known = positives.sum();
  const at::Tensor missing =
      (-known + static_cast<double>(labels.size(0)) * positives_per_image).clamp_min(0);
  const at::Tensor uniform =
      at::full_like(positives, 1.0 / static_cast<double>(labels.size(1)));
  at::Tensor share = uniform;
  if (shape == PriorShape::kProportional) {
    share = at::where(known.gt(0), positives / known.clamp_min(1), uniform);
  }
  return (share * missing).minimum(unknown);
}

/// Rank of every unknown entry within its category, by descending evidence: 0 is the
/// most likely present. Ties keep the order of the pictures. Known entries come last,
/// in the ranks from n_unknown on.
///
/// Shapes: evidence, labels [N, C] -> [N, C] int64.
inline at::Tensor unknown_ranks(const at::Tensor& evidence, const at::Tensor& labels) {
  const at::Tensor order = std::get<1>(
      evidence.masked_fill(labels.ne(0), -std::numeric_limits<double>::infinity())
          .sort(/*stable=*/true, /*dim=*/0, /*descending=*/true));
  const at::Tensor positions = at::arange(order.size(0), order.options());
  return at::empty_like(order).scatter_(
      0, order, positions.unsqueeze(1).expand_as(order).contiguous());
}

/// Pseudo-labels by rank: in every category the unknown entries with the largest
/// evidence become present and those with the smallest absent, as many as a share of
/// what is expected. Needs no calibrated threshold. Ours.
///   +1 for the top `positive_share` E+ unknown entries,
///   -1 for the bottom `negative_share` (n_unknown - E+), else 0; known entries 0
///
/// Shapes (N pictures, C categories): evidence [N, C] finite, labels [N, C] in
/// {-1, 0, +1}, expected [C] E+; returns [N, C] int8. Shares in [0, 1] (default 0.6
/// each, ours). Numbers of entries are rounded down. No gradient.
/// ```
/// auto pseudo = functional::rank_pseudo_labels(u, labels, expected_positives(labels));
/// ```
inline at::Tensor rank_pseudo_labels(
    const at::Tensor& evidence,
    const at::Tensor& labels,
    const at::Tensor& expected,
    double positive_share = 0.6,
    double negative_share = 0.6) {
  constexpr auto kWhere = "functional::rank_pseudo_labels";
  TORCH_CHECK_VALUE(
      positive_share >= 0 && positive_share <= 1 && negative_share >= 0 &&
          negative_share <= 1,
      kWhere,
      ": expected shares in [0, 1], got ",
      positive_share,
      " and ",
      negative_share);
  check_shape(evidence, {kAnySize, kAnySize}, kWhere, "evidence");
  check_labels(labels, {evidence.size(0), evidence.size(1)}, kWhere);
  check_shape(expected, {evidence.size(1)}, kWhere, "expected");
  check_finite_evidence(evidence, kWhere);
  const at::Tensor unknown = labels.eq(0);
  const at::Tensor n_unknown = unknown.sum(0);  // [C]
  const at::Tensor likely =
      expected.to(at::kDouble).minimum(n_unknown.to(at::kDouble)).clamp_min(0);
  const at::Tensor n_present = (likely * positive_share).floor().to(at::kLong);
  const at::Tensor n_absent =
      ((n_unknown - likely) * negative_share).floor().to(at::kLong);
  const at::Tensor ranks = unknown_ranks(evidence.detach(), labels);  // [N, C]
  const at::Tensor present = unknown.logical_and(ranks.lt(n_present));
  const at::Tensor absent = unknown.logical_and(ranks.ge(n_unknown - n_absent));
  return present.to(at::kChar) - absent.to(at::kChar);
}

/// Soft targets by rank: how far the evidence of an entry lies above that of the entry
/// at rank E+ of its category. Ours. \f[ t_{nc} = \sigma(k (u_{nc} - u_c^{(E^+)})) \f]
/// for unknown entries; known ones are 1 or 0.
///
/// Shapes as in `rank_pseudo_labels`; returns [N, C] in [0, 1], in the type of the
/// evidence. `softness` k > 0 per unit of evidence (default 2, ours). No gradient.
/// ```
/// at::Tensor targets = functional::rank_soft_targets(u, labels, expected);
/// ```
inline at::Tensor rank_soft_targets(
    const at::Tensor& evidence,
    const at::Tensor& labels,
    const at::Tensor& expected,
    double softness = 2.0) {
  constexpr auto kWhere = "functional::rank_soft_targets";
  TORCH_CHECK_VALUE(softness > 0, kWhere, ": expected softness > 0, got ", softness);
  check_shape(evidence, {kAnySize, kAnySize}, kWhere, "evidence");
  check_labels(labels, {evidence.size(0), evidence.size(1)}, kWhere);
  check_shape(expected, {evidence.size(1)}, kWhere, "expected");
  check_finite_evidence(evidence, kWhere);
  if (evidence.size(0) == 0) {
    return evidence.detach().clone();
  }
  const at::Tensor u = evidence.detach();
  const at::Tensor last = (labels.eq(0).sum(0) - 1).clamp_min(0);  // [C]
  const at::Tensor rank = expected.floor().to(at::kLong).clamp_min(0).minimum(last);
  const at::Tensor descending =
      std::get<0>(u.masked_fill(labels.ne(0), -std::numeric_limits<double>::infinity())
                      .sort(/*stable=*/true, /*dim=*/0, /*descending=*/true));
  const at::Tensor border = descending.gather(0, rank.unsqueeze(0));  // [1, C]
  const at::Tensor soft = ((u - border) * softness).sigmoid();
  return at::where(labels.eq(0), soft, labels.gt(0).to(soft.scalar_type()));
}

/// Pseudo-labels by thresholds: +1 where the evidence of an unknown entry is at or
/// above `upper`, -1 where it is at or below `lower`, 0 where neither or both hold and
/// at known entries. Ours.
///
/// Shapes: evidence, labels [N, C]; upper, lower [C] (or scalars); returns [N, C] int8.
/// ```
/// auto pseudo = functional::threshold_pseudo_labels(u, labels, t.upper, t.lower);
/// ```
inline at::Tensor threshold_pseudo_labels(
    const at::Tensor& evidence,
    const at::Tensor& labels,
    const at::Tensor& upper,
    const at::Tensor& lower) {
  constexpr auto kWhere = "functional::threshold_pseudo_labels";
  check_shape(evidence, {kAnySize, kAnySize}, kWhere, "evidence");
  check_labels(labels, {evidence.size(0), evidence.size(1)}, kWhere);
  check_finite_evidence(evidence, kWhere);
  const at::Tensor unknown = labels.eq(0);
  const at::Tensor present = unknown.logical_and(evidence.ge(upper));
  const at::Tensor absent = unknown.logical_and(evidence.le(lower));
  return present.to(at::kChar) - absent.to(at::kChar);
}

/// Thresholds per category from the known labels: `upper` is the lowest evidence above
/// which known labels are present with at least `positive_precision`, `lower` the
/// highest below which they are absent with at least `negative_precision`. Ours.
///
/// A threshold rests on at least `min_support` known labels beyond it, and a category
/// with fewer than `min_support` known positives or absences gets none (infinite).
/// Entries of equal evidence fall on the same side. Shapes: evidence, labels [N, C];
/// returns [C] each. Works on the CPU, one category after the other.
/// ```
/// auto thresholds = functional::precision_thresholds(u, labels, 0.9, 0.98);
/// ```
inline CategoryThresholds precision_thresholds(
    const at::Tensor& evidence,
    const at::Tensor& labels,
    double positive_precision = 0.9,
    double negative_precision = 0.98,
    int64_t min_support = 3) {
  constexpr auto kWhere = "functional::precision_thresholds";
  check_shape(evidence, {kAnySize, kAnySize}, kWhere, "evidence");
  check_labels(labels, {evidence.size(0), evidence.size(1)}, kWhere);
  check_finite_evidence(evidence, kWhere);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  struct Known {
    double evidence;
    bool present;
  };
  const at::Tensor scores =
      evidence.detach().to(at::kCPU, at::kDouble).t().contiguous();
  const at::Tensor states = labels.to(at::kCPU, at::kChar).t().contiguous();  // [C, N]
  const int64_t n = scores.size(1);

  // From the extreme end inwards: the last place where the precision still holds.
  const auto last_good = [&](const std::vector<Known>& ranked,
                             bool present,
                             double precision) {
    int64_t hits = 0;
    int64_t found = -1;
    const int64_t size = static_cast<int64_t>(ranked.size());
    for (int64_t i = 0; i < size; ++i) {
      const Known& entry = ranked[static_cast<size_t>(i)];
      hits += entry.present == present ? 1 : 0;
      const bool tied =
          i + 1 < size && ranked[static_cast<size_t>(i) + 1].evidence == entry.evidence;
      if (!tied && i + 1 >= min_support && hits >= precision * (i + 1)) {
        found = i;
      }
    }
    return found;
  };

  std::vector<double> upper(static_cast<size_t>(scores.size(0)), kInfinity);
  std::vector<double> lower(static_cast<size_t>(scores.size(0)), -kInfinity);
  for (int64_t c = 0; c < scores.size(0); ++c) {
    std::vector<Known> ranked;
    int64_t positives = 0;
    for (int64_t i = 0; i < n; ++i) {
      const int8_t state = states.data_ptr<int8_t>()[c * n + i];
      if (state != 0) {
        ranked.push_back({scores.data_ptr<double>()[c * n + i], state > 0});
        positives += state > 0 ? 1 : 0;
      }
    }
    const int64_t absences = static_cast<int64_t>(ranked.size()) - positives;
    if (positives < min_support || absences < min_support) {
      continue;
    }
    std::stable_sort(ranked.begin(), ranked.end(), [](const Known& a, const Known& b) {
      return a.evidence > b.evidence;
    });
    if (const int64_t i = last_good(ranked, true, positive_precision); i >= 0) {
      upper[static_cast<size_t>(c)] = ranked[static_cast<size_t>(i)].evidence;
    }
    std::reverse(ranked.begin(), ranked.end());
    if (const int64_t i = last_good(ranked, false, negative_precision); i >= 0) {
      lower[static_cast<size_t>(c)] = ranked[static_cast<size_t>(i)].evidence;
    }
  }
  const auto to_tensor = [&](const std::vector<double>& values) {
    return at::tensor(values, at::kDouble)
        .to(evidence.device(), evidence.scalar_type());
  };
  return {to_tensor(upper), to_tensor(lower)};
}

/// Pseudo-labels of the SPLC form: an unknown entry whose probability exceeds
/// `threshold` counts as present; no absences are issued. Ours as an option.
///
/// Shapes: logits, labels [N, C] -> [N, C] int8. `threshold` in (0, 1) (default 0.6).
inline at::Tensor splc_pseudo_labels(
    const at::Tensor& logits,
    const at::Tensor& labels,
    double threshold = 0.6) {
  constexpr auto kWhere = "functional::splc_pseudo_labels";
  TORCH_CHECK_VALUE(
      threshold > 0 && threshold < 1,
      kWhere,
      ": expected a threshold in (0, 1), got ",
      threshold);
  check_shape(logits, {kAnySize, kAnySize}, kWhere, "logits");
  check_labels(labels, {logits.size(0), logits.size(1)}, kWhere);
  check_finite_evidence(logits, kWhere);
  return labels.eq(0).logical_and(logits.sigmoid().gt(threshold)).to(at::kChar);
}

/// Known labels where they exist, pseudo-labels elsewhere.
///
/// Shapes: labels, pseudo_labels [N, C] -> [N, C] in the type of `labels`. Never
/// changes a known entry.
inline at::Tensor merge_labels(
    const at::Tensor& labels,
    const at::Tensor& pseudo_labels) {
  constexpr auto kWhere = "functional::merge_labels";
  check_labels(labels, {kAnySize, kAnySize}, kWhere);
  check_labels(
      pseudo_labels, {labels.size(0), labels.size(1)}, kWhere, "pseudo_labels");
  return at::where(labels.eq(0), pseudo_labels.to(labels.scalar_type()), labels);
}

/// Unknown entries that the model holds for absent, as labels: for settings without
/// known absences, whose negative prototypes need some. Ours (default 0.1).
///
/// Shapes: logits, labels [B, C] -> labels with -1 where an unknown entry has
/// sigmoid(logit) < `below`, in [0, 1]. No gradient.
/// ```
/// bank->update(q, functional::confident_absences(region_logits, labels), text);
/// ```
inline at::Tensor confident_absences(
    const at::Tensor& logits,
    const at::Tensor& labels,
    double below = 0.1) {
  constexpr auto kWhere = "functional::confident_absences";
  TORCH_CHECK_VALUE(
      below >= 0 && below <= 1, kWhere, ": expected `below` in [0, 1], got ", below);
  check_labels(labels, {kAnySize, kAnySize}, kWhere);
  check_shape(logits, {labels.size(0), labels.size(1)}, kWhere, "logits");
  return labels.masked_fill(
      labels.eq(0).logical_and(logits.detach().sigmoid().lt(below)), -1);
}

/// Weight of the pseudo-label loss: the fewer labels are known, the more it counts.
/// Ours: \f[ \lambda = \mathrm{clip}\Big( \frac{25}{\frac1C \sum_c k^+_c}, 0.3, 3 \Big)
/// \f] with the known positives k+ of each category over the training set.
///
/// Shapes: labels [N, C]. `reference` is the number of known positives a category at
/// which the weight is 1; 0 <= `smallest` <= `largest`.
/// ```
/// const double weight = functional::pseudo_label_weight(training_labels);
/// ```
inline double pseudo_label_weight(
    const at::Tensor& labels,
    double reference = 25.0,
    double smallest = 0.3,
    double largest = 3.0) {
  constexpr auto kWhere = "functional::pseudo_label_weight";
  check_labels(labels, {kAnySize, kAnySize}, kWhere);
  TORCH_CHECK_VALUE(
      reference > 0 && smallest >= 0 && smallest <= largest,
      kWhere,
      ": expected reference > 0 and 0 <= smallest <= largest, got ",
      reference,
      ", ",
      smallest,
      " and ",
      largest);
  const double known = labels.gt(0).sum().item<double>();
  const double mean = known / static_cast<double>(std::max<int64_t>(1, labels.size(1)));
  return mean > 0 ? std::clamp(reference / mean, smallest, largest) : largest;
}

}  // namespace trmml::functional
