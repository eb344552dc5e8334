#pragma once

#include "trmml/core/check.hpp"

#include <ATen/ATen.h>

namespace trmml::clip {

/// Mean and standard deviation of the colour channels (of values in [0, 1]) that every
/// CLIP checkpoint was trained with.
inline constexpr float kPixelMean[3] = {0.48145466F, 0.4578275F, 0.40821073F};
inline constexpr float kPixelStd[3] = {0.26862954F, 0.26130258F, 0.27577711F};

/// uint8 pictures [B, H, W, 3] to the input of an image tower: float
/// [B, 3, H * upscale, W * upscale] in channels-last memory, scaled to [0, 1] and
/// standardised by channel. Every pixel is repeated `upscale` times in both directions
/// (the small CLIP sees 96-pixel scenes at 192). Throws `c10::ValueError` /
/// `c10::TypeError` for another shape or type.
inline at::Tensor normalize_images(const at::Tensor& images, int64_t upscale = 1) {
  check_shape(images, {kAnySize, kAnySize, kAnySize, 3}, "normalize_images", "images");
  TORCH_CHECK_TYPE(
      images.scalar_type() == at::kByte,
      "normalize_images: expected images of type uint8, got ",
      toString(images.scalar_type()));
  TORCH_CHECK_VALUE(
      upscale >= 1, "normalize_images: expected upscale of at least 1, got ", upscale);
  at::Tensor mean = at::empty({3}, images.options().dtype(at::kFloat));
  at::Tensor scale = at::empty({3}, images.options().dtype(at::kFloat));
  for (int64_t c = 0; c < 3; ++c) {
    mean[c] = kPixelMean[c] * 255.0F;
    scale[c] = 1.0F / (kPixelStd[c] * 255.0F);
  }
  at::Tensor pixels = (images.to(at::kFloat) - mean) * scale;  // [B, H, W, 3]
  if (upscale > 1) {
    const int64_t b = images.size(0);
    const int64_t h = images.size(1);
    const int64_t w = images.size(2);
    pixels = pixels.view({b, h, 1, w, 1, 3})
                 .expand({b, h, upscale, w, upscale, 3})
                 .reshape({b, h * upscale, w * upscale, 3});
  }
  return pixels.permute({0, 3, 1, 2});  // [B, 3, H, W], channels last
}

}  // namespace trmml::clip
