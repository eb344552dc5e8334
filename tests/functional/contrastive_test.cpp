#include "trmml/functional/contrastive.hpp"

#include <ATen/ops/zeros.h>

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
using support::fill_labels;
using support::is_close;
using support::is_equal;
using support::numbers;
using support::states;

TEST_CASE("select_anchors: row-major, positives only") {
  const at::Tensor x = fill({2, 3, 4}, 1);
  const f::Anchors anchors = f::select_anchors(x, states({1, -1, 0, 0, 1, 1}, {2, 3}));
  CHECK(is_equal(anchors.categories, at::tensor({0, 1, 2})));
  CHECK(is_equal(anchors.features[0], x[0][0]));
  CHECK(is_equal(anchors.features[1], x[1][1]));
  CHECK(is_equal(anchors.features[2], x[1][2]));
}

TEST_CASE("prototype_contrast: by hand") {
  const at::Tensor prototypes = numbers({2, 0, 0, 3}, {2, 2});
  const at::Tensor x = numbers({5, 0}, {1, 2});
  const at::Tensor first = at::tensor({0});
  CHECK(
      f::prototype_contrast(x, first, prototypes).item<double>() ==
      Catch::Approx(std::log(1 + std::exp(-10.0))));
  CHECK(
      f::prototype_contrast(x, at::tensor({1}), prototypes, {}, 0.5).item<double>() ==
      Catch::Approx(2 + std::log(1 + std::exp(-2.0))));
  // The other category has no prototype: nothing to be apart from.
  CHECK(
      f::prototype_contrast(x, first, prototypes, at::tensor({1, 0}).to(at::kBool))
          .item<double>() == Catch::Approx(0).margin(1e-15));
}

TEST_CASE("prototype_contrast: against the reference, gradients") {
  const at::Tensor x = fill({4, 5, 6}, 8);
  const at::Tensor y = fill_labels({4, 5}, 2);
  const at::Tensor prototypes = fill({5, 6}, 9);
  const auto check = [&](const at::Tensor& ready,
                         const double(&value)[1],
                         const double(&gradient)[120]) {
    const at::Tensor leaf = x.clone().requires_grad_();
    const f::Anchors anchors = f::select_anchors(leaf, y);
    CHECK(is_equal(
        anchors.categories, numbers(ref::kAnchors, {anchors.categories.size(0)})));
    const at::Tensor loss =
        f::prototype_contrast(anchors.features, anchors.categories, prototypes, ready);
    loss.backward();
    CHECK(is_close(loss.detach(), numbers(value, {}), 1e-12));
    CHECK(is_close(leaf.grad(), numbers(gradient, {4, 5, 6}), 1e-12));
  };
  check({}, ref::kContrastAll, ref::kContrastAllGradient);
  check(
      at::tensor({1, 1, 0, 1, 1}).to(at::kBool),
      ref::kContrastReady,
      ref::kContrastReadyGradient);

  const auto loss = [&](const std::vector<at::Tensor>& in) {
    const f::Anchors anchors = f::select_anchors(in[0], y);
    return f::prototype_contrast(anchors.features, anchors.categories, in[1]);
  };
  CHECK(support::gradient_error(loss, {x, prototypes}) < 1e-6);
}

TEST_CASE(
    "prototype_contrast: no anchor, or none whose category is ready: 0 with a graph") {
  const at::Tensor x = fill({2, 3, 4}, 1).requires_grad_();
  const at::Tensor prototypes = fill({3, 4}, 2);
  const f::Anchors none = f::select_anchors(x, states({0, -1, 0, 0, 0, -1}, {2, 3}));
  const at::Tensor loss =
      f::prototype_contrast(none.features, none.categories, prototypes);
  CHECK(loss.item<double>() == 0);
  loss.backward();
  CHECK(x.grad().eq(0).all().item<bool>());

  const f::Anchors one = f::select_anchors(x, states({1, 0, 0, 0, 0, 0}, {2, 3}));
  const at::Tensor ready = at::tensor({0, 1, 1}).to(at::kBool);
  const at::Tensor left_out =
      f::prototype_contrast(one.features, one.categories, prototypes, ready);
  CHECK(left_out.item<double>() == 0);
  CHECK(left_out.requires_grad());
}

TEST_CASE("feature_contrast: reference, pairs by hand, lonely anchors, gradient") {
  // Two equal anchors of one category and one opposite of another, t = 0.5:
  // each of the pair: log(1 + exp(-4)); the third has no partner.
  const at::Tensor x = numbers({1, 0, 1, 0, -1, 0}, {3, 2});
  const at::Tensor categories = at::tensor({4, 4, 7});
  CHECK(
      f::feature_contrast(x, categories, 0.5).item<double>() ==
      Catch::Approx(std::log(1 + std::exp(-4.0))));

  const f::Anchors anchors =
      f::select_anchors(fill({4, 5, 6}, 8), fill_labels({4, 5}, 2));
  CHECK(is_close(
      f::feature_contrast(anchors.features, anchors.categories),
      numbers(ref::kFeatureContrast, {}),
      1e-12));
  const auto loss = [&](const std::vector<at::Tensor>& in) {
    return f::feature_contrast(in[0], anchors.categories);
  };
  CHECK(support::gradient_error(loss, {anchors.features}) < 1e-6);

  const at::Tensor lonely = fill({3, 2}, 1).requires_grad_();
  const at::Tensor none = f::feature_contrast(lonely, at::tensor({0, 1, 2}));
  CHECK(none.item<double>() == 0);
  CHECK(none.requires_grad());
  CHECK(
      f::feature_contrast(fill({0, 2}, 1), at::tensor(std::vector<int64_t>{}))
          .item<double>() == 0);
}

TEST_CASE("contrastive: messages") {
  const at::Tensor x = fill({3, 4}, 1);
  const at::Tensor c = at::tensor({0, 1, 1});
  CHECK(
      error_of<c10::ValueError>([&] {
        f::prototype_contrast(x, c, fill({2, 5}, 1));
      }) ==
      "functional::prototype_contrast: expected prototypes of shape [*, 4], got [2, "
      "5]");
  CHECK(error_of<c10::ValueError>([&] {
          f::prototype_contrast(x, c, fill({2, 4}, 1), {}, 0);
        }) == "functional::prototype_contrast: expected temperature > 0, got 0");
  CHECK(
      error_of<c10::ValueError>([&] { f::feature_contrast(x, at::tensor({0})); }) ==
      "functional::feature_contrast: expected categories of shape [3], got [1]");
}

TEST_CASE("prototype_contrast: in chunks of anchors, values and gradients") {
  // 3 x 2^22 elements of [n, C] a chunk and a half, in double.
  constexpr int64_t kCategories = 1 << 15;
  constexpr int64_t kAnchors = 700;  // 512 fill a chunk
  const at::Tensor x = fill({kAnchors, 2}, 1).requires_grad_();
  const at::Tensor prototypes = fill({kCategories, 2}, 2).requires_grad_();
  const at::Tensor categories = at::arange(kAnchors) * 41;
  const at::Tensor loss =
      trmml::functional::prototype_contrast(x, categories, prototypes);
  loss.backward();
  // Each half, which is one chunk, by itself.
  at::Tensor sum = at::zeros({}, at::kDouble);
  const at::Tensor y = x.detach().clone().requires_grad_();
  const at::Tensor p = prototypes.detach().clone().requires_grad_();
  for (int64_t first = 0; first < kAnchors; first += 350) {
    const at::Tensor half = trmml::functional::prototype_contrast(
        y.narrow(0, first, 350), categories.narrow(0, first, 350), p);
    (half / 2).backward();
    sum = sum + half.detach() / 2;
  }
  CHECK(is_close(loss.detach(), sum, 1e-12));
  CHECK(is_close(x.grad(), y.grad(), 1e-14));
  CHECK(is_close(prototypes.grad(), p.grad(), 1e-14));
}
