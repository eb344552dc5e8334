#pragma once

#include "trmml/evaluation/matrix.hpp"

#include <Eigen/Core>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace trmml::evaluation {

/// Precision, recall and F1, per category and overall. Fractions in [0, 1].
///
/// With TP_c entries rightly predicted, M_c predicted and P_c positive in category c:
/// \f[ CP = \mathrm{mean}_c \frac{TP_c}{M_c}, \quad CR = \mathrm{mean}_c
/// \frac{TP_c}{P_c},
///     \quad OP = \frac{\sum TP_c}{\sum M_c}, \quad OR = \frac{\sum TP_c}{\sum P_c} \f]
/// "CF1" names two different numbers in published tables, so both are here by name.
///
/// A category in which nothing is predicted has precision 0. The class-wise means leave
/// out categories without a known positive (counted below); what was predicted there
/// still counts in OP. Every number is NaN when there is no known positive at all.
struct MultilabelMetrics {
  static constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

  double CP = kNone;
  double CR = kNone;
  double CF1_of_means = kNone;  ///< harmonic mean of CP and CR: most published tables
  double CF1_mean_of_classes = kNone;  ///< mean of each category's F1: scikit-learn's
  double OP = kNone;
  double OR = kNone;
  double OF1 = kNone;  ///< harmonic mean of OP and OR

  std::vector<double> per_class_precision;  ///< [C], NaN where left out
  std::vector<double> per_class_recall;     ///< [C], NaN where left out
  std::vector<double> per_class_F1;         ///< [C], NaN where left out
  std::int64_t evaluated = 0;               ///< categories in the class-wise means
  std::int64_t skipped_without_positive = 0;
};

namespace detail {

// What was counted in one category.
struct Counts {
  std::int64_t right = 0;      // predicted and present
  std::int64_t predicted = 0;  // predicted, label known
  std::int64_t positive = 0;   // present

  void add(bool is_predicted, bool is_present) {
    right += is_predicted && is_present;
    predicted += is_predicted;
    positive += is_present;
  }
};

inline double ratio(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

inline double harmonic_mean(double a, double b) {
  return a + b == 0.0 ? 0.0 : 2.0 * a * b / (a + b);
}

inline MultilabelMetrics metrics_from_counts(const std::vector<Counts>& counts) {
  MultilabelMetrics metrics;
  Counts total;
  for (const Counts& c : counts) {
    total.right += c.right;
    total.predicted += c.predicted;
    total.positive += c.positive;
    const bool counted = c.positive > 0;
    const double none = MultilabelMetrics::kNone;
    metrics.per_class_precision.push_back(counted ? ratio(c.right, c.predicted) : none);
    metrics.per_class_recall.push_back(counted ? ratio(c.right, c.positive) : none);
    metrics.per_class_F1.push_back(
        counted ? ratio(2 * c.right, c.predicted + c.positive) : none);
    ++(counted ? metrics.evaluated : metrics.skipped_without_positive);
  }
  if (total.positive == 0) {
    return metrics;
  }
  metrics.CP = mean_of_numbers(metrics.per_class_precision);
  metrics.CR = mean_of_numbers(metrics.per_class_recall);
  metrics.CF1_of_means = harmonic_mean(metrics.CP, metrics.CR);
  metrics.CF1_mean_of_classes = mean_of_numbers(metrics.per_class_F1);
  metrics.OP = ratio(total.right, total.predicted);
  metrics.OR = ratio(total.right, total.positive);
  metrics.OF1 = harmonic_mean(metrics.OP, metrics.OR);
  return metrics;
}

// Counts row `n`, of which `is_predicted(c)` says what is predicted; unknown and
// ignored entries are neither right nor wrong.
template <typename IsPredicted>
void count_row(
    const LabelsRef& labels,
    const IgnoreRef& ignore,
    Eigen::Index n,
    const IsPredicted& is_predicted,
    std::vector<Counts>& counts) {
  for (Eigen::Index c = 0; c < labels.cols(); ++c) {
    const bool is_ignored = ignore.size() != 0 && ignore(n, c);
    if (labels(n, c) != 0 && !is_ignored) {
      counts[static_cast<std::size_t>(c)].add(is_predicted(c), labels(n, c) > 0);
    }
  }
}

inline void check_threshold(double threshold, std::string_view where) {
  if (!(threshold >= 0.0 && threshold <= 1.0)) {
    std::ostringstream text;
    text << where << ": expected a threshold in [0, 1], got " << threshold;
    throw std::invalid_argument(text.str());
  }
}

template <typename T>
MultilabelMetrics metrics_at_threshold(
    const ScoresRef<T>& probabilities,
    const LabelsRef& labels,
    double threshold,
    const IgnoreRef& ignore) {
  constexpr std::string_view kWhere = "metrics_at_threshold";
  check_labels_and_mask(
      probabilities.rows(), probabilities.cols(), labels, ignore, kWhere);
  check_probabilities(probabilities, kWhere);
  check_threshold(threshold, kWhere);
  std::vector<Counts> counts(static_cast<std::size_t>(probabilities.cols()));
  for (Eigen::Index n = 0; n < probabilities.rows(); ++n) {
    const auto is_predicted = [&](Eigen::Index c) {
      return static_cast<double>(probabilities(n, c)) > threshold;
    };
    count_row(labels, ignore, n, is_predicted, counts);
  }
  return metrics_from_counts(counts);
}

template <typename T>
MultilabelMetrics metrics_at_top_k(
    const ScoresRef<T>& scores,
    const LabelsRef& labels,
    std::int64_t k,
    const IgnoreRef& ignore) {
  constexpr std::string_view kWhere = "metrics_at_top_k";
  check_labels_and_mask(scores.rows(), scores.cols(), labels, ignore, kWhere);
  check_no_nan(scores, kWhere);
  if (k < 1 || k > scores.cols()) {
    std::ostringstream text;
    text << kWhere << ": expected k from 1 to the number of categories ("
         << scores.cols() << "), got " << k;
    throw std::invalid_argument(text.str());
  }
  std::vector<Counts> counts(static_cast<std::size_t>(scores.cols()));
  std::vector<Eigen::Index> order(counts.size());
  std::vector<bool> is_chosen(counts.size());
  for (Eigen::Index n = 0; n < scores.rows(); ++n) {
    std::iota(order.begin(), order.end(), Eigen::Index{0});
    std::partial_sort(
        order.begin(),
        order.begin() + k,
        order.end(),
        [&](Eigen::Index left, Eigen::Index right) {
          const T a = scores(n, left);
          const T b = scores(n, right);
          return a > b || (a == b && left < right);
        });
    std::fill(is_chosen.begin(), is_chosen.end(), false);
    for (std::int64_t i = 0; i < k; ++i) {
      is_chosen[static_cast<std::size_t>(order[static_cast<std::size_t>(i)])] = true;
    }
    const auto is_predicted = [&](Eigen::Index c) -> bool {
      return is_chosen[static_cast<std::size_t>(c)];
    };
    count_row(labels, ignore, n, is_predicted, counts);
  }
  return metrics_from_counts(counts);
}

}  // namespace detail

/// CP, CR, CF1, OP, OR, OF1 where a category is predicted when its **probability** is
/// greater than `threshold`.
///
/// Shapes: probabilities [N, C] in [0, 1] (apply the sigmoid to logits first: a logit
/// outside [0, 1] is refused); labels [N, C] in {-1, 0, +1}, unknown entries are not
/// counted; ignore [N, C] or empty, entries that are not counted either.
/// threshold in [0, 1], dimensionless; 0.5 is the usual one, ASL's code uses 0.8.
///
/// Throws `std::invalid_argument` on shapes that disagree, other labels, NaN, values or
/// a threshold outside [0, 1].
///
/// Example:
/// ```
/// const auto metrics = metrics_at_threshold(probabilities, labels, 0.5);
/// fmt::print("CF1 {:.1f} %\n", 100 * metrics.CF1_of_means);
/// ```
inline MultilabelMetrics metrics_at_threshold(
    const ScoresRef<float>& probabilities,
    const LabelsRef& labels,
    double threshold = 0.5,
    const IgnoreRef& ignore = IgnoreMask()) {
  return detail::metrics_at_threshold<float>(probabilities, labels, threshold, ignore);
}

/// The same in double precision.
inline MultilabelMetrics metrics_at_threshold(
    const ScoresRef<double>& probabilities,
    const LabelsRef& labels,
    double threshold = 0.5,
    const IgnoreRef& ignore = IgnoreMask()) {
  return detail::metrics_at_threshold<double>(probabilities, labels, threshold, ignore);
}

/// CP, CR, CF1, OP, OR, OF1 where the `k` categories of highest score are predicted for
/// each picture (of equal scores, the earlier category).
///
/// The k are chosen among all categories, so that what is predicted does not depend on
/// which labels are known; those whose label is unknown or ignored are then not
/// counted.
///
/// Shapes: scores [N, C] of any scale; labels and ignore as in `metrics_at_threshold`.
/// Throws `std::invalid_argument` on shapes that disagree, other labels, NaN scores, or
/// k outside 1..C.
///
/// Example:
/// ```
/// const auto metrics = metrics_at_top_k(scores, labels, 3);
/// ```
inline MultilabelMetrics metrics_at_top_k(
    const ScoresRef<float>& scores,
    const LabelsRef& labels,
    std::int64_t k = 3,
    const IgnoreRef& ignore = IgnoreMask()) {
  return detail::metrics_at_top_k<float>(scores, labels, k, ignore);
}

/// The same in double precision.
inline MultilabelMetrics metrics_at_top_k(
    const ScoresRef<double>& scores,
    const LabelsRef& labels,
    std::int64_t k = 3,
    const IgnoreRef& ignore = IgnoreMask()) {
  return detail::metrics_at_top_k<double>(scores, labels, k, ignore);
}

}  // namespace trmml::evaluation
