#pragma once

#include <cmath>

namespace support {

/// Within 1e-12; never for NaN.
inline bool is_near(double a, double b) {
  return std::abs(a - b) <= 1e-12;
}

}  // namespace support
