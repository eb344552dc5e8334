#pragma once

#include "trmml/evaluation/matrix.hpp"

#include <Eigen/Core>

#include <cstdint>
#include <limits>
#include <string_view>

namespace trmml::evaluation {

/// What `pseudo_label_quality` returns. Fractions in [0, 1]; NaN where nothing was
/// there to divide by (no pseudo-positive, no hidden positive ...).
struct PseudoLabelQuality {
  static constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

  double positive_precision = kNone;  ///< of the pseudo-positives, how many are present
  double positive_recall = kNone;     ///< of the hidden positives, how many were found
  double negative_precision = kNone;  ///< of the pseudo-negatives, how many are absent
  double negative_recall = kNone;     ///< of the hidden negatives, how many were found
  double coverage = kNone;            ///< of the unknown entries, how many got a label

  std::int64_t unknown = 0;           ///< entries without an observed label
  std::int64_t pseudo_positives = 0;  ///< of them, labelled present
  std::int64_t pseudo_negatives = 0;  ///< of them, labelled absent
  std::int64_t hidden_positives = 0;  ///< of them, truly present
  std::int64_t hidden_negatives = 0;  ///< of them, truly absent
  std::int64_t right_positives = 0;   ///< labelled present and truly so
  std::int64_t right_negatives = 0;   ///< labelled absent and truly so
  std::int64_t false_positives = 0;   ///< labelled present, truly absent
  std::int64_t false_negatives = 0;   ///< labelled absent, truly present
};

namespace detail {

// An entry that was observed may be repeated or left 0, but never contradicted.
inline void check_agrees(
    const LabelsRef& labels,
    const LabelsRef& observed,
    std::string_view where,
    std::string_view expected) {
  for (Eigen::Index n = 0; n < observed.rows(); ++n) {
    for (Eigen::Index c = 0; c < observed.cols(); ++c) {
      if (labels(n, c) * observed(n, c) < 0) {
        fail_at(where, expected, labels(n, c), n, c, "are the rows in the same order?");
      }
    }
  }
}

inline double fraction(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? PseudoLabelQuality::kNone
                    : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace detail

/// How good pseudo-labels are, over the entries whose label was hidden from training.
///
/// Shapes: pseudo, truth, observed [N, C] in {-1, 0, +1}. `observed` is what training
/// saw: only entries where it is 0 count. `truth` is the hidden label; where it is 0
/// too (nobody knows), the entry counts in `coverage` only. `pseudo` is what was
/// guessed, 0 where no guess was made; at observed entries it is 0 or repeats the
/// observed label.
///
/// Throws `std::invalid_argument` on shapes that disagree, other labels, or a `pseudo`
/// or `truth` that contradicts an observed label.
///
/// Example:
/// ```
/// const auto quality = pseudo_label_quality(pseudo, truth, observed);
/// fmt::print("precision {:.3f} at coverage {:.3f}\n",
///            quality.positive_precision, quality.coverage);
/// ```
inline PseudoLabelQuality pseudo_label_quality(
    const LabelsRef& pseudo,
    const LabelsRef& truth,
    const LabelsRef& observed) {
  constexpr std::string_view kWhere = "pseudo_label_quality";
  detail::check_same_shape(pseudo.rows(), pseudo.cols(), truth, kWhere, "truth");
  detail::check_same_shape(pseudo.rows(), pseudo.cols(), observed, kWhere, "observed");
  detail::check_label_values(pseudo, kWhere, "pseudo");
  detail::check_label_values(truth, kWhere, "truth");
  detail::check_label_values(observed, kWhere, "observed");
  detail::check_agrees(
      pseudo, observed, kWhere, "pseudo-labels that keep the observed labels");
  detail::check_agrees(
      truth, observed, kWhere, "true labels that agree with the observed ones");

  PseudoLabelQuality quality;
  for (Eigen::Index n = 0; n < pseudo.rows(); ++n) {
    for (Eigen::Index c = 0; c < pseudo.cols(); ++c) {
      if (observed(n, c) != 0) {
        continue;
      }
      const int guess = pseudo(n, c);
      const int label = truth(n, c);
      ++quality.unknown;
      quality.pseudo_positives += guess > 0;
      quality.pseudo_negatives += guess < 0;
      quality.hidden_positives += label > 0;
      quality.hidden_negatives += label < 0;
      quality.right_positives += guess > 0 && label > 0;
      quality.right_negatives += guess < 0 && label < 0;
      quality.false_positives += guess > 0 && label < 0;
      quality.false_negatives += guess < 0 && label > 0;
    }
  }
  quality.positive_precision = detail::fraction(
      quality.right_positives, quality.right_positives + quality.false_positives);
  quality.positive_recall =
      detail::fraction(quality.right_positives, quality.hidden_positives);
  quality.negative_precision = detail::fraction(
      quality.right_negatives, quality.right_negatives + quality.false_negatives);
  quality.negative_recall =
      detail::fraction(quality.right_negatives, quality.hidden_negatives);
  quality.coverage = detail::fraction(
      quality.pseudo_positives + quality.pseudo_negatives, quality.unknown);
  return quality;
}

}  // namespace trmml::evaluation
