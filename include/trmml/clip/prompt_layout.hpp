#pragma once

#include "trmml/functional/prompts.hpp"

#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

namespace trmml::clip::detail {

/// Some of the tokens of packed prompts, arranged for attention: G groups of equally
/// many slots, each filled from one row of the packed tokens. Slots left over repeat a
/// row; nobody reads them.
struct PromptSlots {
  int64_t per_group = 0;
  at::Tensor from;      ///< [G * per_group] packed row of each slot
  at::Tensor back;      ///< [rows] slot of each packed row
  at::Tensor category;  ///< [G, per_group] category, or -1 in a slot left over
  at::Tensor position;  ///< [G, per_group] place among the category's own tokens
};

/// Where the own tokens of `Prompts` stand. Whole categories are put together into
/// groups of about `kGroupTokens` tokens, and attention is computed group by group with
/// the pairs of different categories masked: far fewer and larger matrix products than
/// one a category, at no more memory.
struct PromptLayout {
  /// Ours: with 80 and 1000 categories 64 was as fast as the best of 16 .. 256 on a
  /// CPU.
  static constexpr int64_t kGroupTokens = 64;

  int64_t n_groups = 0;
  PromptSlots tokens;   ///< all own tokens; packed rows 0 .. T - 1
  PromptSlots ends;     ///< end tokens only; packed rows 0 .. C - 1 of the end tokens
  at::Tensor end_rows;  ///< [C] row of each end token among the own tokens
  at::Tensor own_positions;  ///< [T] place of each own token in its text, S included
};

/// One slot while a layout is being built.
struct PromptSlot {
  int64_t row;
  int64_t category;
  int64_t position;
};

inline PromptSlots make_slots(
    const std::vector<std::vector<PromptSlot>>& groups,
    int64_t n_rows,
    bool repeat_category,
    const at::TensorOptions& integers) {
  size_t widest = 0;
  for (const auto& group : groups) {
    widest = std::max(widest, group.size());
  }
  std::vector<int64_t> from, category, position;
  std::vector<int64_t> back(static_cast<size_t>(n_rows));
  for (const auto& group : groups) {
    for (size_t i = 0; i < widest; ++i) {
      const bool used = i < group.size();
      const PromptSlot& slot = group[used ? i : 0];
      if (used) {
        back[static_cast<size_t>(slot.row)] = static_cast<int64_t>(from.size());
      }
      from.push_back(slot.row);
      category.push_back(used || repeat_category ? slot.category : -1);
      position.push_back(slot.position);
    }
  }
  const auto place = [&](const std::vector<int64_t>& values) {
    return at::tensor(values, at::TensorOptions(at::kLong)).to(integers.device());
  };
  const auto n_groups = static_cast<int64_t>(groups.size());
  const auto per_group = static_cast<int64_t>(widest);
  return {
      per_group,
      place(from),
      place(back),
      place(category).view({n_groups, per_group}),
      place(position).view({n_groups, per_group})};
}

/// `prompts` must have passed `Prompts::check`.
inline PromptLayout make_prompt_layout(const Prompts& prompts) {
  std::vector<std::vector<PromptSlot>> tokens, ends;
  std::vector<int64_t> end_rows, own_positions;
  for (int64_t c = 0; c < prompts.n_cls(); ++c) {
    const int64_t length = prompts.own_length(c);
    const int64_t first = prompts.offsets[static_cast<size_t>(c)];
    if (tokens.empty() || static_cast<int64_t>(tokens.back().size()) + length >
                              PromptLayout::kGroupTokens) {
      tokens.emplace_back();
      ends.emplace_back();
    }
    for (int64_t i = 0; i < length; ++i) {
      tokens.back().push_back({first + i, c, i});
      own_positions.push_back(prompts.n_common() + i);
    }
    ends.back().push_back({c, c, length - 1});
    end_rows.push_back(first + length - 1);
  }
  const auto integers = prompts.own.options().dtype(at::kLong).requires_grad(false);
  const auto place = [&](const std::vector<int64_t>& values) {
    return at::tensor(values, at::TensorOptions(at::kLong)).to(integers.device());
  };
  PromptLayout layout;
  layout.n_groups = static_cast<int64_t>(tokens.size());
  // A softmax over nothing would be 0 / 0, so a slot left over must see something too:
  // among `tokens` those without a category see each other, among `ends` the slots left
  // over repeat the group's first query.
  layout.tokens = make_slots(tokens, prompts.own.size(-2), false, integers);
  layout.ends = make_slots(ends, prompts.n_cls(), true, integers);
  layout.end_rows = place(end_rows);
  layout.own_positions = place(own_positions);
  return layout;
}

/// [G, Q, S + K]: 0 where a query may look (the common tokens, and its own category's
/// up to itself), minus infinity elsewhere.
inline at::Tensor prompt_mask(
    const PromptSlots& queries,
    const PromptSlots& keys,
    int64_t n_common,
    const at::TensorOptions& options) {
  const at::Tensor hidden =
      queries.category.unsqueeze(2)
          .ne(keys.category.unsqueeze(1))
          .logical_or(queries.position.unsqueeze(2).lt(keys.position.unsqueeze(1)));
  at::Tensor mask = at::zeros(
      {queries.category.size(0), queries.per_group, n_common + keys.per_group},
      options.requires_grad(false));
  mask.slice(2, n_common)
      .masked_fill_(hidden, -std::numeric_limits<double>::infinity());
  return mask;
}

}  // namespace trmml::clip::detail
