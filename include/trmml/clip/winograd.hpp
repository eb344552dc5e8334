#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/einsum.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cstdint>
#include <limits>

// Convolutions of 3 x 3 with fewer multiplications, for inference on a CPU.

namespace trmml::clip::detail {

/// A 3 x 3 convolution of stride 1 with one row of zeros around, a bias, and ReLU if
/// asked to: Winograd's minimal filtering F(4 x 4, 3 x 3) as Lavin and Gray, "Fast
/// algorithms for convolutional neural networks" (2016) use it.
///
/// Tiles of 6 x 6 pixels, 4 apart, become B^T d B; the weights G g G^T; then each of 36
/// places is one matrix product over the channels, and A^T m A are 4 x 4 results: 36
/// multiplications where 144 stood. Differences to the direct sum are rounding, some
/// ten times as large (1e-5 of the result's norm).
class WinogradConv {
 public:
  /// Whether weights [out, in, k, k] and their geometry are of this kind: fp32 on a
  /// CPU, and channels that fill the lanes of the transforms.
  static bool applies(const at::Tensor& weight, int64_t stride, int64_t padding) {
    return weight.is_cpu() && weight.scalar_type() == at::kFloat && stride == 1 &&
           padding == 1 && weight.size(2) == 3 && weight.size(3) == 3 &&
           weight.size(0) % kLanes == 0 && weight.size(1) % kLanes == 0;
  }

  /// weight [out, in, 3, 3], bias [out]; both are copied.
  WinogradConv(const at::Tensor& weight, const at::Tensor& bias, bool relu)
      : weights_(transform_weights(weight)), bias_(bias.clone()), relu_(relu) {}

  /// [B, in, h, w] -> [B, out, h, w], both channels-last.
  at::Tensor operator()(const at::Tensor& x) const;

 private:
  static constexpr int64_t kLanes = 16;   // channels transformed together
  static constexpr int64_t kPlaces = 36;  // of a tile

  // Tiles between the steps: few enough to stay in the cache, but many enough for the
  // weights to be worth reading.
  static constexpr int64_t kBytes = 1LL << 21;
  static int64_t tiles_at_once(int64_t in, int64_t out) {
    const int64_t bytes = kPlaces * (in + out) * static_cast<int64_t>(sizeof(float));
    return std::max(2 * out, kBytes / bytes);
  }

  /// Where tile `t` is: its picture, and its first result's row and column.
  struct Tiles {
    int64_t height, width, across, per_picture;

    Tiles(int64_t h, int64_t w)
        : height(h), width(w), across((w + 3) / 4), per_picture((h + 3) / 4 * across) {}
    int64_t picture(int64_t t) const { return t / per_picture; }
    int64_t row(int64_t t) const { return t % per_picture / across * 4; }
    int64_t column(int64_t t) const { return t % across * 4; }
  };

  static at::Tensor transform_weights(const at::Tensor& weight);
  static void transform_tile(float* d);
  static void transform_result(float* m);

  void gather(const at::Tensor& x, const Tiles& tiles, int64_t first, at::Tensor& v)
      const;
  void scatter(const at::Tensor& m, const Tiles& tiles, int64_t first, at::Tensor& y)
      const;

  at::Tensor weights_;  // [36, in, out]
  at::Tensor bias_;     // [out]
  bool relu_;
};

// ---------------------------------------------------------------------------------
// Bodies

/// G g G^T, in double.
inline at::Tensor WinogradConv::transform_weights(const at::Tensor& weight) {
  constexpr double kG[6][3] = {
      {6, 0, 0}, {-4, -4, -4}, {-4, 4, -4}, {1, 2, 4}, {1, -2, 4}, {0, 0, 24}};
  const at::Tensor g =
      at::tensor(at::ArrayRef<double>(&kG[0][0], 18), at::kDouble).view({6, 3}) / 24;
  return at::einsum("pi,koij,qj->pqok", {g, weight.to(at::kDouble), g})
      .reshape({kPlaces, weight.size(1), weight.size(0)})
      .to(at::kFloat)
      .contiguous();
}

/// d [6, 6, lanes] -> B^T d B, in place.
inline void WinogradConv::transform_tile(float* d) {
  const auto along = [](float* x, int64_t step) {
    for (int64_t i = 0; i < kLanes; ++i, ++x) {
      const float x0 = x[0], x1 = x[step], x2 = x[2 * step];
      const float x3 = x[3 * step], x4 = x[4 * step], x5 = x[5 * step];
      x[0] = 4 * x0 - 5 * x2 + x4;
      x[step] = (x4 - 4 * x2) + (x3 - 4 * x1);
      x[2 * step] = (x4 - 4 * x2) - (x3 - 4 * x1);
      x[3 * step] = (x4 - x2) + 2 * (x3 - x1);
      x[4 * step] = (x4 - x2) - 2 * (x3 - x1);
      x[5 * step] = 4 * x1 - 5 * x3 + x5;
    }
  };
  for (int64_t i = 0; i < 6; ++i) {
    along(d + i * kLanes, 6 * kLanes);  // columns
  }
  for (int64_t i = 0; i < 6; ++i) {
    along(d + i * 6 * kLanes, kLanes);  // rows
  }
}

/// m [6, 6, lanes] -> A^T m A in its first 4 rows and columns.
inline void WinogradConv::transform_result(float* m) {
  const auto along = [](float* x, int64_t step) {
    for (int64_t i = 0; i < kLanes; ++i, ++x) {
      const float sum1 = x[step] + x[2 * step], difference1 = x[step] - x[2 * step];
      const float sum2 = x[3 * step] + x[4 * step];
      const float difference2 = x[3 * step] - x[4 * step];
      x[0] = x[0] + sum1 + sum2;
      x[step] = difference1 + 2 * difference2;
      x[2 * step] = sum1 + 4 * sum2;
      x[3 * step] = difference1 + 8 * difference2 + x[5 * step];
    }
  };
  for (int64_t i = 0; i < 6; ++i) {
    along(m + i * kLanes, 6 * kLanes);
  }
  for (int64_t i = 0; i < 4; ++i) {
    along(m + i * 6 * kLanes, kLanes);
  }
}

/// Transformed tiles first, first + 1, ... of `x` into v [36, n, in].
inline void WinogradConv::gather(
    const at::Tensor& x,
    const Tiles& tiles,
    int64_t first,
    at::Tensor& v) const {
  const int64_t channels = x.size(1);
  const int64_t n = v.size(1);
  const float* from = x.data_ptr<float>();
  float* to = v.data_ptr<float>();
  alignas(64) float d[kPlaces * kLanes];
  for (int64_t t = 0; t < n; ++t) {
    const float* picture =
        from + tiles.picture(first + t) * tiles.height * tiles.width * channels;
    const int64_t top = tiles.row(first + t) - 1;
    const int64_t left = tiles.column(first + t) - 1;
    for (int64_t c = 0; c < channels; c += kLanes) {
      for (int64_t p = 0; p < kPlaces; ++p) {
        const int64_t row = top + p / 6;
        const int64_t column = left + p % 6;
        if (row >= 0 && row < tiles.height && column >= 0 && column < tiles.width) {
          std::copy_n(
              picture + (row * tiles.width + column) * channels + c,
              kLanes,
              d + p * kLanes);
        } else {
          std::fill_n(d + p * kLanes, kLanes, 0.0F);
        }
      }
      transform_tile(d);
      for (int64_t p = 0; p < kPlaces; ++p) {
        std::copy_n(d + p * kLanes, kLanes, to + (p * n + t) * channels + c);
      }
    }
  }
}

/// The results of tiles first, first + 1, ... from m [36, n, out] into `y`.
inline void WinogradConv::scatter(
    const at::Tensor& m,
    const Tiles& tiles,
    int64_t first,
    at::Tensor& y) const {
  const int64_t channels = y.size(1);
  const int64_t n = m.size(1);
  const float* from = m.data_ptr<float>();
  const float* bias = bias_.data_ptr<float>();
  float* to = y.data_ptr<float>();
  const float least = relu_ ? 0.0F : -std::numeric_limits<float>::infinity();
  alignas(64) float d[kPlaces * kLanes];
  for (int64_t t = 0; t < n; ++t) {
    float* picture =
        to + tiles.picture(first + t) * tiles.height * tiles.width * channels;
    const int64_t top = tiles.row(first + t);
    const int64_t left = tiles.column(first + t);
    const int64_t rows = std::min<int64_t>(4, tiles.height - top);
    const int64_t columns = std::min<int64_t>(4, tiles.width - left);
    for (int64_t c = 0; c < channels; c += kLanes) {
      for (int64_t p = 0; p < kPlaces; ++p) {
        std::copy_n(from + (p * n + t) * channels + c, kLanes, d + p * kLanes);
      }
      transform_result(d);
      for (int64_t i = 0; i < rows; ++i) {
        for (int64_t j = 0; j < columns; ++j) {
          const float* result = d + (i * 6 + j) * kLanes;
          float* pixel = picture + ((top + i) * tiles.width + left + j) * channels + c;
          for (int64_t k = 0; k < kLanes; ++k) {
            const float value = result[k] + bias[c + k];
            pixel[k] = value < least ? least : value;  // a NaN stays
          }
        }
      }
    }
  }
}

inline at::Tensor WinogradConv::operator()(const at::Tensor& x) const {
  const int64_t in = weights_.size(1);
  const int64_t out = weights_.size(2);
  const at::Tensor pixels = x.contiguous(at::MemoryFormat::ChannelsLast);
  at::Tensor y = at::empty(
      {x.size(0), out, x.size(2), x.size(3)},
      x.options().memory_format(at::MemoryFormat::ChannelsLast));
  const Tiles tiles(x.size(2), x.size(3));
  const int64_t count = x.size(0) * tiles.per_picture;
  const int64_t at_once = std::min(count, tiles_at_once(in, out));
  at::Tensor buffer = at::empty({kPlaces * at_once * (in + out)}, x.options());
  for (int64_t first = 0; first < count; first += at_once) {
    const int64_t n = std::min(at_once, count - first);
    const auto part = [&](int64_t begin, int64_t channels) {
      return buffer.narrow(0, begin, kPlaces * n * channels)
          .view({kPlaces, n, channels});
    };
    at::Tensor v = part(0, in);
    at::Tensor m = part(v.numel(), out);
    gather(pixels, tiles, first, v);
    at::bmm_out(m, v, weights_);
    scatter(m, tiles, first, y);
  }
  return y;
}

}  // namespace trmml::clip::detail
