#pragma once

#include "trmml/core/check.hpp"
#include "trmml/functional/similarity.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>

// What TRM-ML is compared with: matching the text with the whole image, or with every
// cell. Two prompts per category (present, absent), as DualCoOp has them.

namespace trmml::functional {

namespace detail {

inline void check_two_prompts(
    const at::Tensor& text_features,
    int64_t width,
    std::string_view where) {
  check_shape(
      text_features,
      {2, kAnySize, width},
      where,
      "text_features",
      "two prompts per category: present, absent");
}

// Image and text may come from towers of different types: the wider one computes.
inline at::ScalarType common_type(const at::Tensor& image, const at::Tensor& text) {
  return at::promoteTypes(image.scalar_type(), text.scalar_type());
}

}  // namespace detail

/// Text-image matching: the whole image against the two prompts of each category,
/// \f[ z_{bc} = s\,\langle \hat g_b, \hat t^+_c - \hat t^-_c \rangle \f]
///
/// Shapes (B images, C categories, D joint width): global_features [B, D],
/// text_features [2, C, D] (neither need be normalised), logit_scale s a positive
/// scalar; returns [B, C]. Features of two floating types are computed in the wider
/// one. Gradients reach all three. Throws `c10::ValueError`.
/// ```
/// auto z = functional::text_image_logits(features.global, text, log_scale.exp());
/// ```
inline at::Tensor text_image_logits(
    const at::Tensor& global_features,
    const at::Tensor& text_features,
    const at::Tensor& logit_scale) {
  constexpr auto kWhere = "functional::text_image_logits";
  check_shape(global_features, {kAnySize, kAnySize}, kWhere, "global_features");
  detail::check_two_prompts(text_features, global_features.size(1), kWhere);
  const at::ScalarType type = detail::common_type(global_features, text_features);
  const at::Tensor text = l2_normalise(text_features.to(type));
  return logit_scale * l2_normalise(global_features.to(type))
                           .matmul((text[0] - text[1]).t());  // [B, C]
}

/// Text-pixel matching: every cell against the two prompts of each category, cells
/// weighed by their similarity to the present one (the form of DualCoOp, Sun et al.,
/// NeurIPS 2022),
/// \f[ w_{bcr} = \mathrm{softmax}_r(\kappa s \langle \hat v_{br}, \hat t^+_c\rangle),
///     \quad z_{bc} = s \sum_r w_{bcr} \langle \hat v_{br}, \hat t^+_c - \hat
///     t^-_c\rangle \f]
///
/// Shapes (R cells): region_features [B, R, D], text_features [2, C, D] (neither need
/// be normalised), logit_scale s a positive scalar, `sharpness` kappa > 0 (default 0.5,
/// ours: tuned on FashionScenes); returns [B, C]. Types as in `text_image_logits`.
/// Gradients reach all tensors. Throws `c10::ValueError`.
/// ```
/// auto z = functional::text_pixel_logits(features.regions, text, log_scale.exp());
/// ```
inline at::Tensor text_pixel_logits(
    const at::Tensor& region_features,
    const at::Tensor& text_features,
    const at::Tensor& logit_scale,
    double sharpness = 0.5) {
  constexpr auto kWhere = "functional::text_pixel_logits";
  check_shape(
      region_features, {kAnySize, kAnySize, kAnySize}, kWhere, "region_features");
  detail::check_two_prompts(text_features, region_features.size(2), kWhere);
  TORCH_CHECK_VALUE(sharpness > 0, kWhere, ": expected sharpness > 0, got ", sharpness);
  const at::ScalarType type = detail::common_type(region_features, text_features);
  const at::Tensor text = l2_normalise(text_features.to(type));
  const at::Tensor cells = l2_normalise(region_features.to(type));
  const at::Tensor present = cells.matmul(text[0].t());  // [B, R, C]
  const at::Tensor absent = cells.matmul(text[1].t());   // [B, R, C]
  const at::Tensor weights = (present * (logit_scale * sharpness)).softmax(1);
  return logit_scale * (weights * (present - absent)).sum(1);  // [B, C]
}

}  // namespace trmml::functional
