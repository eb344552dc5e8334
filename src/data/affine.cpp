#include "trmml/data/image_ops.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <string>

// Pillow's affine transform to the nearest pixel, from its definition: places in 16
// bits of fraction, or in fp64 where the axes stay apart. Compiled without contraction
// of floating-point operations (CMakeLists.txt).

namespace trmml::data {

namespace {

using Matrix = std::array<double, 6>;

/// A position of every output column (or row) in the input, where the axes stay apart;
/// -1 outside.
std::vector<int> places(int n, double step, double offset) {
  std::vector<int> places;
  double place = offset + step * 0.5;
  for (int i = 0; i < n; ++i) {
    const bool is_inside = place >= 0.0 && place < n;
    places.push_back(is_inside ? static_cast<int>(place) : -1);
    place += step;
  }
  return places;
}

/// Calls `copy(x, y, from_x, from_y)` for every pixel that comes from inside.
template <typename Copy>
void for_each_separable(const Image& image, const Matrix& m, Copy copy) {
  const std::vector<int> columns = places(image.width, m[0], m[2]);
  const std::vector<int> rows = places(image.height, m[4], m[5]);
  for (int y = 0; y < image.height; ++y) {
    const int from_y = rows[static_cast<std::size_t>(y)];
    for (int x = 0; from_y >= 0 && x < image.width; ++x) {
      const int from_x = columns[static_cast<std::size_t>(x)];
      if (from_x >= 0) {
        copy(x, y, from_x, from_y);
      }
    }
  }
}

template <typename Copy>
void for_each_fixed(const Image& image, const Matrix& m, Copy copy) {
  const auto fixed = [](double v) {
    return static_cast<std::int32_t>(std::floor(v * 65536.0 + 0.5));
  };
  const std::int32_t a = fixed(m[0]);
  const std::int32_t b = fixed(m[1]);
  const std::int32_t d = fixed(m[3]);
  const std::int32_t e = fixed(m[4]);
  std::int64_t row_x = fixed(m[2] + m[0] * 0.5 + m[1] * 0.5);
  std::int64_t row_y = fixed(m[5] + m[3] * 0.5 + m[4] * 0.5);
  for (int y = 0; y < image.height; ++y, row_x += b, row_y += e) {
    std::int64_t at_x = row_x;
    std::int64_t at_y = row_y;
    for (int x = 0; x < image.width; ++x, at_x += a, at_y += d) {
      const auto from_x = static_cast<int>(at_x >> 16);
      const auto from_y = static_cast<int>(at_y >> 16);
      if (from_x >= 0 && from_x < image.width && from_y >= 0 && from_y < image.height) {
        copy(x, y, from_x, from_y);
      }
    }
  }
}

/// Python's `round(value, 15)`.
double round15(double value) {
  const std::string text = fmt::format("{:.15f}", value);
  double rounded = 0.0;
  std::from_chars(text.data(), text.data() + text.size(), rounded);
  return rounded;
}

}  // namespace

void affine(Image& image, const Matrix& matrix, const Colour& fill) {
  check_image(image, "affine");
  constexpr double kLimit = 32768.0;
  for (const int x : {0, image.width}) {
    for (const int y : {0, image.height}) {
      const double from_x = matrix[0] * x + matrix[1] * y + matrix[2];
      const double from_y = matrix[3] * x + matrix[4] * y + matrix[5];
      if (!(std::abs(from_x) < kLimit && std::abs(from_y) < kLimit)) {
        throw std::invalid_argument(fmt::format(
            "affine: expected places within +-{}, got ({}, {}) for the corner ({}, {})",
            kLimit,
            from_x,
            from_y,
            x,
            y));
      }
    }
  }
  Image result{image.width, image.height, {}};
  result.rgb.resize(image.rgb.size());
  fill_box(result, {0, 0, image.width, image.height}, fill);
  const auto width = static_cast<std::size_t>(image.width);
  const std::uint8_t* in = image.rgb.data();
  std::uint8_t* out = result.rgb.data();
  const auto copy = [in, out, width](int x, int y, int from_x, int from_y) {
    const std::size_t to =
        3 * (static_cast<std::size_t>(y) * width + static_cast<std::size_t>(x));
    const std::size_t from = 3 * (static_cast<std::size_t>(from_y) * width +
                                  static_cast<std::size_t>(from_x));
    out[to] = in[from];
    out[to + 1] = in[from + 1];
    out[to + 2] = in[from + 2];
  };
  if (matrix[1] == 0.0 && matrix[3] == 0.0) {
    for_each_separable(image, matrix, copy);
  } else {
    for_each_fixed(image, matrix, copy);
  }
  image = std::move(result);
}

void rotate(Image& image, double degrees, const Colour& fill) {
  check_image(image, "rotate");
  if (!std::isfinite(degrees)) {
    throw std::invalid_argument(
        fmt::format("rotate: expected a finite angle, got {}", degrees));
  }
  // Python's modulus, which takes the sign of the divisor.
  double turn = std::fmod(degrees, 360.0);
  turn = turn < 0.0 ? turn + 360.0 : turn;
  constexpr double kPi = 3.14159265358979323846;
  const double angle = -(turn * (kPi / 180.0));
  const double cosine = round15(std::cos(angle));
  const double sine = round15(std::sin(angle));
  const double x = image.width / 2.0;
  const double y = image.height / 2.0;
  const Matrix matrix = {
      cosine,
      sine,
      cosine * -x + sine * -y + 0.0 + x,
      -sine,
      cosine,
      -sine * -x + cosine * -y + 0.0 + y};
  affine(image, matrix, fill);
}

}  // namespace trmml::data
