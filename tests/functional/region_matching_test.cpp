#include "trmml/functional/region_matching.hpp"

#include <ATen/ops/cat.h>
#include <ATen/ops/ones.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "reference/functional.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/gradcheck.hpp"
#include "support/tensors.hpp"

namespace f = trmml::functional;
namespace ref = reference::functional;
using support::error_of;
using support::fill;
using support::is_close;
using support::numbers;

TEST_CASE("region_attention: by hand") {
  // Scores 0 and ln 3: weights 1/4 and 3/4.
  const at::Tensor query = numbers({1}, {1, 1});
  const at::Tensor key = numbers({0, std::log(3.0)}, {1, 2, 1});
  const at::Tensor weights = f::region_attention(query, key);
  CHECK(is_close(weights, numbers({0.25, 0.75}, {1, 1, 1, 2}), 1e-14));

  // r = (1, 3) / sqrt(10); scale 10, t+ = (0, 1), t- = (1, 0).
  const at::Tensor regions = numbers({1, 0, 0, 1}, {1, 2, 2});
  const at::Tensor r = f::aggregate_regions(weights.mean(1), regions);
  const double root = std::sqrt(10.0);
  CHECK(is_close(r, numbers({1 / root, 3 / root}, {1, 1, 2}), 1e-14));
  const at::Tensor text = numbers({0, 2, 5, 0}, {2, 1, 2});
  const at::Tensor scale = at::tensor(10.0, at::kDouble);
  CHECK(f::matching_logits(r, text, scale).item<double>() == Catch::Approx(20 / root));

  // One prompt: 10 (<r, t> - bias); an undefined bias counts as 0.
  const at::Tensor one = numbers({0, 2}, {1, 2});
  const at::Tensor bias = numbers({0.5}, {1});
  CHECK(
      f::matching_logits(r, one, scale, bias).item<double>() ==
      Catch::Approx(30 / root - 5));
  CHECK(
      f::matching_logits(r, one.unsqueeze(0), scale).item<double>() ==
      Catch::Approx(30 / root));
}

TEST_CASE("region_attention and attended_values: against the reference, 1 to 3 heads") {
  const at::Tensor q = fill({5, 6}, 50);
  const at::Tensor k = fill({4, 7, 6}, 51);
  const at::Tensor v = fill({4, 7, 6}, 52);
  const auto check = [&](int64_t heads,
                         const at::Tensor& maps,
                         const at::Tensor& values) {
    const at::Tensor weights = f::region_attention(q, k, heads);
    CHECK(is_close(weights, maps, 1e-12));
    CHECK(is_close(weights.sum(-1), at::ones({4, heads, 5}), 1e-12));
    CHECK(is_close(f::attended_values(weights, v), values, 1e-12));
    // The same queries given image by image.
    CHECK(is_close(
        f::region_attention(q.unsqueeze(0).expand({4, 5, 6}), k, heads), maps, 1e-12));
  };
  check(
      1, numbers(ref::kAttention1, {4, 1, 5, 7}), numbers(ref::kAttended1, {4, 5, 6}));
  check(
      2, numbers(ref::kAttention2, {4, 2, 5, 7}), numbers(ref::kAttended2, {4, 5, 6}));
  check(
      3, numbers(ref::kAttention3, {4, 3, 5, 7}), numbers(ref::kAttended3, {4, 5, 6}));
}

TEST_CASE("region matching: gradients") {
  const auto chain = [](int64_t heads) {
    return [heads](const std::vector<at::Tensor>& in) {
      const at::Tensor weights = f::region_attention(in[0], in[1], heads);
      const at::Tensor r = f::aggregate_regions(weights.mean(1), in[2]);
      const at::Tensor o = f::attended_values(weights, in[1]);
      const at::Tensor z = f::matching_logits(r, in[3], in[4].exp());
      return at::cat({z.flatten(), o.flatten()});
    };
  };
  const std::vector<at::Tensor> inputs{
      fill({3, 4}, 1),
      fill({2, 3, 4}, 2),
      fill({2, 3, 5}, 3),
      fill({2, 3, 5}, 4),
      numbers({0.7}, {})};
  CHECK(support::gradient_error(chain(1), inputs) < 1e-6);
  CHECK(support::gradient_error(chain(2), inputs) < 1e-6);
  const auto single = [](const std::vector<at::Tensor>& in) {
    return f::matching_logits(in[0], in[1], in[2], in[3]);
  };
  CHECK(
      support::gradient_error(
          single,
          {fill({2, 3, 5}, 1), fill({3, 5}, 2), numbers({1.5}, {}), fill({3}, 3)}) <
      1e-6);
}

TEST_CASE("region matching: messages") {
  const at::Tensor key = fill({2, 3, 4}, 1);
  CHECK(
      error_of<c10::ValueError>([&] {
        f::region_attention(fill({5, 3}, 1), key);
      }) ==
      "functional::region_attention: expected query of shape [C, 4] or [B, C, 4], got "
      "[5, 3]");
  CHECK(
      error_of<c10::ValueError>([&] {
        f::region_attention(fill({5, 4}, 1), key, 3);
      }) ==
      "functional::region_attention: expected heads that divide the width 4, got 3");
  CHECK(
      error_of<c10::ValueError>([&] {
        f::aggregate_regions(fill({2, 5, 4}, 1), key);
      }) ==
      "functional::aggregate_regions: expected region_features of shape [2, 4, *], got "
      "[2, 3, 4]");
  CHECK(
      error_of<c10::ValueError>([&] {
        f::matching_logits(fill({2, 5, 4}, 1), fill({3, 5, 4}, 1), at::ones({}));
      }) ==
      "functional::matching_logits: expected text_features of shape [2, 5, 4] "
      "(present, "
      "absent), [1, 5, 4] or [5, 4], got [3, 5, 4]");
}
