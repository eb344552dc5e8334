#include "trmml/functional/similarity.hpp"

#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <cstdint>

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
using support::is_equal;
using support::numbers;

TEST_CASE("l2_normalise: unit length, zero stays zero, gradient") {
  const at::Tensor x = numbers({3, 4, 0, 0}, {2, 2});
  CHECK(is_close(f::l2_normalise(x), numbers({0.6, 0.8, 0, 0}, {2, 2}), 1e-15));

  const at::Tensor zero = at::zeros({1, 3}, at::kDouble).requires_grad_();
  f::l2_normalise(zero).sum().backward();
  CHECK(zero.grad().isfinite().all().item<bool>());

  const auto unit = [](const auto& in) { return f::l2_normalise(in[0]); };
  CHECK(support::gradient_error(unit, {fill({2, 3, 4}, 1)}) < 1e-7);
}

TEST_CASE("l2_normalise: a zero vector has no gradient, in float16 no NaN") {
  const at::Tensor x = numbers({0, 0, 3, 4}, {2, 2}).requires_grad_();
  f::l2_normalise(x).select(1, 0).sum().backward();
  // d (3/5) by x and y: (1 - 9/25) / 5 and -(12/25) / 5.
  CHECK(is_close(x.grad(), numbers({0, 0, 0.128, -0.096}, {2, 2}), 1e-12));
  const at::Tensor half = at::zeros({2, 3}, at::kHalf);
  CHECK(is_equal(f::l2_normalise(half), half));
}

TEST_CASE("pairwise_cosine: by hand, and its message") {
  const at::Tensor a = numbers({2, 0, 1, 1}, {2, 2});
  const at::Tensor b = numbers({5, 0, 0, 3, -1, 0}, {3, 2});
  const double h = std::sqrt(0.5);
  CHECK(
      is_close(f::pairwise_cosine(a, b), numbers({1, 0, -1, h, h, -h}, {2, 3}), 1e-15));
  CHECK(error_of<c10::ValueError>([&] {
          f::pairwise_cosine(fill({2, 3}, 1), b);
        }) == "functional::pairwise_cosine: expected a of width 2, got [2, 3]");
}

TEST_CASE("promote_reduced: half and bfloat16 become float, others stay") {
  CHECK(f::promote_reduced(at::ones({1}, at::kHalf)).scalar_type() == at::kFloat);
  CHECK(f::promote_reduced(at::ones({1}, at::kBFloat16)).scalar_type() == at::kFloat);
  CHECK(f::promote_reduced(at::ones({1}, at::kDouble)).scalar_type() == at::kDouble);
}

TEST_CASE("zero_shot_scores: by hand, against the reference, picture by picture") {
  // One cell: its weight is 1, so the score is <g, T> + <v, T>.
  const at::Tensor text = numbers({0, 7}, {1, 2});
  const at::Tensor score =
      f::zero_shot_scores(numbers({3, 4}, {1, 2}), numbers({1, 0}, {1, 1, 2}), text);
  CHECK(score.item<double>() == Catch::Approx(0.8));

  // Two cells with similarities 0 and 1: weights 1 : e^s.
  const double s = 2.5;
  const double weight = std::exp(s) / (1 + std::exp(s));
  const at::Tensor cells = numbers({1, 0, 0, 1}, {1, 2, 2});
  CHECK(
      f::zero_shot_scores(numbers({3, 4}, {1, 2}), cells, text, s).item<double>() ==
      Catch::Approx(0.8 + weight));

  const at::Tensor g = fill({30, 6}, 35);
  const at::Tensor v = fill({30, 7, 6}, 36);
  const at::Tensor t = fill({5, 6}, 34);
  const at::Tensor whole = f::zero_shot_scores(g, v, t);
  CHECK(is_close(whole, numbers(ref::kEvidenceZeroShot, {30, 5}), 1e-12));
  for (int64_t i = 0; i < 3; ++i) {
    const at::Tensor one = f::zero_shot_scores(g.narrow(0, i, 1), v.narrow(0, i, 1), t);
    CHECK(is_close(one, whole.narrow(0, i, 1), 1e-12));
  }
  CHECK(
      f::zero_shot_scores(g.narrow(0, 0, 0), v.narrow(0, 0, 0), t).sizes() ==
      at::IntArrayRef({0, 5}));
}

TEST_CASE("zero_shot_scores: chunks do not show") {
  // 40 pictures of 512 cells and 1024 categories: two chunks of 2^24 elements.
  const at::Tensor g = fill({40, 2}, 1).to(at::kFloat);
  const at::Tensor v = fill({40, 512, 2}, 2).to(at::kFloat);
  const at::Tensor t = fill({1024, 2}, 3).to(at::kFloat);
  const at::Tensor whole = f::zero_shot_scores(g, v, t);
  const at::Tensor last =
      f::zero_shot_scores(g.narrow(0, 35, 5), v.narrow(0, 35, 5), t);
  CHECK(is_close(whole.narrow(0, 35, 5), last, 1e-6));
}

TEST_CASE("zero_shot_scores: cells in half precision are computed in the text's type") {
  const at::Tensor g = fill({3, 6}, 35).to(at::kHalf);
  const at::Tensor v = fill({3, 7, 6}, 36).to(at::kHalf);
  const at::Tensor t = fill({5, 6}, 34).to(at::kFloat);
  const at::Tensor score = f::zero_shot_scores(g, v, t);
  CHECK(score.scalar_type() == at::kFloat);
  CHECK(is_close(
      score,
      f::zero_shot_scores(g.to(at::kDouble), v.to(at::kDouble), t.to(at::kDouble)),
      1e-5));
}
