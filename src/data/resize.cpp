#include "trmml/data/image.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <stdexcept>

// Pillow's two-pass resampling of 8-bit pictures. Compiled without contraction of
// floating-point operations (CMakeLists.txt): the weights must be the same everywhere.

#if defined(__x86_64__) && defined(__GNUC__)
#  define TRMML_RESIZE_AVX2 1
#endif

namespace trmml::data {

namespace {

constexpr int kPrecisionBits = 32 - 8 - 2;
constexpr std::int32_t kHalf = 1 << (kPrecisionBits - 1);

/// Rows that the horizontal pass handles at a time: one byte of each side by side.
constexpr int kLanes = 16;

/// Bytes of a row that the vertical pass handles at a time.
constexpr int kChunk = 64;

double bilinear(double x) {
  x = std::abs(x);
  return x < 1.0 ? 1.0 - x : 0.0;
}

double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) {
    return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  }
  if (x < 2.0) {
    return (((x - 5) * x + 8) * x - 4) * a;
  }
  return 0.0;
}

/// For each output position the input positions it is a mean of, and their weights.
struct Weights {
  std::vector<int> first;           // of the inputs
  std::vector<std::size_t> offset;  // of the weights; one more than outputs
  std::vector<std::int32_t> values;

  int count(std::size_t i) const { return static_cast<int>(offset[i + 1] - offset[i]); }
};

Weights make_weights(int in, int out, Filter filter) {
  const auto shape = filter == Filter::kBilinear ? bilinear : bicubic;
  const double radius = filter == Filter::kBilinear ? 1.0 : 2.0;
  const double scale = static_cast<double>(in) / out;
  const double stretch = std::max(scale, 1.0);
  const double support = radius * stretch;
  const double shrink = 1.0 / stretch;

  Weights weights;
  weights.offset.push_back(0);
  for (int i = 0; i < out; ++i) {
    const double centre = (i + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(centre - support + 0.5));
    const int last = std::min(in, static_cast<int>(centre + support + 0.5));
    const auto weight = [&](int j) { return shape((j - centre + 0.5) * shrink); };
    double sum = 0.0;
    for (int j = first; j < last; ++j) {
      sum += weight(j);
    }
    for (int j = first; j < last; ++j) {
      const double share = sum != 0.0 ? weight(j) / sum : weight(j);
      const double fixed = share * (1 << kPrecisionBits);
      weights.values.push_back(
          static_cast<std::int32_t>(share < 0 ? fixed - 0.5 : fixed + 0.5));
    }
    weights.first.push_back(first);
    weights.offset.push_back(weights.values.size());
  }
  return weights;
}

// Each of the two kernels below is compiled twice, for the oldest processors and for
// those with AVX2; whole numbers give the same bits in both.

[[gnu::always_inline]] inline std::uint8_t to_byte(std::int32_t sum) {
  const std::int32_t value = sum >> kPrecisionBits;
  return static_cast<std::uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
}

/// `lanes` sums side by side: out[l] = sum over k of weights[k] * in[k * stride + l].
template <int lanes>
[[gnu::always_inline]] inline void weighted_sum(
    const std::uint8_t* __restrict in,
    std::ptrdiff_t stride,
    const std::int32_t* __restrict weights,
    int count,
    std::uint8_t* __restrict out) {
  std::int32_t sums[lanes];
  for (int l = 0; l < lanes; ++l) {
    sums[l] = kHalf;
  }
  for (int k = 0; k < count; ++k) {
    const std::int32_t weight = weights[k];
    const std::uint8_t* __restrict row = in + k * stride;
    for (int l = 0; l < lanes; ++l) {
      sums[l] += weight * row[l];
    }
  }
  for (int l = 0; l < lanes; ++l) {
    out[l] = to_byte(sums[l]);
  }
}

/// One output pixel of `kLanes` rows: `in` points at its first input pixel in a picture
/// whose element is the same byte of all rows.
[[gnu::always_inline]] inline void horizontal_body(
    const std::uint8_t* in,
    const std::int32_t* weights,
    int count,
    std::uint8_t* out) {
  constexpr std::ptrdiff_t kPixel = 3 * kLanes;
  weighted_sum<3 * kLanes>(in, kPixel, weights, count, out);
}

/// One output row of `n` bytes from rows of `n` bytes that follow each other.
[[gnu::always_inline]] inline void vertical_body(
    const std::uint8_t* in,
    std::ptrdiff_t n,
    const std::int32_t* weights,
    int count,
    std::uint8_t* out) {
  std::ptrdiff_t i = 0;
  for (; i + kChunk <= n; i += kChunk) {
    weighted_sum<kChunk>(in + i, n, weights, count, out + i);
  }
  for (; i < n; ++i) {
    weighted_sum<1>(in + i, n, weights, count, out + i);
  }
}

void horizontal_plain(
    const std::uint8_t* in,
    const std::int32_t* weights,
    int count,
    std::uint8_t* out) {
  horizontal_body(in, weights, count, out);
}

void vertical_plain(
    const std::uint8_t* in,
    std::ptrdiff_t n,
    const std::int32_t* weights,
    int count,
    std::uint8_t* out) {
  vertical_body(in, n, weights, count, out);
}

#ifdef TRMML_RESIZE_AVX2
[[gnu::target("avx2")]] void horizontal_avx2(
    const std::uint8_t* in,
    const std::int32_t* weights,
    int count,
    std::uint8_t* out) {
  horizontal_body(in, weights, count, out);
}

[[gnu::target("avx2")]] void vertical_avx2(
    const std::uint8_t* in,
    std::ptrdiff_t n,
    const std::int32_t* weights,
    int count,
    std::uint8_t* out) {
  vertical_body(in, n, weights, count, out);
}
#endif

struct Kernels {
  decltype(&horizontal_plain) horizontal = horizontal_plain;
  decltype(&vertical_plain) vertical = vertical_plain;
};

const Kernels& kernels() {
  static const Kernels chosen = [] {
    Kernels best;
#ifdef TRMML_RESIZE_AVX2
    if (__builtin_cpu_supports("avx2")) {
      best = {horizontal_avx2, vertical_avx2};
    }
#endif
    return best;
  }();
  return chosen;
}

/// Rows `begin` .. `end` - 1 of `image`, resized to `width`.
std::vector<std::uint8_t>
resize_rows(const Image& image, int begin, int end, int width, Filter filter) {
  const Weights weights = make_weights(image.width, width, filter);
  const std::size_t in_row = std::size_t{3} * static_cast<std::size_t>(image.width);
  const std::size_t out_row = std::size_t{3} * static_cast<std::size_t>(width);
  std::vector<std::uint8_t> out(out_row * static_cast<std::size_t>(end - begin));
  std::vector<std::uint8_t> lanes(in_row * kLanes);  // [width, 3, kLanes]
  const auto run = kernels().horizontal;
  for (int y = begin; y < end; y += kLanes) {
    const int rows = std::min(kLanes, end - y);
    for (int r = 0; r < rows; ++r) {
      const std::uint8_t* row = image.rgb.data() + in_row * static_cast<size_t>(y + r);
      for (std::size_t i = 0; i < in_row; ++i) {
        lanes[i * kLanes + static_cast<std::size_t>(r)] = row[i];
      }
    }
    std::uint8_t* block = out.data() + out_row * static_cast<std::size_t>(y - begin);
    for (std::size_t x = 0; x < static_cast<std::size_t>(width); ++x) {
      std::uint8_t pixel[3 * kLanes];
      run(lanes.data() + static_cast<std::size_t>(weights.first[x]) * 3 * kLanes,
          weights.values.data() + weights.offset[x],
          weights.count(x),
          pixel);
      for (int r = 0; r < rows; ++r) {
        for (std::size_t c = 0; c < 3; ++c) {
          block[static_cast<std::size_t>(r) * out_row + 3 * x + c] =
              pixel[c * kLanes + static_cast<std::size_t>(r)];
        }
      }
    }
  }
  return out;
}

/// Columns of `rgb`, rows of `width` pixels of which the first is row `begin` of the
/// picture.
std::vector<std::uint8_t> resize_columns(
    const std::vector<std::uint8_t>& rgb,
    int width,
    int begin,
    const Weights& weights) {
  const std::size_t row = std::size_t{3} * static_cast<std::size_t>(width);
  const std::size_t height = weights.first.size();
  std::vector<std::uint8_t> out(row * height);
  const auto run = kernels().vertical;
  for (std::size_t y = 0; y < height; ++y) {
    run(rgb.data() + row * static_cast<std::size_t>(weights.first[y] - begin),
        static_cast<std::ptrdiff_t>(row),
        weights.values.data() + weights.offset[y],
        weights.count(y),
        out.data() + row * y);
  }
  return out;
}

}  // namespace

void check_image(const Image& image, std::string_view where) {
  const std::int64_t pixels = std::int64_t{image.width} * image.height;
  if (image.width <= 0 || image.height <= 0 || image.rgb.size() % 3 != 0 ||
      static_cast<std::int64_t>(image.rgb.size() / 3) != pixels) {
    throw std::invalid_argument(fmt::format(
        "{}: expected a picture of positive sides and 3 bytes a pixel, got {} x {} and "
        "{} bytes",
        where,
        image.width,
        image.height,
        image.rgb.size()));
  }
}

Image resize(
    const Image& image,
    int width,
    int height,
    Filter filter,
    PassOrder order) {
  check_image(image, "resize");
  constexpr std::int64_t kMaxBytes = std::numeric_limits<std::int32_t>::max();
  if (width <= 0 || height <= 0 || std::int64_t{width} * height > kMaxBytes / 3) {
    throw std::invalid_argument(fmt::format(
        "resize: expected a positive width and height of at most 2^31 - 1 bytes, got "
        "{} x {}",
        width,
        height));
  }
  if (width == image.width && height == image.height) {
    return image;
  }
  if (height == image.height) {
    return {width, height, resize_rows(image, 0, height, width, filter)};
  }
  const Weights columns = make_weights(image.height, height, filter);
  if (width == image.width) {
    return {width, height, resize_columns(image.rgb, width, 0, columns)};
  }
  const std::int64_t lost_rows = std::int64_t{image.height} - height;
  const std::int64_t lost_columns = std::int64_t{image.width} - width;
  if (order == PassOrder::kPillow13 && lost_rows > 0 && lost_rows > 2 * lost_columns) {
    const Image low{
        image.width, height, resize_columns(image.rgb, image.width, 0, columns)};
    return {width, height, resize_rows(low, 0, height, width, filter)};
  }
  // Only the rows that the second pass looks at.
  const int begin = columns.first.front();
  const int end = columns.first.back() + columns.count(columns.first.size() - 1);
  const std::vector<std::uint8_t> narrow =
      resize_rows(image, begin, end, width, filter);
  return {width, height, resize_columns(narrow, width, begin, columns)};
}

Image crop(const Image& image, int left, int top, int width, int height) {
  check_image(image, "crop");
  const bool is_inside = left >= 0 && top >= 0 && width > 0 && height > 0 &&
                         width <= image.width - left && height <= image.height - top;
  if (!is_inside) {
    throw std::invalid_argument(fmt::format(
        "crop: expected a rectangle inside of {} x {}, got {} x {} at ({}, {})",
        image.width,
        image.height,
        width,
        height,
        left,
        top));
  }
  const std::size_t in_row = std::size_t{3} * static_cast<std::size_t>(image.width);
  const std::size_t out_row = std::size_t{3} * static_cast<std::size_t>(width);
  Image result{width, height, {}};
  result.rgb.resize(out_row * static_cast<std::size_t>(height));
  for (int y = 0; y < height; ++y) {
    std::memcpy(
        result.rgb.data() + out_row * static_cast<std::size_t>(y),
        image.rgb.data() + in_row * static_cast<std::size_t>(top + y) +
            std::size_t{3} * static_cast<std::size_t>(left),
        out_row);
  }
  return result;
}

}  // namespace trmml::data
