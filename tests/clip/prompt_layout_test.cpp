#include "trmml/clip/prompt_layout.hpp"

#include <ATen/ATen.h>

#include <cstdint>
#include <limits>
#include <vector>

#include "support/catch.hpp"

namespace {

using trmml::clip::detail::make_prompt_layout;
using trmml::clip::detail::prompt_mask;
using trmml::clip::detail::PromptLayout;

std::vector<int64_t> list(const at::Tensor& x) {
  const at::Tensor flat = x.contiguous();
  return {flat.data_ptr<int64_t>(), flat.data_ptr<int64_t>() + flat.numel()};
}

/// Categories of these lengths behind `n_common` common tokens.
PromptLayout layout_of(const std::vector<int64_t>& lengths, int64_t n_common) {
  std::vector<int64_t> offsets = {0};
  for (const int64_t length : lengths) {
    offsets.push_back(offsets.back() + length);
  }
  return make_prompt_layout(
      {at::zeros({1, n_common, 4}), at::zeros({offsets.back(), 4}), offsets});
}

}  // namespace

TEST_CASE("PromptLayout: one group by hand", "[clip]") {
  const PromptLayout layout = layout_of({2, 1}, 3);
  CHECK(layout.n_groups == 1);
  CHECK(layout.tokens.per_group == 3);
  CHECK(list(layout.tokens.from) == std::vector<int64_t>{0, 1, 2});
  CHECK(list(layout.tokens.back) == std::vector<int64_t>{0, 1, 2});
  CHECK(list(layout.tokens.category) == std::vector<int64_t>{0, 0, 1});
  CHECK(list(layout.tokens.position) == std::vector<int64_t>{0, 1, 0});
  CHECK(layout.ends.per_group == 2);
  CHECK(list(layout.ends.category) == std::vector<int64_t>{0, 1});
  CHECK(list(layout.ends.position) == std::vector<int64_t>{1, 0});
  CHECK(list(layout.end_rows) == std::vector<int64_t>{1, 2});
  CHECK(list(layout.own_positions) == std::vector<int64_t>{3, 4, 3});
}

TEST_CASE("PromptLayout: a group that is full begins the next", "[clip]") {
  const int64_t full = PromptLayout::kGroupTokens - 1;
  const PromptLayout layout = layout_of({2, full, 1}, 0);
  CHECK(layout.n_groups == 2);
  CHECK(layout.tokens.per_group == full + 1);
  // Slots left over repeat the group's first row and are no category's.
  CHECK(layout.tokens.from[2].item<int64_t>() == 0);
  CHECK(
      list(layout.tokens.category.sum(1)) == std::vector<int64_t>{1 - full, full + 2});
  CHECK(layout.tokens.back[2].item<int64_t>() == full + 1);
  CHECK(list(layout.ends.category) == std::vector<int64_t>{0, 0, 1, 2});
  CHECK(list(layout.ends.back) == std::vector<int64_t>{0, 2, 3});
}

TEST_CASE("prompt_mask: common tokens, and the own ones up to the query", "[clip]") {
  const PromptLayout layout = layout_of({2, 1}, 1);
  const auto options = at::TensorOptions(at::kDouble);
  const double no = -std::numeric_limits<double>::infinity();
  const at::Tensor all = prompt_mask(layout.tokens, layout.tokens, 1, options);
  CHECK(all.equal(
      at::tensor({0.0, 0.0, no, no, 0.0, 0.0, 0.0, no, 0.0, no, no, 0.0}, options)
          .view({1, 3, 4})));
  const at::Tensor ends = prompt_mask(layout.ends, layout.tokens, 1, options);
  CHECK(ends.equal(
      at::tensor({0.0, 0.0, 0.0, no, 0.0, no, no, 0.0}, options).view({1, 2, 4})));
}
