#pragma once

#include "trmml/evaluation/matrix.hpp"
#include "trmml/evaluation/multilabel_metrics.hpp"
#include "trmml/evaluation/ranking.hpp"

#include <Eigen/Core>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace trmml::evaluation {

/// What `choose_thresholds` returns.
struct Thresholds {
  std::vector<double> values;  ///< [C] in [0, 1]
  std::vector<double> F1;      ///< [C] on what they were chosen on; NaN: not chosen
};

namespace detail {

// The threshold of a category, and the F1 that it reaches; NaN and NaN without a
// positive. `ranking` descends.
template <typename T>
void choose_threshold(const Ranking<T>& ranking, double& threshold, double& F1) {
  threshold = F1 = std::numeric_limits<double>::quiet_NaN();
  const std::int64_t positives = count_positives(ranking);
  std::int64_t right = 0;
  for (std::size_t k = 0; k < ranking.size() && positives > 0; ++k) {
    right += ranking[k].is_positive();
    const auto score = static_cast<double>(ranking[k].score);
    const auto next =
        k + 1 < ranking.size() ? static_cast<double>(ranking[k + 1].score) : 0.0;
    if (score == next) {
      continue;  // no threshold divides equal scores, nor is one below 0
    }
    const double reached =
        ratio(2 * right, static_cast<std::int64_t>(k) + 1 + positives);
    if (!(reached <= F1)) {
      F1 = reached;
      threshold = next + (score - next) / 2;
      if (threshold >= score) {
        threshold = next;  // neighbours in floating point
      }
    }
  }
}

template <typename T>
Thresholds choose_thresholds(
    const ScoresRef<T>& probabilities,
    const LabelsRef& labels,
    double otherwise,
    const IgnoreRef& ignore) {
  constexpr std::string_view kWhere = "choose_thresholds";
  check_labels_and_mask(
      probabilities.rows(), probabilities.cols(), labels, ignore, kWhere);
  check_probabilities(probabilities, kWhere);
  check_threshold(otherwise, kWhere);
  Thresholds result;
  for_each_ranking<T>(
      probabilities,
      labels,
      ignore,
      kWhere,
      [&](Eigen::Index, const Ranking<T>& ranking) {
        double threshold = 0.0;
        double F1 = 0.0;
        choose_threshold(ranking, threshold, F1);
        result.values.push_back(F1 > 0.0 ? threshold : otherwise);
        result.F1.push_back(F1 > 0.0 ? F1 : MultilabelMetrics::kNone);
      });
  return result;
}

template <typename T>
MultilabelMetrics metrics_at_thresholds(
    const ScoresRef<T>& probabilities,
    const LabelsRef& labels,
    const std::vector<double>& thresholds,
    const IgnoreRef& ignore) {
  constexpr std::string_view kWhere = "metrics_at_thresholds";
  check_labels_and_mask(
      probabilities.rows(), probabilities.cols(), labels, ignore, kWhere);
  check_probabilities(probabilities, kWhere);
  if (static_cast<Eigen::Index>(thresholds.size()) != probabilities.cols()) {
    std::ostringstream text;
    text << kWhere << ": expected a threshold for each of " << probabilities.cols()
         << " categories, got " << thresholds.size();
    throw std::invalid_argument(text.str());
  }
  for (const double threshold : thresholds) {
    check_threshold(threshold, kWhere);
  }
  std::vector<Counts> counts(thresholds.size());
  for (Eigen::Index n = 0; n < probabilities.rows(); ++n) {
    const auto is_predicted = [&](Eigen::Index c) {
      return static_cast<double>(probabilities(n, c)) >
             thresholds[static_cast<std::size_t>(c)];
    };
    count_row(labels, ignore, n, is_predicted, counts);
  }
  return metrics_from_counts(counts);
}

}  // namespace detail

/// For each category the threshold that makes its F1 greatest, where a category is
/// predicted when its **probability** is greater than the threshold. Choose them on
/// pictures that are neither trained nor tested on.
///
/// With TP_c(t) entries rightly predicted, M_c(t) predicted, P_c present:
/// \f[ t_c = \mathrm{argmax}_t \frac{2\,TP_c(t)}{M_c(t) + P_c} \f]
/// A threshold stands halfway between two neighbouring probabilities (the lowest one's
/// neighbour is 0); of several with the same F1 the highest counts, which predicts
/// least. Lipton, Elkan and Narayanaswamy (2014) look at this choice: with few
/// positives it is noisy, and with probabilities that tell nothing it predicts
/// everything.
///
/// A category without a known positive, or whose positives all have probability 0, has
/// the threshold `otherwise`, and NaN as its F1.
///
/// Shapes: probabilities [N, C] in [0, 1]; labels [N, C] in {-1, 0, +1}, unknown
/// entries are not counted; ignore [N, C] or empty, entries that are not counted
/// either. Time N log N for a category. Throws `std::invalid_argument` on shapes that
/// disagree, other labels, NaN, or values outside [0, 1], `otherwise` among them.
///
/// Example:
/// ```
/// const auto chosen = choose_thresholds(held_out_probabilities, held_out_labels);
/// const auto metrics = metrics_at_thresholds(probabilities, labels, chosen.values);
/// ```
inline Thresholds choose_thresholds(
    const ScoresRef<float>& probabilities,
    const LabelsRef& labels,
    double otherwise = 0.5,
    const IgnoreRef& ignore = IgnoreMask()) {
  return detail::choose_thresholds<float>(probabilities, labels, otherwise, ignore);
}

/// The same in double precision.
inline Thresholds choose_thresholds(
    const ScoresRef<double>& probabilities,
    const LabelsRef& labels,
    double otherwise = 0.5,
    const IgnoreRef& ignore = IgnoreMask()) {
  return detail::choose_thresholds<double>(probabilities, labels, otherwise, ignore);
}

/// `metrics_at_threshold` with a threshold for each category, [C].
///
/// Throws what that throws, and `std::invalid_argument` unless there are C thresholds.
inline MultilabelMetrics metrics_at_thresholds(
    const ScoresRef<float>& probabilities,
    const LabelsRef& labels,
    const std::vector<double>& thresholds,
    const IgnoreRef& ignore = IgnoreMask()) {
  return detail::metrics_at_thresholds<float>(
      probabilities, labels, thresholds, ignore);
}

/// The same in double precision.
inline MultilabelMetrics metrics_at_thresholds(
    const ScoresRef<double>& probabilities,
    const LabelsRef& labels,
    const std::vector<double>& thresholds,
    const IgnoreRef& ignore = IgnoreMask()) {
  return detail::metrics_at_thresholds<double>(
      probabilities, labels, thresholds, ignore);
}

}  // namespace trmml::evaluation
