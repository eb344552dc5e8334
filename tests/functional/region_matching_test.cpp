#include "trmml/functional/region_matching.hpp"

#include "trmml/functional/prompts.hpp"
#include "trmml/functional/similarity.hpp"

#include <cmath>

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
