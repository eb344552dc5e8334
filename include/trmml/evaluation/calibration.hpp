#pragma once

#include "trmml/evaluation/matrix.hpp"

#include <Eigen/Core>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace trmml::evaluation {

/// The entries whose probability lies in [low, high); the last bin holds 1, too.
struct CalibrationBin {
  static constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

  double low = 0.0;
  double high = 1.0;
  std::int64_t entries = 0;
  double mean_probability = kNone;  ///< what the model said; NaN in an empty bin
  double fraction_present = kNone;  ///< what was there; NaN in an empty bin
};

/// What `calibration` returns. Fractions in [0, 1].
struct Calibration {
  double ECE = CalibrationBin::kNone;  ///< NaN without a known entry
  std::int64_t entries = 0;            ///< known and not ignored
  std::vector<CalibrationBin> bins;    ///< ascending, of equal width
};

namespace detail {

template <typename T>
Calibration calibration(
    const ScoresRef<T>& probabilities,
    const LabelsRef& labels,
    std::int64_t bins,
    const IgnoreRef& ignore) {
  constexpr std::string_view kWhere = "calibration";
  check_labels_and_mask(
      probabilities.rows(), probabilities.cols(), labels, ignore, kWhere);
  check_probabilities(probabilities, kWhere);
  if (bins < 1) {
    std::ostringstream text;
    text << kWhere << ": expected 1 bin or more, got " << bins;
    throw std::invalid_argument(text.str());
  }
  Calibration result;
  result.bins.resize(static_cast<std::size_t>(bins));
  const auto count = static_cast<double>(bins);
  for (std::int64_t m = 0; m < bins; ++m) {
    auto& bin = result.bins[static_cast<std::size_t>(m)];
    bin.low = static_cast<double>(m) / count;
    bin.high = static_cast<double>(m + 1) / count;
  }
  const auto bin_of = [&](double probability) {
    auto m = static_cast<std::size_t>(probability * count);
    m = m < result.bins.size() ? m : result.bins.size() - 1;
    if (probability < result.bins[m].low) {  // the product was rounded up, or down
      --m;
    } else if (probability >= result.bins[m].high && m + 1 < result.bins.size()) {
      ++m;
    }
    return m;
  };
  std::vector<double> sums(result.bins.size(), 0.0);
  std::vector<std::int64_t> present(result.bins.size(), 0);
  for (Eigen::Index n = 0; n < labels.rows(); ++n) {
    for (Eigen::Index c = 0; c < labels.cols(); ++c) {
      const bool is_ignored = ignore.size() != 0 && ignore(n, c);
      if (labels(n, c) != 0 && !is_ignored) {
        const auto probability = static_cast<double>(probabilities(n, c));
        const std::size_t m = bin_of(probability);
        ++result.bins[m].entries;
        sums[m] += probability;
        present[m] += labels(n, c) > 0;
      }
    }
  }
  double error = 0.0;
  for (std::size_t m = 0; m < result.bins.size(); ++m) {
    CalibrationBin& bin = result.bins[m];
    if (bin.entries > 0) {
      const auto entries = static_cast<double>(bin.entries);
      const auto hits = static_cast<double>(present[m]);
      bin.mean_probability = sums[m] / entries;
      bin.fraction_present = hits / entries;
      error += std::abs(hits - sums[m]);
      result.entries += bin.entries;
    }
  }
  if (result.entries > 0) {
    result.ECE = error / static_cast<double>(result.entries);
  }
  return result;
}

}  // namespace detail

/// Expected calibration error: of the entries that a model calls 30 % probable, are 30
/// % present?
///
/// Every known entry (picture, category) is one prediction of "present" with
/// probability p. They fall into M bins of equal width over [0, 1]; with \f$ n_m \f$
/// entries in bin m, their mean probability \f$ \bar p_m \f$ and the fraction
/// \f$ \bar y_m \f$ of them that is present,
/// \f[ ECE = \sum_{m=1}^{M} \frac{n_m}{\sum_j n_j} \, |\bar y_m - \bar p_m| \f]
/// Source: Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities
/// using Bayesian binning", 2015, for two classes, and M = 15 of Guo and others, "On
/// calibration of modern neural networks", 2017. (Their confidence is that of the
/// predicted class; with many categories a picture, it is that of presence.) Bins hold
/// their lower end. Most entries are absent, so the first bin weighs most: read the
/// bins.
///
/// Shapes: probabilities [N, C] in [0, 1] (apply the sigmoid to logits first); labels
/// [N, C] in {-1, 0, +1}, unknown entries are not counted; ignore [N, C] or empty,
/// entries that are not counted either. bins: 1 or more.
///
/// Throws `std::invalid_argument` on shapes that disagree, other labels, NaN, values
/// outside [0, 1], or no bins.
///
/// Example:
/// ```
/// const auto result = calibration(probabilities, labels);
/// fmt::print("ECE {:.3f}\n", result.ECE);
/// ```
inline Calibration calibration(
    const ScoresRef<float>& probabilities,
    const LabelsRef& labels,
    std::int64_t bins = 15,
    const IgnoreRef& ignore = IgnoreMask()) {
  return detail::calibration<float>(probabilities, labels, bins, ignore);
}

/// The same in double precision.
inline Calibration calibration(
    const ScoresRef<double>& probabilities,
    const LabelsRef& labels,
    std::int64_t bins = 15,
    const IgnoreRef& ignore = IgnoreMask()) {
  return detail::calibration<double>(probabilities, labels, bins, ignore);
}

}  // namespace trmml::evaluation
