#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace experiment {

/// Of several runs of one thing.
struct MeanDeviation {
  int64_t count = 0;
  double mean = std::numeric_limits<double>::quiet_NaN();
  double deviation = std::numeric_limits<double>::quiet_NaN();  ///< n - 1; of 2 or more
};

inline MeanDeviation mean_deviation(const std::vector<double>& values) {
  MeanDeviation result;
  result.count = static_cast<int64_t>(values.size());
  if (values.empty()) {
    return result;
  }
  const auto n = static_cast<double>(values.size());
  result.mean = 0.0;
  for (const double value : values) {
    result.mean += value / n;
  }
  if (values.size() > 1) {
    double squares = 0.0;
    for (const double value : values) {
      squares += (value - result.mean) * (value - result.mean);
    }
    result.deviation = std::sqrt(squares / (n - 1));
  }
  return result;
}

}  // namespace experiment
