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

/// Hides each entry with probability `removal_rate` in [0, 1].
///
/// The protocol "random per sample" of CSL ("Multi-label Classification with Partial
/// Annotations using Class-aware Selective Loss", CVPR 2022): one uniform draw an entry
/// in row-major order, hidden if it is below the rate. Theirs is not seeded; after
/// `numpy.random.seed(seed)` it hides the same entries. At equal seeds the entries
/// differ from those of `known_label_proportion`.
at::Tensor
random_per_sample(const at::Tensor& labels, double removal_rate, uint32_t seed = 0);

/// Keeps `n` present and `n` absent entries of each category, or all there are.
///
/// The protocol "fixed per class" of CSL: category by category, a random choice without
/// repetition among the present entries, then among the absent ones. Theirs is not
/// seeded; after `numpy.random.seed(seed)` it keeps the same entries.
at::Tensor fixed_per_class(const at::Tensor& labels, int64_t n, uint32_t seed = 0);

/// How many of its n positives a picture keeps.
enum class PositivesLeft {
  kThreeQuarters,  ///< floor(n / 2) + 1, the "0.75 left" of SPLC
  kTwoFifths,      ///< floor(n / 5) + 1, the "0.4 left" of SPLC
};

/// Keeps some positives of each picture; everything else becomes unknown. (The method
/// may count unknown as absent, as SPLC does.)
///
/// The counts are those of SPLC ("Simple and Robust Loss Design for Multi-Label
/// Learning with Missing Labels", 2021), whose draws are published as lists only
/// (`read_positive_list`). The draw is ours: the positives of a row are shuffled, the
/// first ones are kept. With one seed, what is left of 0.4 is left of 0.75, too.
at::Tensor
missing_positives(const at::Tensor& labels, PositivesLeft left, uint32_t seed = 0);

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

/// Rows of a training set, both in ascending order.
struct HeldOutRows {
  std::vector<int64_t> train;
  std::vector<int64_t> held_out;
};

/// The part of the training set that Cole et al. choose their epoch on.
///
/// Of NumPy's `RandomState(seed).permutation(n)` the last round(share * n) rows are
/// held out (halves round to even). Labels are hidden first, in the whole training set:
/// the order of both matters, as each has its own generator of the same seed.
HeldOutRows cole_held_out(int64_t n, double share = 0.2, uint32_t seed = 1200);

/// A part of `n` rows to choose the epoch on. Ours.
///
/// The first round(share * n) rows (halves round up) of `epoch_order(n, seed, 0)` are
/// held out. Throws `c10::ValueError` unless there are rows on both sides.
HeldOutRows hold_out(int64_t n, double share, uint64_t seed);

}  // namespace trmml::data
