#include "trmml/functional/prompts.hpp"

#include <ATen/ops/zeros.h>

#include <cstdint>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/gradcheck.hpp"
#include "support/tensors.hpp"

using support::error_of;
using support::fill;
using support::is_equal;

TEST_CASE("Prompts: written out with padding, end positions and gradients") {
  trmml::Prompts prompts;
  prompts.common = fill({2, 2, 3}, 1);
  prompts.own = fill({4, 3}, 2);
  prompts.offsets = {0, 1, 4};
  CHECK(prompts.n_prompts() == 2);
  CHECK(prompts.n_cls() == 2);
  CHECK(prompts.n_common() == 2);
  CHECK(prompts.own_length(1) == 3);
  CHECK(prompts.max_length() == 5);

  const trmml::DensePrompts dense = prompts.dense();
  REQUIRE(dense.embeddings.sizes() == at::IntArrayRef({2, 2, 5, 3}));
  CHECK(is_equal(dense.end_positions, at::tensor({2, 4})));
  for (int64_t p = 0; p < 2; ++p) {
    const at::Tensor rows = dense.embeddings[p];
    CHECK(is_equal(rows[0].narrow(0, 0, 2), prompts.common[p]));
    CHECK(is_equal(rows[0][2], prompts.own[0]));
    CHECK(is_equal(rows[0].narrow(0, 3, 2), at::zeros({2, 3})));
    CHECK(is_equal(rows[1].narrow(0, 2, 3), prompts.own.narrow(0, 1, 3)));
  }

  prompts.own = fill({2, 4, 3}, 3);  // own tokens that differ between prompts
  CHECK(is_equal(
      prompts.dense().embeddings[1][1].narrow(0, 2, 3),
      prompts.own[1].narrow(0, 1, 3)));

  const auto written_out = [&](const std::vector<at::Tensor>& in) {
    return trmml::Prompts{in[0], in[1], {0, 1, 4}}.dense().embeddings;
  };
  CHECK(
      support::gradient_error(written_out, {fill({2, 2, 3}, 1), fill({4, 3}, 2)}) <
      1e-7);
  CHECK(
      support::gradient_error(written_out, {fill({2, 0, 3}, 1), fill({2, 4, 3}, 2)}) <
      1e-7);
}

TEST_CASE("Prompts: messages") {
  const auto message = [](const at::Tensor& common,
                          const at::Tensor& own,
                          std::vector<int64_t> offsets) {
    return error_of<c10::ValueError>([&] {
      trmml::Prompts{common, own, offsets}.dense();
    });
  };
  const at::Tensor common = fill({2, 1, 3}, 1);
  CHECK(
      message(common, fill({4, 2}, 1), {0, 4}) ==
      "Prompts::dense: expected own of shape [*, 3], got [4, 2]");
  CHECK(
      message(common, {}, {0, 4}) ==
      "Prompts::dense: expected own of shape [T, w] or [P, T, w], got an undefined "
      "tensor");
  CHECK(
      message(common, fill({4, 3}, 1), {0, 3}) ==
      "Prompts::dense: expected offsets from 0 to the 4 rows of own, got 2 offsets");
  CHECK(
      message(common, fill({4, 3}, 1), {0, 4, 4}) ==
      "Prompts::dense: expected at least one own token per category, category 1 has "
      "none "
      "(each ends with its end token)");
}
