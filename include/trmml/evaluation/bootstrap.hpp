#pragma once

#include "trmml/evaluation/average_precision.hpp"
#include "trmml/evaluation/matrix.hpp"
#include "trmml/evaluation/ranking.hpp"

#include <Eigen/Core>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace trmml::evaluation {

/// How `bootstrap_mean_average_precision` resamples.
struct BootstrapOptions {
  std::int64_t replicates = 1000;  ///< resamples, 1 or more
  double confidence = 0.95;        ///< of the interval, in (0, 1)
  std::uint64_t seed = 0;
};

/// What `bootstrap_mean_average_precision` returns. Fractions in [0, 1].
struct BootstrapInterval {
  static constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

  ApDefinition definition = ApDefinition::kPrecisionAtPositives;
  BootstrapOptions options;
  double low = kNone;              ///< lower end of the interval
  double high = kNone;             ///< upper end
  double standard_error = kNone;   ///< standard deviation of the replicates
  std::vector<double> replicates;  ///< mAP of each resample in which it exists
};

namespace detail {

// Replicates that are computed side by side, in vector instructions.
inline constexpr std::size_t kLanes = 64;

template <typename T>
using Lanes = std::array<T, kLanes>;

// A number from 0 to n - 1, each as likely; n < 2^32. The standard fixes the numbers of
// the engine but not those of its distributions, so this is Lemire's method ("Fast
// random integer generation in an interval", 2019).
inline std::uint32_t uniform_below(std::mt19937_64& engine, std::uint32_t n) {
  const std::uint32_t biased = (0U - n) % n;
  while (true) {
    const std::uint64_t product = (engine() >> 32) * n;
    if (static_cast<std::uint32_t>(product) >= biased) {
      return static_cast<std::uint32_t>(product >> 32);
    }
  }
}

// How often each row is drawn in each of `kLanes` resamples of N rows out of N, with
// replacement; of the lanes, the first `count` are drawn. (A row is drawn 256 times
// with a probability below 1e-500.)
inline std::vector<Lanes<std::uint8_t>>
draw_weights(std::mt19937_64& engine, Eigen::Index rows, std::size_t count) {
  std::vector<Lanes<std::uint8_t>> weights(
      static_cast<std::size_t>(rows), Lanes<std::uint8_t>{});
  for (std::size_t lane = 0; lane < count; ++lane) {
    for (Eigen::Index i = 0; i < rows; ++i) {
      ++weights[uniform_below(engine, static_cast<std::uint32_t>(rows))][lane];
    }
  }
  return weights;
}

// Average precision of one ranking in `kLanes` resamples of its rows, each of which
// stands there as often as its weight says. Exactly what the definitions give for the
// longer ranking; NaN where a resample has no positive or no negative.
template <typename T>
class ResampledAp {
 public:
  ResampledAp(
      const Ranking<T>& ranking,
      const std::vector<Lanes<std::uint8_t>>& weights)
      : ranking_(ranking), weights_(weights) {
    for (std::size_t k = 0; k < ranking.size(); ++k) {
      if (ranking[k].is_positive()) {
        positives_.push_back(k);
      }
    }
  }

  Lanes<double> operator()(ApDefinition definition) const {
    const bool has_epsilon = definition == ApDefinition::kPrecisionAtPositives;
    Curve curve = curve_of(definition);
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const std::uint32_t present = curve.hits[lane];
      curve.sum[lane] =
          present == 0 || present == curve.seen[lane]
              ? BootstrapInterval::kNone
              : curve.sum[lane] / (present + (has_epsilon ? kApEpsilon : 0.0));
    }
    return curve.sum;
  }

 private:
  // Of the entries so far: their weight, that of the positives, and the sum of the
  // precisions.
  struct Curve {
    Lanes<std::uint32_t> seen{};
    Lanes<std::uint32_t> hits{};
    Lanes<double> sum{};
  };

  Curve curve_of(ApDefinition definition) const {
    switch (definition) {
      case ApDefinition::kPrecisionAtPositives:
        return at_positives();
      case ApDefinition::kInterpolated:
        return at_interpolated();
      case ApDefinition::kTieGrouped:
        return at_groups();
    }
    throw std::invalid_argument(
        "bootstrap_mean_average_precision: expected a definition of average precision");
  }

  const Lanes<std::uint8_t>& weights_at(std::size_t k) const {
    return weights_[ranking_[k].row()];
  }

  template <typename Weight>
  static void add(Lanes<std::uint32_t>& sum, const Lanes<Weight>& weight) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      sum[lane] += weight[lane];
    }
  }

  // The weight of the entries [begin, end): where nearly all the time goes, hence 16
  // bits as long as they suffice. Without the prefetch it takes ten times as long.
  Lanes<std::uint32_t> weight_of(std::size_t begin, std::size_t end) const {
    constexpr std::size_t kMostEntries = 257;  // 257 * 255 < 2^16
    constexpr std::size_t kAhead = 12;
    Lanes<std::uint32_t> sum{};
    while (begin < end) {
      const std::size_t stop = std::min(end, begin + kMostEntries);
      Lanes<std::uint16_t> part{};
      for (; begin < stop; ++begin) {
        __builtin_prefetch(&weights_at(std::min(begin + kAhead, ranking_.size() - 1)));
        const Lanes<std::uint8_t>& weight = weights_at(begin);
        for (std::size_t lane = 0; lane < kLanes; ++lane) {
          part[lane] = static_cast<std::uint16_t>(part[lane] + weight[lane]);
        }
      }
      add(sum, part);
    }
    return sum;
  }

  // A row of weight w is w equal entries, so w steps of the curve.
  Curve at_positives() const {
    Curve curve;
    std::size_t next = 0;  // the first entry that is not in `seen`
    for (const std::size_t k : positives_) {
      add(curve.seen, weight_of(next, k));
      next = k + 1;
      const Lanes<std::uint8_t>& weight = weights_at(k);
      for (std::size_t lane = 0; lane < kLanes; ++lane) {
        for (int i = 0; i < weight[lane]; ++i) {
          curve.sum[lane] +=
              static_cast<double>(++curve.hits[lane]) / ++curve.seen[lane];
        }
      }
    }
    add(curve.seen, weight_of(next, ranking_.size()));
    return curve;
  }

  // From the right. Among w equal entries the last has the highest precision.
  Curve at_interpolated() const {
    Curve curve;
    curve.seen = weight_of(0, ranking_.size());
    for (const std::size_t k : positives_) {
      add(curve.hits, weights_at(k));
    }
    Lanes<std::uint32_t> seen = curve.seen;
    Lanes<std::uint32_t> hits = curve.hits;
    Lanes<double> highest{};
    std::size_t end = ranking_.size();  // entries from here on left `seen`
    for (std::size_t i = positives_.size(); i-- > 0;) {
      const std::size_t k = positives_[i];
      const Lanes<std::uint32_t> after = weight_of(k + 1, end);
      end = k;
      const Lanes<std::uint8_t>& weight = weights_at(k);
      for (std::size_t lane = 0; lane < kLanes; ++lane) {
        seen[lane] -= after[lane];
        if (weight[lane] != 0) {
          highest[lane] =
              std::max(highest[lane], static_cast<double>(hits[lane]) / seen[lane]);
          curve.sum[lane] += weight[lane] * highest[lane];
          seen[lane] -= weight[lane];
          hits[lane] -= weight[lane];
        }
      }
    }
    return curve;
  }

  // A step for each group of equal scores that holds a positive.
  Curve at_groups() const {
    Curve curve;
    std::size_t next = 0;
    for (std::size_t i = 0; i < positives_.size();) {
      const T score = ranking_[positives_[i]].score;
      std::size_t end = positives_[i] + 1;
      while (end < ranking_.size() && ranking_[end].score == score) {
        ++end;
      }
      Lanes<std::uint32_t> new_hits{};
      for (; i < positives_.size() && positives_[i] < end; ++i) {
        add(new_hits, weights_at(positives_[i]));
      }
      add(curve.seen, weight_of(next, end));
      next = end;
      for (std::size_t lane = 0; lane < kLanes; ++lane) {
        if (new_hits[lane] != 0) {
          curve.hits[lane] += new_hits[lane];
          curve.sum[lane] +=
              static_cast<double>(new_hits[lane]) * curve.hits[lane] / curve.seen[lane];
        }
      }
    }
    add(curve.seen, weight_of(next, ranking_.size()));
    return curve;
  }

  const Ranking<T>& ranking_;
  const std::vector<Lanes<std::uint8_t>>& weights_;
  std::vector<std::size_t> positives_;  // their ranks
};

// The q-quantile of sorted values, linear between them (Hyndman and Fan's type 7, as in
// NumPy's `percentile`).
inline double quantile(const std::vector<double>& sorted, double q) {
  if (sorted.empty()) {
    return BootstrapInterval::kNone;
  }
  const double place = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - std::floor(place)) * (sorted[above] - sorted[below]);
}

inline double standard_deviation(const std::vector<double>& values) {
  const double mean = mean_of_numbers(values);
  double sum = 0.0;
  for (const double value : values) {
    sum += (value - mean) * (value - mean);
  }
  return values.size() < 2 ? BootstrapInterval::kNone
                           : std::sqrt(sum / static_cast<double>(values.size() - 1));
}

inline void check_bootstrap(const BootstrapOptions& options, std::string_view where) {
  std::ostringstream text;
  text << where << ": expected ";
  if (options.replicates < 1) {
    text << "1 replicate or more, got " << options.replicates;
    throw std::invalid_argument(text.str());
  }
  if (!(options.confidence > 0.0 && options.confidence < 1.0)) {
    text << "a confidence between 0 and 1, got " << options.confidence;
    throw std::invalid_argument(text.str());
  }
}

template <typename T>
BootstrapInterval bootstrap_mean_average_precision(
    const ScoresRef<T>& scores,
    const LabelsRef& labels,
    ApDefinition definition,
    const BootstrapOptions& options,
    const IgnoreRef& ignore) {
  constexpr std::string_view kWhere = "bootstrap_mean_average_precision";
  check_labels_and_mask(scores.rows(), scores.cols(), labels, ignore, kWhere);
  check_no_nan(scores, kWhere);
  check_bootstrap(options, kWhere);

  std::mt19937_64 engine(options.seed);
  std::vector<std::vector<Lanes<std::uint8_t>>> weights;
  for (std::int64_t done = 0; done < options.replicates;) {
    const auto count = std::min(options.replicates - done, std::int64_t{kLanes});
    weights.push_back(
        draw_weights(engine, scores.rows(), static_cast<std::size_t>(count)));
    done += count;
  }
  std::vector<Lanes<double>> sums(weights.size(), Lanes<double>{});
  std::vector<Lanes<double>> evaluated(weights.size(), Lanes<double>{});
  const auto use = [&](Eigen::Index, const Ranking<T>& ranking) {
    if (count_positives(ranking) == 0) {
      return;
    }
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const Lanes<double> ap = ResampledAp<T>(ranking, weights[i])(definition);
      for (std::size_t lane = 0; lane < kLanes; ++lane) {
        if (!std::isnan(ap[lane])) {
          sums[i][lane] += ap[lane];
          evaluated[i][lane] += 1.0;
        }
      }
    }
  };
  for_each_ranking<T>(scores, labels, ignore, kWhere, use);

  BootstrapInterval interval;
  interval.definition = definition;
  interval.options = options;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      if (evaluated[i][lane] > 0.0) {
        interval.replicates.push_back(sums[i][lane] / evaluated[i][lane]);
      }
    }
  }
  std::vector<double> sorted = interval.replicates;
  std::sort(sorted.begin(), sorted.end());
  interval.low = quantile(sorted, (1.0 - options.confidence) / 2.0);
  interval.high = quantile(sorted, (1.0 + options.confidence) / 2.0);
  interval.standard_error = standard_deviation(sorted);
  return interval;
}

}  // namespace detail

/// How far the mAP would move with other pictures of the same kind: the percentile
/// bootstrap.
///
/// Each of B replicates draws N pictures out of the N, with replacement and with all
/// their labels, and its mAP is computed as `mean_average_precision` does (categories
/// that have no positive or no negative left are left out of that replicate's mean).
/// With the replicates' mAP in ascending order and confidence 1 - \f$ \alpha \f$,
/// \f[ \bigl[\, Q(\alpha / 2),\ Q(1 - \alpha / 2) \,\bigr] \f]
/// where Q interpolates linearly between them. Source: Efron, "Bootstrap methods:
/// another look at the jackknife", 1979; Efron and Tibshirani, "An introduction to the
/// bootstrap", 1993, chapter 13. It covers the choice of test pictures, not that of
/// seeds or training labels.
///
/// A drawn picture stands in its ranking as often as it was drawn: rankings are sorted
/// once a category, and values are those of a resampled matrix whose rows keep their
/// order. The same seed gives the same interval on every machine.
///
/// Shapes: scores [N, C] of any scale; labels [N, C] in {-1, 0, +1}, unknown entries
/// leave their ranking; ignore [N, C] or empty, entries that leave it too.
/// Time: N C B steps, 64 replicates at once. Memory: N B bytes, B rounded up to 64.
///
/// Throws `std::invalid_argument` on shapes that disagree, other labels, NaN scores,
/// fewer than 1 replicate, or a confidence outside (0, 1). NaN where no replicate has a
/// category to evaluate.
///
/// Example:
/// ```
/// const auto interval = bootstrap_mean_average_precision(scores, labels);
/// fmt::print("mAP from {:.1f} to {:.1f} %\n", 100 * interval.low, 100 *
/// interval.high);
/// ```
inline BootstrapInterval bootstrap_mean_average_precision(
    const ScoresRef<float>& scores,
    const LabelsRef& labels,
    ApDefinition definition = ApDefinition::kPrecisionAtPositives,
    const BootstrapOptions& options = {},
    const IgnoreRef& ignore = IgnoreMask()) {
  return detail::bootstrap_mean_average_precision<float>(
      scores, labels, definition, options, ignore);
}

/// The same for scores in double precision.
inline BootstrapInterval bootstrap_mean_average_precision(
    const ScoresRef<double>& scores,
    const LabelsRef& labels,
    ApDefinition definition = ApDefinition::kPrecisionAtPositives,
    const BootstrapOptions& options = {},
    const IgnoreRef& ignore = IgnoreMask()) {
  return detail::bootstrap_mean_average_precision<double>(
      scores, labels, definition, options, ignore);
}

}  // namespace trmml::evaluation
