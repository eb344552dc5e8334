#include "trmml/data/image_ops.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <utility>

// What looks at one value at a time: a table for each channel says what it becomes.
// `ImageOps.autocontrast` and its kin of Pillow, from their definitions.

namespace trmml::data {

namespace {

using Table = std::array<std::uint8_t, 256>;
using Histogram = std::array<std::int64_t, 256>;

std::uint8_t clip(std::int64_t value) {
  return static_cast<std::uint8_t>(std::clamp<std::int64_t>(value, 0, 255));
}

void apply(Image& image, const std::array<Table, 3>& tables) {
  std::uint8_t* x = image.rgb.data();
  for (std::size_t i = 0; i < image.rgb.size(); i += 3) {
    x[i] = tables[0][x[i]];
    x[i + 1] = tables[1][x[i + 1]];
    x[i + 2] = tables[2][x[i + 2]];
  }
}

/// The same table for all channels, of entries `entry(value)`.
template <typename Entry>
void apply(Image& image, std::string_view where, Entry entry) {
  check_image(image, where);
  Table table;
  for (int value = 0; value < 256; ++value) {
    table[static_cast<std::size_t>(value)] = entry(value);
  }
  for (std::uint8_t& value : image.rgb) {
    value = table[value];
  }
}

std::array<Histogram, 3> histograms(const Image& image) {
  std::array<Histogram, 3> counts{};
  for (std::size_t i = 0; i < image.rgb.size(); i += 3) {
    for (std::size_t c = 0; c < 3; ++c) {
      ++counts[c][image.rgb[i + c]];
    }
  }
  return counts;
}

Table identity() {
  Table table;
  for (std::size_t i = 0; i < table.size(); ++i) {
    table[i] = static_cast<std::uint8_t>(i);
  }
  return table;
}

Table stretch(const Histogram& counts) {
  const auto is_used = [](std::int64_t count) { return count > 0; };
  const auto first = std::find_if(counts.begin(), counts.end(), is_used);
  const auto last = std::find_if(counts.rbegin(), counts.rend(), is_used);
  const auto low = static_cast<int>(first - counts.begin());
  const auto high = static_cast<int>(counts.rend() - last) - 1;
  if (high <= low) {
    return identity();
  }
  const double scale = 255.0 / (high - low);
  const double offset = -low * scale;
  Table table;
  for (int x = 0; x < 256; ++x) {
    table[static_cast<std::size_t>(x)] =
        clip(static_cast<std::int64_t>(x * scale + offset));
  }
  return table;
}

Table flatten(const Histogram& counts) {
  std::int64_t sum = 0;
  std::int64_t last = 0;
  for (const std::int64_t count : counts) {
    sum += count;
    last = count > 0 ? count : last;
  }
  // 0 with a single value, too: all of the sum is the last.
  const std::int64_t step = (sum - last) / 255;
  if (step == 0) {
    return identity();
  }
  Table table;
  std::int64_t below = step / 2;
  for (std::size_t i = 0; i < table.size(); ++i) {
    table[i] = clip(below / step);
    below += counts[i];
  }
  return table;
}

}  // namespace

void flip_horizontal(Image& image) {
  check_image(image, "flip_horizontal");
  const auto width = static_cast<std::size_t>(image.width);
  for (std::size_t y = 0; y < static_cast<std::size_t>(image.height); ++y) {
    std::uint8_t* left = image.rgb.data() + 3 * width * y;
    std::uint8_t* right = left + 3 * (width - 1);
    for (; left < right; left += 3, right -= 3) {
      std::swap_ranges(left, left + 3, right);
    }
  }
}

void fill_box(Image& image, const Box& box, const Colour& colour) {
  check_image(image, "fill_box");
  const bool is_inside = box.left >= 0 && box.top >= 0 && box.width >= 0 &&
                         box.height >= 0 && box.width <= image.width - box.left &&
                         box.height <= image.height - box.top;
  if (!is_inside) {
    throw std::invalid_argument(fmt::format(
        "fill_box: expected a rectangle inside of {} x {}, got {} x {} at ({}, {})",
        image.width,
        image.height,
        box.width,
        box.height,
        box.left,
        box.top));
  }
  const std::size_t row = std::size_t{3} * static_cast<std::size_t>(image.width);
  for (int y = box.top; y < box.top + box.height; ++y) {
    std::uint8_t* out = image.rgb.data() + row * static_cast<std::size_t>(y) +
                        std::size_t{3} * static_cast<std::size_t>(box.left);
    for (int x = 0; x < box.width; ++x) {
      out = std::copy(colour.begin(), colour.end(), out);
    }
  }
}

void autocontrast(Image& image) {
  check_image(image, "autocontrast");
  const auto counts = histograms(image);
  apply(image, {stretch(counts[0]), stretch(counts[1]), stretch(counts[2])});
}

void equalize(Image& image) {
  check_image(image, "equalize");
  const auto counts = histograms(image);
  apply(image, {flatten(counts[0]), flatten(counts[1]), flatten(counts[2])});
}

void invert(Image& image) {
  apply(image, "invert", [](int x) { return clip(255 - x); });
}

void posterize(Image& image, int bits) {
  if (bits < 1 || bits > 8) {
    throw std::invalid_argument(
        fmt::format("posterize: expected 1 to 8 bits, got {}", bits));
  }
  const int mask = ~((1 << (8 - bits)) - 1);
  apply(image, "posterize", [mask](int x) { return clip(x & mask); });
}

void solarize(Image& image, double threshold) {
  apply(image, "solarize", [threshold](int x) {
    return clip(x < threshold ? x : 255 - x);
  });
}

}  // namespace trmml::data
