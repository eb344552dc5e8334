#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace trmml::data {

// All functions take complete int8 labels [N, C] in {-1, +1} (an entry that is unknown
// already stays unknown) and return new int8 labels [N, C] in {-1, 0, +1}; they draw
// from NumPy's legacy generator, bit for bit, and touch no other random state.

/// Keeps each entry with probability `proportion` in [0, 1], the rest becomes unknown.
///
/// The protocol of the HCP family of papers: one 53-bit uniform draw an entry in
/// row-major order, kept if it is below `proportion`. Masks of one seed are nested:
/// what is known at 10 % is known at 30 %. The published masks use seed 0.
at::Tensor
known_label_proportion(const at::Tensor& labels, double proportion, uint32_t seed = 0);

/// Keeps one random positive a picture; everything else becomes unknown, also in a
/// picture without a positive.
///
/// The protocol of Cole et al. ("Multi-Label Learning from Single Positive Labels",
/// CVPR 2021): a row's positives are shuffled and the first is kept; its negatives are
/// shuffled too, which only consumes random numbers. Their seed is 1200.
at::Tensor single_positive(const at::Tensor& labels, uint32_t seed = 1200);

/// Keeps the one positive that `category` [N] names (-1: none) in each picture.
/// Throws `DataError` when a named category is not present in its picture.
at::Tensor keep_one_positive(
    const at::Tensor& labels,
    const std::vector<int64_t>& category);

}  // namespace trmml::data
