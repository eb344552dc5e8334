#pragma once

#include "trmml/core/check.hpp"

#include <ATen/core/Tensor.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

namespace trmml {

/// `Prompts` written out as one padded block, for plain text towers and for tests.
struct DensePrompts {
  at::Tensor embeddings;     ///< [P, C, L, w], zero behind the end token
  at::Tensor end_positions;  ///< [C] int64, position of the end token in 0 .. L-1
};

/// The token embeddings of P prompts for each of C categories: what a prompt learner
/// gives to a text tower. The tokens that all categories share (start token and generic
/// context) stand apart from each category's own, so that a causal tower can compute
/// the common prefix once. Ours: not described in the paper's abstract.
///
/// The sequence of prompt p and category c is `common[p]` followed by the rows
/// `offsets[c] .. offsets[c + 1] - 1` of `own`; its last token is the end token.
///
/// Shapes (P prompts per category, C categories, S shared tokens, T = own tokens of all
/// categories together, w text width): see the members. Carries the graph of the
/// embeddings; holds no state and draws no random numbers.
///
/// ```
/// Prompts prompts = prompt_learner->forward();
/// at::Tensor text_features = text_transformer->forward(prompts);  // [P, C, D]
/// ```
struct Prompts {
  at::Tensor common;             ///< [P, S, w]; S may be 0
  at::Tensor own;                ///< [T, w] (the same for all prompts) or [P, T, w]
  std::vector<int64_t> offsets;  ///< [C + 1], ascending from 0 to T

  /// P, prompts per category.
  int64_t n_prompts() const { return common.size(0); }

  /// C, number of categories.
  int64_t n_cls() const { return static_cast<int64_t>(offsets.size()) - 1; }

  /// S, tokens that every category shares.
  int64_t n_common() const { return common.size(1); }

  /// Own tokens of category `c`, its end token included.
  int64_t own_length(int64_t c) const {
    return offsets[static_cast<size_t>(c) + 1] - offsets[static_cast<size_t>(c)];
  }

  /// L, tokens of the longest prompt.
  int64_t max_length() const {
    int64_t longest = 0;
    for (int64_t c = 0; c < n_cls(); ++c) {
      longest = std::max(longest, own_length(c));
    }
    return n_common() + longest;
  }

  /// Throws `c10::ValueError` unless shapes and offsets fit together and every category
  /// owns at least one token; `where` opens the message.
  void check(std::string_view where) const {
    check_shape(common, {kAnySize, kAnySize, kAnySize}, where, "common");
    const int64_t width = common.size(2);
    TORCH_CHECK_VALUE(
        own.defined() && (own.dim() == 2 || own.dim() == 3),
        where,
        ": expected own of shape [T, w] or [P, T, w], got ",
        own.defined() ? format_shape(own.sizes()) : "an undefined tensor");
    if (own.dim() == 2) {
      check_shape(own, {kAnySize, width}, where, "own");
    } else {
      check_shape(own, {n_prompts(), kAnySize, width}, where, "own");
    }
    TORCH_CHECK_VALUE(
        offsets.size() >= 2 && offsets.front() == 0 && offsets.back() == own.size(-2),
        where,
        ": expected offsets from 0 to the ",
        own.size(-2),
        " rows of own, got ",
        offsets.size(),
        " offsets");
    for (int64_t c = 0; c < n_cls(); ++c) {
      TORCH_CHECK_VALUE(
          own_length(c) > 0,
          where,
          ": expected at least one own token per category, category ",
          c,
          " has none (each ends with its end token)");
    }
  }

  /// The padded form. Gradients reach `common` and `own`.
  DensePrompts dense() const {
    check("Prompts::dense");
    const int64_t longest = max_length() - n_common();
    const int64_t padding = own.size(-2);
    std::vector<int64_t> rows;
    std::vector<int64_t> ends;
    for (int64_t c = 0; c < n_cls(); ++c) {
      for (int64_t i = 0; i < longest; ++i) {
        rows.push_back(
            i < own_length(c) ? offsets[static_cast<size_t>(c)] + i : padding);
      }
      ends.push_back(n_common() + own_length(c) - 1);
    }
    const auto integers = own.options().dtype(at::kLong).requires_grad(false);
    const at::Tensor index =
        at::tensor(rows, integers.device(at::kCPU)).to(own.device());  // [C * longest]
    at::Tensor packed = own.dim() == 3 ? own : own.unsqueeze(0);
    packed = packed.expand({n_prompts(), -1, -1});  // [P, T, w]
    const at::Tensor zero = packed.new_zeros({n_prompts(), 1, packed.size(2)});
    const at::Tensor unpacked = at::cat({packed, zero}, 1)
                                    .index_select(1, index)
                                    .view({n_prompts(), n_cls(), longest, -1});
    const at::Tensor shared =
        common.unsqueeze(1).expand({-1, n_cls(), -1, -1});  // [P, C, S, w]
    return {
        at::cat({shared, unpacked}, 2),  // [P, C, L, w]
        at::tensor(ends, integers.device(at::kCPU)).to(own.device())};
  }
};

}  // namespace trmml
