#pragma once

#include "trmml/core/check.hpp"
#include "trmml/data/image.hpp"

#include <ATen/ATen.h>
#include <torch/arg.h>

#include <array>
#include <cstdint>

namespace trmml::clip {

/// Mean and standard deviation of the colour channels (of values in [0, 1]) that every
/// CLIP checkpoint was trained with.
inline constexpr std::array kPixelMean = {0.48145466F, 0.4578275F, 0.40821073F};
inline constexpr std::array kPixelStd = {0.26862954F, 0.26130258F, 0.27577711F};

/// How a picture of any shape becomes a square one.
enum class Fit {
  kCrop,    ///< CLIP's: the short side to S, then the S x S in the middle
  kSquash,  ///< the multi-label protocols': both sides to S, no part is lost
};

/// Options for `preprocess`. The defaults are those of OpenAI's CLIP.
///
/// Example:
/// ```
/// clip::PreprocessOptions(448).fit(clip::Fit::kSquash)
/// ```
struct PreprocessOptions {
  /*implicit*/ PreprocessOptions(int64_t resolution) : resolution_(resolution) {}

  /// Pixels S a side of what comes out; from 1 to 16384.
  TORCH_ARG(int64_t, resolution);

  /// What is lost when the picture is not square.
  TORCH_ARG(Fit, fit) = Fit::kCrop;

  /// CLIP resizes with kBicubic; torchvision's own default, which some multi-label
  /// code uses, is kBilinear.
  TORCH_ARG(data::Filter, filter) = data::Filter::kBicubic;

  /// The version of Pillow that `resize` repeats.
  TORCH_ARG(data::PassOrder, pass_order) = data::PassOrder::kPillow13;

  /// Mean and standard deviation (> 0) of red, green, blue, of values in [0, 1].
  using Channels = std::array<float, 3>;
  TORCH_ARG(Channels, mean) = kPixelMean;
  TORCH_ARG(Channels, std) = kPixelStd;
};

/// The picture that the image tower is shown, before it becomes numbers: 8 bits,
/// S x S. Equal to the bit to what Pillow and torchvision make (`Resize`,
/// `CenterCrop`): with `Fit::kCrop` the long side becomes floor(S * long / short), and
/// of a margin that is odd the half is rounded to the even neighbour.
///
/// Throws `c10::ValueError` for options out of their range, `std::invalid_argument` for
/// a picture that is none, or so narrow that its long side would not fit memory.
///
/// Example:
/// ```
/// const data::Image seen = clip::fit_image(data::read_image(path), 224);
/// ```
data::Image fit_image(const data::Image& image, const PreprocessOptions& options);

/// (x / 255 - mean) / std for every byte x, in this order in fp32, as torchvision's
/// `ToTensor` and `Normalize`: equal to the bit. Returns float [3, H, W] on the CPU. No
/// gradient, no random numbers. Throws as `fit_image` does.
///
/// Example:
/// ```
/// const at::Tensor pixels = clip::to_tensor(image);  // [3, H, W]
/// ```
at::Tensor to_tensor(
    const data::Image& image,
    const PreprocessOptions& options = PreprocessOptions(224));

/// A picture to the input of an image tower: `fit_image`, then `to_tensor`. Returns
/// float [3, S, S]; stack several for a batch. Threads may call it at the same time.
///
/// Example:
/// ```
/// const auto options = clip::PreprocessOptions(model->options.input_resolution());
/// const at::Tensor x = clip::preprocess(data::read_image(path), options);
/// const at::Tensor features = model->encode_image(x.unsqueeze(0));
/// ```
at::Tensor preprocess(const data::Image& image, const PreprocessOptions& options);

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
