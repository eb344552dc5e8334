#pragma once

#include "trmml/core/check.hpp"

#include <ATen/core/Tensor.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/upsample_bicubic2d.h>
#include <c10/util/Exception.h>

#include <cstdint>
#include <string_view>

namespace trmml::clip {

/// How the attention pool of a ModifiedResNet is turned into a map of features, one per
/// cell. (A vision transformer adds its positions at the input: it has one form only.)
enum class DenseForm {
  kPlain,     ///< value and output projection of the cells as they are
  kDualCoOp,  ///< the same after the positional embedding was added, as DualCoOp does
};

/// What `features` of an image tower returns. Neither tensor is normalised.
struct ImageFeatures {
  at::Tensor global;   ///< [B, D] what CLIP compares with a text
  at::Tensor regions;  ///< [B, R, D] the cells, row by row, without mean or class token

  /// The same on another device.
  ImageFeatures to(at::Device device) const {
    return {global.to(device), regions.to(device)};
  }
};

/// The positional embedding of a grid, resized to `rows` x `columns` cells.
///
/// The first row (mean or class token) is kept; the others are a square grid, resized
/// bicubically without aligned corners. At the native size `positions` itself is
/// returned.
///
/// Shapes: positions [1 + G * G, w] -> [1 + rows * columns, w]. Gradients pass through.
/// Throws `c10::ValueError` when the grid is not a square.
///
/// Example:
/// ```
/// auto positions = resize_positions(pool->positional_embedding, 14, 14);
/// ```
inline at::Tensor
resize_positions(const at::Tensor& positions, int64_t rows, int64_t columns) {
  check_shape(positions, {kAnySize, kAnySize}, "resize_positions", "positions");
  int64_t side = 0;
  while ((side + 1) * (side + 1) < positions.size(0)) {
    ++side;
  }
  TORCH_CHECK_VALUE(
      side > 0 && side * side + 1 == positions.size(0),
      "resize_positions: expected positions of 1 + G * G rows, got ",
      positions.size(0));
  if (rows == side && columns == side) {
    return positions;
  }
  const int64_t width = positions.size(1);
  const at::Tensor grid = positions.slice(0, 1)
                              .t()
                              .reshape({1, width, side, side})
                              .contiguous();  // [1, w, G, G]
  const at::Tensor resized =
      at::upsample_bicubic2d(grid, {rows, columns}, /*align_corners=*/false);
  return at::cat({positions.slice(0, 0, 1), resized.flatten(2).squeeze(0).t()});
}

namespace detail {

/// Pictures [B, 3, H, W] of floating-point numbers, at least `smallest` pixels a side.
inline void
check_images(const at::Tensor& images, int64_t smallest, std::string_view where) {
  check_shape(
      images,
      {kAnySize, 3, kAnySize, kAnySize},
      where,
      "images",
      "channels come second, and are red, green, blue");
  check_floating(images, where, "images");
  TORCH_CHECK_VALUE(
      images.size(2) >= smallest && images.size(3) >= smallest,
      where,
      ": expected images of at least ",
      smallest,
      " x ",
      smallest,
      " pixels, got ",
      images.size(2),
      " x ",
      images.size(3));
}

/// [B, w, h, w'] -> [B, h * w', w]; no copy when the memory is channels-last.
inline at::Tensor cells_of(const at::Tensor& map) {
  return map.flatten(2).transpose(1, 2);
}

}  // namespace detail
}  // namespace trmml::clip
