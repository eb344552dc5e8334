#pragma once

#include "trmml/evaluation/matrix.hpp"
#include "trmml/evaluation/ranking.hpp"

#include <Eigen/Core>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace trmml::evaluation {

/// The definitions of average precision in use. Their values differ by up to a few
/// points on the same scores, so a number is only worth something with its name.
enum class ApDefinition {
  /// (a) Mean of the precision at each positive, in descending order of the scores,
  /// entries of equal score in the order of their rows; the denominator is P + 1e-8.
  /// DualCoOp, SCPNet, ASL, SPLC. The default here.
  kPrecisionAtPositives,
  /// (b) All-point interpolation as in VOC from 2010 on: the precision is first made
  /// monotone from the right. HCP, Query2Label. Never below (a).
  kInterpolated,
  /// (c) Entries of equal score share one step of the curve, as in scikit-learn's
  /// `average_precision_score`. Cole and others. Equals (a) (but for its 1e-8) when no
  /// two scores are equal.
  kTieGrouped,
};

/// All of them, in the order of the enumeration.
inline constexpr std::array<ApDefinition, 3> kApDefinitions = {
    ApDefinition::kPrecisionAtPositives,
    ApDefinition::kInterpolated,
    ApDefinition::kTieGrouped};

/// `precision_at_positives`, `interpolated` or `tie_grouped`.
inline std::string to_string(ApDefinition definition) {
  switch (definition) {
    case ApDefinition::kPrecisionAtPositives:
      return "precision_at_positives";
    case ApDefinition::kInterpolated:
      return "interpolated";
    case ApDefinition::kTieGrouped:
      return "tie_grouped";
  }
  throw std::invalid_argument("to_string: expected a definition of average precision");
}

/// The inverse of `to_string`. Throws `std::invalid_argument` on any other text.
inline ApDefinition parse_ap_definition(std::string_view name) {
  for (const ApDefinition definition : kApDefinitions) {
    if (name == to_string(definition)) {
      return definition;
    }
  }
  throw std::invalid_argument(
      "parse_ap_definition: expected precision_at_positives, interpolated or "
      "tie_grouped, got '" +
      std::string(name) + "'");
}

/// What `mean_average_precision` returns. Fractions in [0, 1].
struct MeanAveragePrecision {
  ApDefinition definition = ApDefinition::kPrecisionAtPositives;
  double mAP = std::numeric_limits<double>::quiet_NaN();  ///< NaN if all were skipped
  std::vector<double> per_class;                          ///< [C], NaN where skipped
  std::int64_t evaluated = 0;                             ///< categories in the mean
  std::int64_t skipped_without_positive =
      0;  ///< no known positive (nor, maybe, negative)
  std::int64_t skipped_without_negative = 0;  ///< known positives only
};

namespace detail {

inline constexpr double kApEpsilon = 1e-8;  // of definition (a)

template <typename T>
double precision_at_positives(const Ranking<T>& ranking, double positives) {
  double hits = 0.0;
  double sum = 0.0;
  for (std::size_t rank = 0; rank < ranking.size(); ++rank) {
    if (ranking[rank].is_positive()) {
      hits += 1.0;
      sum += hits / static_cast<double>(rank + 1);
    }
  }
  return sum / (positives + kApEpsilon);
}

template <typename T>
double interpolated(const Ranking<T>& ranking, double positives) {
  double hits = positives;
  double highest = 0.0;  // precision at this rank or any later one
  double sum = 0.0;
  for (std::size_t rank = ranking.size(); rank-- > 0;) {
    if (ranking[rank].is_positive()) {
      highest = std::max(highest, hits / static_cast<double>(rank + 1));
      sum += highest;
      hits -= 1.0;
    }
  }
  return sum / positives;
}

template <typename T>
double tie_grouped(const Ranking<T>& ranking, double positives) {
  double hits = 0.0;
  double sum = 0.0;
  for (std::size_t begin = 0; begin < ranking.size();) {
    std::size_t end = begin;
    double new_hits = 0.0;
    for (; end < ranking.size() && ranking[end].score == ranking[begin].score; ++end) {
      new_hits += ranking[end].is_positive() ? 1.0 : 0.0;
    }
    hits += new_hits;
    sum += new_hits * hits / static_cast<double>(end);
    begin = end;
  }
  return sum / positives;
}

// NaN without a positive.
template <typename T>
double ranking_ap(const Ranking<T>& ranking, ApDefinition definition) {
  const auto positives = static_cast<double>(count_positives(ranking));
  if (positives == 0.0) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  switch (definition) {
    case ApDefinition::kPrecisionAtPositives:
      return precision_at_positives(ranking, positives);
    case ApDefinition::kInterpolated:
      return interpolated(ranking, positives);
    case ApDefinition::kTieGrouped:
      return tie_grouped(ranking, positives);
  }
  throw std::invalid_argument(
      "average_precision: expected a definition of average precision");
}

template <typename T>
double average_precision(
    const ScoreColumnRef<T>& scores,
    const LabelColumnRef& labels,
    ApDefinition definition) {
  constexpr std::string_view kWhere = "average_precision";
  check_labels_and_mask(scores.rows(), 1, labels, IgnoreMask(), kWhere);
  check_no_nan(scores, kWhere);
  Ranking<T> ranking;
  ranking.reserve(static_cast<std::size_t>(scores.size()));
  for (Eigen::Index n = 0; n < scores.size(); ++n) {
    if (labels(n) != 0) {
      ranking.emplace_back(scores(n), n, labels(n) > 0);
    }
  }
  Ranking<T> spare;
  sort_ranking(ranking, spare);
  return ranking_ap(ranking, definition);
}

// One ranking a category, from which every definition asked for is computed.
template <typename T, std::size_t Count>
std::array<MeanAveragePrecision, Count> mean_average_precisions(
    const ScoresRef<T>& scores,
    const LabelsRef& labels,
    const std::array<ApDefinition, Count>& definitions,
    const IgnoreRef& ignore) {
  constexpr std::string_view kWhere = "mean_average_precision";
  check_labels_and_mask(scores.rows(), scores.cols(), labels, ignore, kWhere);
  check_no_nan(scores, kWhere);

  MeanAveragePrecision empty;
  empty.per_class.assign(
      static_cast<std::size_t>(scores.cols()),
      std::numeric_limits<double>::quiet_NaN());
  std::array<MeanAveragePrecision, Count> results;
  results.fill(empty);

  const auto use = [&](Eigen::Index c, const Ranking<T>& ranking) {
    const std::int64_t positives = count_positives(ranking);
    const bool all_positive = positives == static_cast<std::int64_t>(ranking.size());
    for (std::size_t i = 0; i < Count; ++i) {
      if (positives == 0) {
        ++results[i].skipped_without_positive;
      } else if (all_positive) {
        ++results[i].skipped_without_negative;
      } else {
        ++results[i].evaluated;
        results[i].per_class[static_cast<std::size_t>(c)] =
            ranking_ap(ranking, definitions[i]);
      }
    }
  };
  for_each_ranking<T>(scores, labels, ignore, kWhere, use);
  for (std::size_t i = 0; i < Count; ++i) {
    results[i].definition = definitions[i];
    results[i].mAP = mean_of_numbers(results[i].per_class);
  }
  return results;
}

}  // namespace detail

/// Average precision of one category: how well its scores put the pictures that have it
/// before those that do not.
///
/// With the known entries in descending order of score, h(k) positives among the first
/// k, and P positives in all:
/// \f[ (a)\ \frac{1}{P + 10^{-8}} \sum_{k:\,y_k=+1} \frac{h(k)}{k}, \quad
///     (b)\ \frac{1}{P} \sum_{k:\,y_k=+1} \max_{j \ge k} \frac{h(j)}{j}, \quad
///     (c)\ \frac{1}{P} \sum_{g} \bigl(h(e_g) - h(e_{g-1})\bigr) \frac{h(e_g)}{e_g} \f]
/// where e_g is the last rank of the g-th group of equal scores.
///
/// Shapes: scores [N], labels [N] in {-1, 0, +1}; unknown entries (0) leave the
/// ranking. Scores may be of any scale (logits or probabilities), also infinite.
///
/// Returns a fraction in [0, 1]; NaN without a known positive.
/// Throws `std::invalid_argument` on shapes that disagree, other labels, NaN scores.
///
/// Example:
/// ```
/// const double ap = average_precision(scores.col(c), labels.col(c));
/// ```
inline double average_precision(
    const ScoreColumnRef<float>& scores,
    const LabelColumnRef& labels,
    ApDefinition definition = ApDefinition::kPrecisionAtPositives) {
  return detail::average_precision<float>(scores, labels, definition);
}

/// The same for scores in double precision.
inline double average_precision(
    const ScoreColumnRef<double>& scores,
    const LabelColumnRef& labels,
    ApDefinition definition = ApDefinition::kPrecisionAtPositives) {
  return detail::average_precision<double>(scores, labels, definition);
}

/// The mean over categories of `average_precision`.
///
/// Categories without a known positive or without a known negative say nothing about
/// the ranking: they are left out of the mean, counted, and NaN in `per_class`. (One
/// that has neither counts as without a positive.)
///
/// Shapes: scores [N, C]; labels [N, C] in {-1, 0, +1}, unknown entries leave their
/// category's ranking; ignore [N, C] or empty, entries that leave it too.
///
/// Works on some columns at a time: memory grows with N only, and so does the time of a
/// category (a counting sort).
/// Throws `std::invalid_argument` on shapes that disagree, other labels, NaN scores
/// (the message names row and column).
///
/// Example:
/// ```
/// const auto result = mean_average_precision(scores, labels);
/// fmt::print("mAP {:.1f} %\n", 100 * result.mAP);
/// ```
inline MeanAveragePrecision mean_average_precision(
    const ScoresRef<float>& scores,
    const LabelsRef& labels,
    ApDefinition definition = ApDefinition::kPrecisionAtPositives,
    const IgnoreRef& ignore = IgnoreMask()) {
  return detail::mean_average_precisions<float, 1>(scores, labels, {definition}, ignore)
      .front();
}

/// The same for scores in double precision.
inline MeanAveragePrecision mean_average_precision(
    const ScoresRef<double>& scores,
    const LabelsRef& labels,
    ApDefinition definition = ApDefinition::kPrecisionAtPositives,
    const IgnoreRef& ignore = IgnoreMask()) {
  return detail::mean_average_precisions<double, 1>(
             scores, labels, {definition}, ignore)
      .front();
}

/// `mean_average_precision` in every definition, in the order of `kApDefinitions`, for
/// the price of one ranking.
///
/// Example:
/// ```
/// for (const auto& result : mean_average_precision_by_definition(scores, labels)) {
///   fmt::print("{} {:.1f} %\n", to_string(result.definition), 100 * result.mAP);
/// }
/// ```
inline std::array<MeanAveragePrecision, 3> mean_average_precision_by_definition(
    const ScoresRef<float>& scores,
    const LabelsRef& labels,
    const IgnoreRef& ignore = IgnoreMask()) {
  return detail::mean_average_precisions<float>(scores, labels, kApDefinitions, ignore);
}

/// The same for scores in double precision.
inline std::array<MeanAveragePrecision, 3> mean_average_precision_by_definition(
    const ScoresRef<double>& scores,
    const LabelsRef& labels,
    const IgnoreRef& ignore = IgnoreMask()) {
  return detail::mean_average_precisions<double>(
      scores, labels, kApDefinitions, ignore);
}

}  // namespace trmml::evaluation
