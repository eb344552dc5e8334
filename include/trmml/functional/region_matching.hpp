#pragma once

#include "trmml/core/check.hpp"
#include "trmml/functional/similarity.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>

#include <cmath>
#include <cstdint>

namespace trmml::functional {

namespace detail {

/// [.., n, d] -> [.., heads, n, d / heads]
inline at::Tensor split_heads(const at::Tensor& x, int64_t heads) {
  return x.unflatten(-1, {heads, x.size(-1) / heads}).transpose(-3, -2);
}

}  // namespace detail

/// Attention of category queries over the regions of each image:
/// \f[ A = \mathrm{softmax}_r( q k^\top / \sqrt{d / h} ) \f]
/// The region saliency map per category is [S] stated by the paper's abstract; scaled
/// dot products with h heads are ours.
///
/// Shapes (B images, C categories, R regions, d attention width, h heads):
///   query  [C, d] (the same for every image) or [B, C, d]
///   key    [B, R, d]
///   returns [B, h, C, R]; each row sums to 1
/// d must be divisible by `heads`. Gradients reach both inputs.
/// ```
/// at::Tensor weights = functional::region_attention(query, key);       // [B, 1, C, R]
/// at::Tensor saliency = weights.mean(1);                               // [B, C, R]
/// ```
inline at::Tensor
region_attention(const at::Tensor& query, const at::Tensor& key, int64_t heads = 1) {
  constexpr auto kWhere = "functional::region_attention";
  check_shape(key, {kAnySize, kAnySize, kAnySize}, kWhere, "key");
  const int64_t width = key.size(2);
  TORCH_CHECK_VALUE(
      query.defined() && (query.dim() == 2 || query.dim() == 3) &&
          query.size(-1) == width,
      kWhere,
      ": expected query of shape [C, ",
      width,
      "] or [B, C, ",
      width,
      "], got ",
      query.defined() ? format_shape(query.sizes()) : "an undefined tensor");
  TORCH_CHECK_VALUE(
      heads > 0 && width % heads == 0,
      kWhere,
      ": expected heads that divide the width ",
      width,
      ", got ",
      heads);
  const double scale = 1.0 / std::sqrt(static_cast<double>(width) / heads);
  if (heads == 1) {
    const at::Tensor scores = (query * scale).matmul(key.transpose(1, 2));  // [B, C, R]
    return scores.softmax(-1).unsqueeze(1);
  }
  const at::Tensor scores =
      detail::split_heads(query * scale, heads)
          .matmul(detail::split_heads(key, heads).transpose(-2, -1));
  return scores.softmax(-1);  // [B, h, C, R]
}

/// What each head collects from the values, heads joined again: A V.
///
/// Shapes: weights [B, h, C, R], value [B, R, d] -> [B, C, d]. Gradients reach both.
/// ```
/// at::Tensor collected = functional::attended_values(weights, value);
/// ```
inline at::Tensor attended_values(const at::Tensor& weights, const at::Tensor& value) {
  constexpr auto kWhere = "functional::attended_values";
  check_shape(weights, {kAnySize, kAnySize, kAnySize, kAnySize}, kWhere, "weights");
  check_shape(value, {weights.size(0), weights.size(3), kAnySize}, kWhere, "value");
  if (weights.size(1) == 1) {
    return weights.squeeze(1).matmul(value);
  }
  return weights.matmul(detail::split_heads(value, weights.size(1)))
      .transpose(1, 2)
      .flatten(2);
}

/// Region-level feature of each category: the regions, weighted by its saliency,
/// r = A V, L2-normalised. That V is aggregated by the saliency map is [S] stated by
/// the paper's abstract; that it passes no learned projection (r stays in CLIP's joint
/// space) is ours.
///
/// Shapes: saliency [B, C, R], region_features [B, R, D] -> [B, C, D].
/// Gradients reach both.
/// ```
/// at::Tensor r = functional::aggregate_regions(saliency, region_features);
/// ```
inline at::Tensor aggregate_regions(
    const at::Tensor& saliency,
    const at::Tensor& region_features) {
  constexpr auto kWhere = "functional::aggregate_regions";
  check_shape(saliency, {kAnySize, kAnySize, kAnySize}, kWhere, "saliency");
  check_shape(
      region_features,
      {saliency.size(0), saliency.size(2), kAnySize},
      kWhere,
      "region_features");
  return l2_normalise(saliency.matmul(region_features));
}

/// One-to-one matching score: feature c of an image with the text of category c alone
/// ([S]: region feature c with text feature c). The form of the score is ours:
/// \f[ z_{bc} = s(\langle x_{bc}, t^+_c\rangle - \langle x_{bc}, t^-_c\rangle)
///     \quad\text{or}\quad z_{bc} = s(\langle x_{bc}, t_c\rangle - \beta_c) \f]
///
/// Shapes (B images, C categories, P prompts, D joint width):
///   features       [B, C, D]  L2-normalised
///   text_features  [2, C, D]  present, absent; or [1, C, D] / [C, D]; need not be
///                             normalised
///   logit_scale    scalar tensor s > 0 (not its logarithm)
///   bias           [C], used with one prompt a category; undefined counts as 0
///   returns        [B, C]
/// Gradients reach all inputs. Throws `c10::ValueError` when the shapes disagree.
/// ```
/// at::Tensor logits = functional::matching_logits(r, text_features, scale.exp());
/// ```
inline at::Tensor matching_logits(
    const at::Tensor& features,
    const at::Tensor& text_features,
    const at::Tensor& logit_scale,
    const at::Tensor& bias = {}) {
  constexpr auto kWhere = "functional::matching_logits";
  check_shape(features, {kAnySize, kAnySize, kAnySize}, kWhere, "features");
  const int64_t categories = features.size(1);
  const int64_t width = features.size(2);
  TORCH_CHECK_VALUE(
      text_features.defined() &&
          (text_features.dim() == 2 || text_features.dim() == 3) &&
          text_features.size(-2) == categories && text_features.size(-1) == width &&
          (text_features.dim() == 2 || text_features.size(0) == 1 ||
           text_features.size(0) == 2),
      kWhere,
      ": expected text_features of shape [2, ",
      categories,
      ", ",
      width,
      "] (present, absent), [1, ",
      categories,
      ", ",
      width,
      "] or [",
      categories,
      ", ",
      width,
      "], got ",
      text_features.defined() ? format_shape(text_features.sizes())
                              : "an undefined tensor");
  const at::Tensor text = l2_normalise(text_features);
  if (text.dim() == 3 && text.size(0) == 2) {
    const at::Tensor direction = text.select(0, 0) - text.select(0, 1);  // [C, D]
    return logit_scale * (features * direction).sum(-1);                 // [B, C]
  }
  const at::Tensor single = text.dim() == 3 ? text.select(0, 0) : text;  // [C, D]
  const at::Tensor similarity = (features * single).sum(-1);             // [B, C]
  return logit_scale * (bias.defined() ? similarity - bias : similarity);
}

}  // namespace trmml::functional
