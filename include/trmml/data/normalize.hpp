#pragma once

#include "trmml/core/check.hpp"

#include <ATen/core/Tensor.h>
#include <ATen/ops/tensor.h>

#include <array>
#include <cstdint>

namespace trmml::data {

/// Bytes to what an image tower takes: (x / 255 - mean) / std for every byte of red,
/// green and blue, in this order in fp32; equal to the bit, on the CPU, to what
/// `ImageDataset` makes with `normalized(true)` and to `clip::to_tensor`.
///
/// `images` uint8 [B, 3, H, W]; `mean` and `std` (> 0) of values in [0, 1]. Returns
/// float [B, 3, H, W] on the device of `images`: move the bytes, which are a quarter,
/// then call this. Throws `c10::ValueError` / `c10::TypeError` for another shape or
/// type.
/// ```
/// for (const Batch& batch : loader.epoch(e)) {
///   const at::Tensor x = normalize(batch.images.to(device), mean, std);
/// ```
inline at::Tensor normalize(
    const at::Tensor& images,
    const std::array<float, 3>& mean,
    const std::array<float, 3>& std) {
  constexpr auto kWhere = "data::normalize";
  check_shape(images, {kAnySize, 3, kAnySize, kAnySize}, kWhere, "images");
  TORCH_CHECK_TYPE(
      images.scalar_type() == at::kByte,
      kWhere,
      ": expected images of type uint8, got ",
      toString(images.scalar_type()));
  for (const float value : std) {
    TORCH_CHECK_VALUE(value > 0, kWhere, ": expected std above 0, got ", value);
  }
  const auto options = images.options().dtype(at::kFloat);
  const auto channels = [&options](const std::array<float, 3>& values) {
    return at::tensor(at::ArrayRef<float>(values.data(), 3), at::kFloat)
        .to(options.device())
        .view({3, 1, 1});
  };
  // 255 as a tensor: a device multiplies by the inverse of a number, which rounds
  // differently.
  return images.to(at::kFloat)
      .div_(channels({255.0F, 255.0F, 255.0F}))
      .sub_(channels(mean))
      .div_(channels(std));
}

}  // namespace trmml::data
