#include "resize_kernels.hpp"

#include <algorithm>
#include <cstring>

#if defined(__x86_64__) && defined(__GNUC__)
#  define TRMML_RESIZE_AVX2 1
#endif

namespace trmml::data::detail {

namespace {

constexpr std::int32_t kHalf = 1 << (kResizeBits - 1);

[[gnu::always_inline]] inline std::uint8_t to_byte(std::int32_t sum) {
  const std::int32_t value = sum >> kResizeBits;
  return static_cast<std::uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
}

// ---------------------------------------------------------------- plain

/// The weighted mean of bytes that lie `step` apart.
std::uint8_t
mean(const std::uint8_t* in, std::size_t step, const std::int32_t* weights, int count) {
  std::int32_t sum = kHalf;
  for (int k = 0; k < count; ++k) {
    sum += weights[k] * in[static_cast<std::size_t>(k) * step];
  }
  return to_byte(sum);
}

void plain_rows(const RowsView& in, const ResizeWeights& weights, std::uint8_t* out) {
  for (std::size_t y = 0; y < in.height; ++y) {
    for (std::size_t x = 0; x < weights.outputs(); ++x) {
      const std::int32_t* values = weights.values.data() + weights.offset[x];
      const std::uint8_t* pixel = in.row(y) + 3 * weights.first[x];
      for (std::size_t c = 0; c < 3; ++c) {
        *out++ = mean(pixel + c, 3, values, weights.count(x));
      }
    }
  }
}

void plain_columns(
    const RowsView& in,
    int begin,
    const ResizeWeights& weights,
    std::uint8_t* out) {
  for (std::size_t y = 0; y < weights.outputs(); ++y) {
    const std::int32_t* values = weights.values.data() + weights.offset[y];
    const auto first = static_cast<std::size_t>(weights.first[y] - begin);
    for (std::size_t i = 0; i < 3 * in.width; ++i) {
      *out++ = mean(in.row(first) + i, in.stride, values, weights.count(y));
    }
  }
}

// ---------------------------------------------------------------- side by side
//
// The same sums, many at a time: a compiler makes vector instructions of loops of a
// constant length. Each body is compiled twice, for the oldest processors and for those
// with AVX2; whole numbers give the same bits in both.

/// Rows that the pass along rows handles at a time: one byte of each side by side.
constexpr std::size_t kLanes = 16;

/// Bytes of a row that the pass along columns handles at a time.
constexpr std::size_t kChunk = 64;

/// out[l] = mean over k of weights[k] * in[k * stride + l].
template <std::size_t lanes>
[[gnu::always_inline]] inline void means(
    const std::uint8_t* __restrict in,
    std::size_t stride,
    const std::int32_t* __restrict weights,
    int count,
    std::uint8_t* __restrict out) {
  std::int32_t sums[lanes];
  for (std::size_t l = 0; l < lanes; ++l) {
    sums[l] = kHalf;
  }
  for (int k = 0; k < count; ++k) {
    const std::int32_t weight = weights[k];
    const std::uint8_t* __restrict row = in + static_cast<std::size_t>(k) * stride;
    for (std::size_t l = 0; l < lanes; ++l) {
      sums[l] += weight * row[l];
    }
  }
  for (std::size_t l = 0; l < lanes; ++l) {
    out[l] = to_byte(sums[l]);
  }
}

using Vector = std::uint8_t __attribute__((vector_size(kLanes)));

/// 16 x 16 bytes: rows become columns. Each of four rounds deals two halves together,
/// as cards are shuffled.
[[gnu::always_inline]] inline void transpose(Vector (&tile)[kLanes]) {
  for (int round = 0; round < 4; ++round) {
    Vector dealt[kLanes];
    for (std::size_t i = 0; i < kLanes / 2; ++i) {
      const Vector a = tile[i];
      const Vector b = tile[i + kLanes / 2];
      dealt[2 * i] = __builtin_shufflevector(
          a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      dealt[2 * i + 1] = __builtin_shufflevector(
          a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
    std::memcpy(tile, dealt, sizeof dealt);
  }
}

/// `rows` rows of `n` bytes to n x kLanes bytes; what rows there are not is 0.
[[gnu::always_inline]] inline void to_lanes(
    const std::uint8_t* in,
    std::size_t stride,
    std::size_t rows,
    std::size_t n,
    std::uint8_t* lanes) {
  for (std::size_t i = 0; i < n; i += kLanes) {
    const std::size_t bytes = std::min(kLanes, n - i);
    Vector tile[kLanes] = {};
    for (std::size_t r = 0; r < rows; ++r) {
      if (bytes == kLanes) {
        std::memcpy(&tile[r], in + r * stride + i, kLanes);
      } else {
        std::memcpy(&tile[r], in + r * stride + i, bytes);
      }
    }
    transpose(tile);
    std::memcpy(lanes + i * kLanes, tile, bytes * kLanes);
  }
}

/// The way back.
[[gnu::always_inline]] inline void from_lanes(
    const std::uint8_t* lanes,
    std::size_t rows,
    std::size_t n,
    std::uint8_t* out) {
  for (std::size_t i = 0; i < n; i += kLanes) {
    const std::size_t bytes = std::min(kLanes, n - i);
    Vector tile[kLanes] = {};
    std::memcpy(tile, lanes + i * kLanes, bytes * kLanes);
    transpose(tile);
    for (std::size_t r = 0; r < rows; ++r) {
      if (bytes == kLanes) {
        std::memcpy(out + r * n + i, &tile[r], kLanes);
      } else {
        std::memcpy(out + r * n + i, &tile[r], bytes);
      }
    }
  }
}

[[gnu::always_inline]] inline void
rows_body(const RowsView& in, const ResizeWeights& weights, std::uint8_t* out) {
  constexpr std::size_t kPixel = 3 * kLanes;
  const std::size_t out_row = 3 * weights.outputs();
  std::vector<std::uint8_t> wide(in.width * kPixel);
  std::vector<std::uint8_t> narrow(weights.outputs() * kPixel);
  for (std::size_t y = 0; y < in.height; y += kLanes) {
    const std::size_t rows = std::min(kLanes, in.height - y);
    to_lanes(in.row(y), in.stride, rows, 3 * in.width, wide.data());
    for (std::size_t x = 0; x < weights.outputs(); ++x) {
      means<kPixel>(
          wide.data() + static_cast<std::size_t>(weights.first[x]) * kPixel,
          kPixel,
          weights.values.data() + weights.offset[x],
          weights.count(x),
          narrow.data() + x * kPixel);
    }
    from_lanes(narrow.data(), rows, out_row, out + y * out_row);
  }
}

[[gnu::always_inline]] inline void columns_body(
    const RowsView& in,
    int begin,
    const ResizeWeights& weights,
    std::uint8_t* out) {
  const std::size_t n = 3 * in.width;
  for (std::size_t y = 0; y < weights.outputs(); ++y, out += n) {
    const std::uint8_t* first =
        in.row(static_cast<std::size_t>(weights.first[y] - begin));
    const std::int32_t* values = weights.values.data() + weights.offset[y];
    const int count = weights.count(y);
    std::size_t i = 0;
    for (; i + kChunk <= n; i += kChunk) {
      means<kChunk>(first + i, in.stride, values, count, out + i);
    }
    for (; i < n; ++i) {
      means<1>(first + i, in.stride, values, count, out + i);
    }
  }
}

void rows(const RowsView& in, const ResizeWeights& weights, std::uint8_t* out) {
  rows_body(in, weights, out);
}

void columns(
    const RowsView& in,
    int begin,
    const ResizeWeights& weights,
    std::uint8_t* out) {
  columns_body(in, begin, weights, out);
}

#ifdef TRMML_RESIZE_AVX2
[[gnu::target("avx2")]] void
rows_avx2(const RowsView& in, const ResizeWeights& weights, std::uint8_t* out) {
  rows_body(in, weights, out);
}

[[gnu::target("avx2")]] void columns_avx2(
    const RowsView& in,
    int begin,
    const ResizeWeights& weights,
    std::uint8_t* out) {
  columns_body(in, begin, weights, out);
}
#endif

}  // namespace

const std::vector<ResizeKernels>& resize_kernels() {
  static const std::vector<ResizeKernels> all = [] {
    std::vector<ResizeKernels> found = {
        {"plain", plain_rows, plain_columns}, {"vectors", rows, columns}};
#ifdef TRMML_RESIZE_AVX2
    if (__builtin_cpu_supports("avx2")) {
      found.push_back({"avx2", rows_avx2, columns_avx2});
    }
#endif
    return found;
  }();
  return all;
}

}  // namespace trmml::data::detail
