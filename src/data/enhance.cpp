#include "trmml/data/image_ops.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <stdexcept>

// The four of Pillow's `ImageEnhance`, from their definitions. Compiled without
// contraction of floating-point operations (CMakeLists.txt): each is rounded as Pillow
// rounds it.

namespace trmml::data {

namespace {

void check(const Image& image, double factor, std::string_view where) {
  check_image(image, where);
  if (!std::isfinite(factor)) {
    throw std::invalid_argument(
        fmt::format("{}: expected a finite factor, got {}", where, factor));
  }
}

/// `Image.blend` of one value.
inline std::uint8_t blend(int from, int to, float share) {
  const float value = static_cast<float>(from) + share * static_cast<float>(to - from);
  return static_cast<std::uint8_t>(std::clamp(value, 0.0F, 255.0F));
}

/// Blends every value with the same one.
void blend_from(Image& image, int from, double factor) {
  std::array<std::uint8_t, 256> table;
  for (int x = 0; x < 256; ++x) {
    table[static_cast<std::size_t>(x)] = blend(from, x, static_cast<float>(factor));
  }
  for (std::uint8_t& value : image.rgb) {
    value = table[value];
  }
}

/// Pillow's `convert("L")`: ITU-R 601-2 in 16 bits of fraction.
inline int grey(const std::uint8_t* rgb) {
  return (19595 * rgb[0] + 38470 * rgb[1] + 7471 * rgb[2] + 0x8000) >> 16;
}

}  // namespace

void adjust_color(Image& image, double factor) {
  check(image, factor, "adjust_color");
  const auto share = static_cast<float>(factor);
  for (std::size_t i = 0; i < image.rgb.size(); i += 3) {
    std::uint8_t* x = image.rgb.data() + i;
    const int from = grey(x);
    x[0] = blend(from, x[0], share);
    x[1] = blend(from, x[1], share);
    x[2] = blend(from, x[2], share);
  }
}

void adjust_contrast(Image& image, double factor) {
  check(image, factor, "adjust_contrast");
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < image.rgb.size(); i += 3) {
    sum += grey(image.rgb.data() + i);
  }
  const double mean =
      static_cast<double>(sum) / static_cast<double>(image.rgb.size() / 3);
  blend_from(image, static_cast<int>(mean + 0.5), factor);
}

void adjust_brightness(Image& image, double factor) {
  check(image, factor, "adjust_brightness");
  blend_from(image, 0, factor);
}

void adjust_sharpness(Image& image, double factor) {
  check(image, factor, "adjust_sharpness");
  const auto share = static_cast<float>(factor);
  const std::size_t row = std::size_t{3} * static_cast<std::size_t>(image.width);
  const auto height = static_cast<std::size_t>(image.height);
  // Two rows as they were: the one above, and the one at hand.
  std::vector<std::uint8_t> above(image.rgb.begin(), image.rgb.begin() + row);
  std::vector<std::uint8_t> here(row);
  for (std::size_t y = 1; y + 1 < height; ++y) {
    std::uint8_t* out = image.rgb.data() + row * y;
    const std::uint8_t* below = out + row;
    std::copy(out, out + row, here.begin());
    const std::uint8_t* a = above.data();
    const std::uint8_t* h = here.data();
    for (std::size_t i = 3; i + 3 < row; ++i) {
      // `ImageFilter.SMOOTH`: 5/13 of the pixel, 1/13 of each neighbour, rounded. No
      // sum of bytes lies half-way, so whole numbers give what Pillow's fp32 gives.
      const int sum = a[i - 3] + a[i] + a[i + 3] + h[i - 3] + 5 * h[i] + h[i + 3] +
                      below[i - 3] + below[i] + below[i + 3];
      out[i] = blend((sum + 6) / 13, h[i], share);
    }
    std::swap(above, here);
  }
}

}  // namespace trmml::data
