#pragma once

#include "trmml/core/check.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/cat.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

namespace trmml::functional {

/// Lengths below this count as zero where vectors are normalised.
inline constexpr double kNormEps = 1e-12;

/// Elements that a chunked function keeps in memory at a time (64 MB of floats).
inline constexpr int64_t kChunkElements = int64_t{1} << 24;

/// `x` divided by its L2 norm along the last dimension; a zero vector stays zero, also
/// in float16.
///
/// Gradients reach `x` (zero where `x` is zero).
/// ```
/// at::Tensor direction = functional::l2_normalise(features);  // [.., D]
/// ```
inline at::Tensor l2_normalise(const at::Tensor& x) {
  const at::Tensor norm = x.norm(2, -1, /*keepdim=*/true);
  return x /
         norm.masked_fill(norm.le(kNormEps), std::numeric_limits<double>::infinity());
}

/// `x` itself, or its float version when it is float16 or bfloat16: logarithms and sums
/// over a batch need the range.
inline at::Tensor promote_reduced(const at::Tensor& x) {
  const bool reduced = x.scalar_type() == at::kHalf || x.scalar_type() == at::kBFloat16;
  return reduced ? x.to(at::kFloat) : x;
}

/// Cosine similarity of every row of `a` with every row of `b`.
///
/// Shapes: a [.., D], b [K, D] -> [.., K], in [-1, 1]. Neither needs to be normalised;
/// gradients reach both.
/// ```
/// at::Tensor scores = functional::pairwise_cosine(image_features, text_features);
/// ```
inline at::Tensor pairwise_cosine(const at::Tensor& a, const at::Tensor& b) {
  check_shape(b, {kAnySize, kAnySize}, "functional::pairwise_cosine", "b");
  TORCH_CHECK_VALUE(
      a.dim() >= 1 && a.size(-1) == b.size(1),
      "functional::pairwise_cosine: expected a of width ",
      b.size(1),
      ", got ",
      format_shape(a.sizes()));
  return l2_normalise(a).matmul(l2_normalise(b).t());
}

/// Zero-shot score of whole pictures: the similarity of the global feature with the
/// text plus that of the cells, averaged with weights that favour the cells which
/// agree. Ours (third piece of the evidence for pseudo-labels): \f[ e_{nc} = \langle
/// g_n, T_c\rangle
///     + \sum_r \mathrm{softmax}_r(s \langle v_{nr}, T_c\rangle)
///       \langle v_{nr}, T_c\rangle \f]
///
/// Shapes (N pictures, R cells, C categories, D joint width):
///   global_features  [N, D]
///   region_features  [N, R, D]
///   text_features    [C, D]   frozen features of "a photo of a {name}."
///   returns          [N, C], in [-2, 2]
/// Nothing needs to be normalised. `sharpness` s is dimensionless (default 19).
/// Computed in chunks over N, so that [N, R, C] never stands in memory whole. Gradients
/// reach all inputs that require one (the towers are frozen: usually none). Throws
/// `c10::ValueError` when the shapes disagree.
/// ```
/// at::Tensor e3 = functional::zero_shot_scores(features.global, features.regions,
/// text);
/// ```
inline at::Tensor zero_shot_scores(
    const at::Tensor& global_features,
    const at::Tensor& region_features,
    const at::Tensor& text_features,
    double sharpness = 19.0) {
  constexpr auto kWhere = "functional::zero_shot_scores";
  check_shape(text_features, {kAnySize, kAnySize}, kWhere, "text_features");
  const int64_t width = text_features.size(1);
  check_shape(region_features, {kAnySize, kAnySize, width}, kWhere, "region_features");
  const int64_t n = region_features.size(0);
  check_shape(global_features, {n, width}, kWhere, "global_features");
  const at::Tensor text = l2_normalise(text_features).t();  // [D, C]
  const at::Tensor whole =
      l2_normalise(global_features.to(text.scalar_type())).matmul(text);
  const int64_t cells = std::max<int64_t>(1, region_features.size(1));
  const int64_t chunk = std::max<int64_t>(
      1, kChunkElements / (cells * std::max<int64_t>(1, text.size(1))));
  std::vector<at::Tensor> pooled;
  for (int64_t start = 0; start < n; start += chunk) {
    const at::Tensor part = region_features.narrow(0, start, std::min(chunk, n - start))
                                .to(text.scalar_type());
    const at::Tensor map = l2_normalise(part).matmul(text);         // [n, R, C]
    pooled.push_back(((map * sharpness).softmax(1) * map).sum(1));  // [n, C]
  }
  return pooled.empty() ? whole : whole + at::cat(pooled, 0);
}

}  // namespace trmml::functional
