#include "trmml/functional/asymmetric_loss.hpp"

#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "functional/check_reference.hpp"
#include "reference/functional.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/gradcheck.hpp"
#include "support/tensors.hpp"

namespace f = trmml::functional;
namespace ref = reference::functional;
using support::check_reference;
using support::error_of;
using support::fill;
using support::fill_labels;
using support::is_close;
using support::is_equal;
using support::numbers;
using support::states;
using trmml::AsymmetricLossOptions;
using trmml::LossNormalisation;

TEST_CASE("partial_asymmetric_loss: by hand") {
  // z = 0: p = 1/2. Present: (1/2) ln 2. Absent: 0.45^2 (-ln 0.55).
  const at::Tensor z = at::zeros({1, 3}, at::kDouble);
  const double present = 0.5 * std::log(2.0);
  const double absent = -0.45 * 0.45 * std::log(0.55);
  const auto loss = [&](const std::vector<int64_t>& labels) {
    return f::partial_asymmetric_loss(z, states(labels, {1, 3})).item<double>();
  };
  CHECK(loss({1, -1, 0}) == Catch::Approx(3 * (present + absent) / 2));
  CHECK(loss({0, 1, 0}) == Catch::Approx(3 * present));
  CHECK(loss({-1, -1, -1}) == Catch::Approx(3 * absent));

  // Weights: 3 (2 present + 0.5 absent) / 2.5; a sum of weights below 1 counts as 1.
  const at::Tensor labels = states({1, -1, 0}, {1, 3});
  const at::Tensor w = numbers({2, 0.5, 9}, {1, 3});
  CHECK(
      f::partial_asymmetric_loss(z, labels, w).item<double>() ==
      Catch::Approx(3 * (2 * present + 0.5 * absent) / 2.5));
  CHECK(
      f::partial_asymmetric_loss(z, labels, w * 0.1).item<double>() ==
      Catch::Approx(3 * (0.2 * present + 0.05 * absent)));

  // Divided by the images.
  const auto batch = AsymmetricLossOptions().normalisation(LossNormalisation::kBatch);
  CHECK(
      f::partial_asymmetric_loss(
          at::zeros({2, 2}, at::kDouble), states({1, 0, 0, -1}, {2, 2}), {}, batch)
          .item<double>() == Catch::Approx((present + absent) / 2));
}

TEST_CASE("partial_asymmetric_loss: against the reference, with gradients") {
  const at::Tensor z = 6 * fill({4, 5}, 1);
  const at::Tensor y = fill_labels({4, 5}, 1);
  const at::Tensor w = (fill({4, 5}, 2) + 1) / 2;
  const auto with = [&](const AsymmetricLossOptions& options,
                        const at::Tensor& weights) {
    return [&, options, weights](const at::Tensor& x) {
      return f::partial_asymmetric_loss(x, y, weights, options);
    };
  };
  check_reference(with({}, {}), z, ref::kLossDefault, ref::kLossDefaultGradient);
  check_reference(with({}, w), z, ref::kLossWeighted, ref::kLossWeightedGradient);
  check_reference(
      with(AsymmetricLossOptions().normalisation(LossNormalisation::kBatch), {}),
      z,
      ref::kLossBatch,
      ref::kLossBatchGradient);
  check_reference(
      with(AsymmetricLossOptions().gamma_pos(0.5).gamma_neg(3).margin(0.2), {}),
      z,
      ref::kLossOther,
      ref::kLossOtherGradient);
  const auto bce = AsymmetricLossOptions().gamma_pos(0).gamma_neg(0).margin(0);
  check_reference(with(bce, {}), z, ref::kLossBce, ref::kLossBceGradient);
  // Without focusing the gradient is that of the value.
  const auto loss = [&](const std::vector<at::Tensor>& in) {
    return f::partial_asymmetric_loss(in[0], y, {}, bce);
  };
  CHECK(support::gradient_error(loss, {z}) < 1e-6);
}

TEST_CASE("partial_asymmetric_loss: invariants") {
  const at::Tensor z = 6 * fill({4, 5}, 1);
  const at::Tensor y = fill_labels({4, 5}, 1);
  const at::Tensor order = at::tensor({3, 0, 4, 1, 2});
  CHECK(is_close(
      f::partial_asymmetric_loss(z.index_select(1, order), y.index_select(1, order)),
      f::partial_asymmetric_loss(z, y),
      1e-12));

  // A batch is the mean of its images when divided by B, and the mean weighted with
  // their known entries otherwise.
  const auto batch = AsymmetricLossOptions().normalisation(LossNormalisation::kBatch);
  at::Tensor sum = at::zeros({}, at::kDouble);
  at::Tensor weighted = at::zeros({}, at::kDouble);
  for (int64_t b = 0; b < 4; ++b) {
    const at::Tensor one = z.narrow(0, b, 1);
    const at::Tensor labels = y.narrow(0, b, 1);
    sum = sum + f::partial_asymmetric_loss(one, labels, {}, batch);
    weighted = weighted + f::partial_asymmetric_loss(one, labels) * labels.ne(0).sum();
  }
  CHECK(is_close(f::partial_asymmetric_loss(z, y, {}, batch), sum / 4, 1e-12));
  CHECK(is_close(f::partial_asymmetric_loss(z, y), weighted / y.ne(0).sum(), 1e-12));

  // What an unknown entry says does not matter.
  CHECK(is_close(
      f::partial_asymmetric_loss(z + 5 * y.eq(0), y),
      f::partial_asymmetric_loss(z, y),
      1e-12));
}

TEST_CASE(
    "partial_asymmetric_loss: all unknown, no positive, extremes, half precision") {
  const at::Tensor z = (6 * fill({4, 5}, 1)).requires_grad_();
  const at::Tensor none =
      f::partial_asymmetric_loss(z, states(std::vector<int64_t>(20, 0), {4, 5}));
  CHECK(none.item<double>() == 0);
  none.backward();
  CHECK(z.grad().eq(0).all().item<bool>());

  const at::Tensor absent = states(std::vector<int64_t>(20, -1), {4, 5});
  CHECK(f::partial_asymmetric_loss(z, absent).item<double>() > 0);

  const at::Tensor extreme = numbers({1e4, -1e4, 1e4, -1e4}, {2, 2}).requires_grad_();
  const at::Tensor loss =
      f::partial_asymmetric_loss(extreme, states({1, 1, -1, -1}, {2, 2}));
  loss.backward();
  CHECK(std::isfinite(loss.item<double>()));
  CHECK(extreme.grad().isfinite().all().item<bool>());

  CHECK(
      f::partial_asymmetric_loss(fill({0, 5}, 1), states({}, {0, 5})).item<double>() ==
      0);
  const at::Tensor reduced = z.detach().to(at::kBFloat16);
  CHECK(f::partial_asymmetric_loss(reduced, absent).scalar_type() == at::kFloat);
  for (const auto type : {at::kLong, at::kFloat, at::kDouble}) {  // labels of any type
    CHECK(is_close(
        f::partial_asymmetric_loss(z, absent.to(type)).detach(),
        f::partial_asymmetric_loss(z, absent).detach()));
  }
}

TEST_CASE("soft_asymmetric_loss: reference, and hard targets give the partial loss") {
  const at::Tensor z = 6 * fill({4, 5}, 1);
  const at::Tensor w = (fill({4, 5}, 2) + 1) / 2;
  const at::Tensor t = (fill({4, 5}, 3) + 1) / 2;
  check_reference(
      [&](const at::Tensor& x) { return f::soft_asymmetric_loss(x, t, w); },
      z,
      ref::kLossSoft,
      ref::kLossSoftGradient);

  const at::Tensor y = fill_labels({4, 5}, 1);
  CHECK(is_close(
      f::soft_asymmetric_loss(z, y.gt(0), y.ne(0)),
      f::partial_asymmetric_loss(z, y),
      1e-12));
  CHECK(is_close(
      f::soft_asymmetric_loss(z, t),
      f::soft_asymmetric_loss(z, t, at::ones({4, 5})),
      1e-12));
}

TEST_CASE("assume_absent: known, pseudo and weakly absent entries") {
  const at::Tensor labels = states({1, -1, 0, 0, 0, 1}, {2, 3});
  const at::Tensor pseudo = states({-1, 1, 1, -1, 0, 0}, {2, 3});  // known ones ignored
  const trmml::WeightedLabels seen = f::assume_absent(labels, pseudo);
  CHECK(is_equal(seen.labels, states({1, -1, 1, -1, -1, 1}, {2, 3})));
  CHECK(is_close(seen.weights, numbers({1, 1, 0.5, 1, 0.3, 1}, {2, 3}), 1e-7));
  CHECK(seen.labels.scalar_type() == at::kChar);

  const trmml::WeightedLabels plain = f::assume_absent(labels, {}, 0.25);
  CHECK(is_equal(plain.labels, states({1, -1, -1, -1, -1, 1}, {2, 3})));
  CHECK(is_close(plain.weights, numbers({1, 1, 0.25, 0.25, 0.25, 1}, {2, 3}), 1e-7));
  CHECK(is_equal(labels, states({1, -1, 0, 0, 0, 1}, {2, 3})));
  CHECK(error_of<c10::ValueError>([&] {
          f::assume_absent(labels, {}, -1);
        }) == "functional::assume_absent: expected weights >= 0, got -1, 0.5 and 1");
}

TEST_CASE("splc_loss: by hand and against the reference") {
  // Unknown with p = 0.75: absent in the first epoch, present with the correction.
  const at::Tensor z = numbers({std::log(3.0)}, {1, 1});
  const at::Tensor unknown = states({0}, {1, 1});
  CHECK(
      f::splc_loss(z, unknown, false).item<double>() ==
      Catch::Approx(-0.75 * 0.75 * std::log(0.25)));
  const double p = 1 / (1 + std::exp(1 - std::log(3.0)));
  CHECK(
      f::splc_loss(z, unknown, true).item<double>() ==
      Catch::Approx(-(1 - p) * (1 - p) * std::log(p)));
  CHECK(
      f::splc_loss(z, unknown, true, trmml::SplcOptions().threshold(0.9))
          .item<double>() ==
      Catch::Approx(f::splc_loss(z, unknown, false).item<double>()));

  const at::Tensor y = fill_labels({4, 5}, 1);
  for (const bool correct : {false, true}) {
    check_reference(
        [&](const at::Tensor& x) { return f::splc_loss(x, y, correct); },
        6 * fill({4, 5}, 1),
        correct ? ref::kSplcCorrected : ref::kSplcPlain,
        correct ? ref::kSplcCorrectedGradient : ref::kSplcPlainGradient);
  }
}

TEST_CASE("asymmetric loss: messages") {
  const at::Tensor z = fill({2, 3}, 1);
  CHECK(
      error_of<c10::ValueError>([&] {
        f::partial_asymmetric_loss(z, states({1, 0, 0, 1}, {2, 2}));
      }) ==
      "functional::partial_asymmetric_loss: expected labels of shape [2, 3], got [2, "
      "2]");
  CHECK(
      error_of<c10::ValueError>([&] {
        f::partial_asymmetric_loss(z, states({1, 0, 0, 1, 2, 0}, {2, 3}));
      }) ==
      "functional::partial_asymmetric_loss: expected labels in {-1 absent, 0 unknown, "
      "+1 "
      "present}, got 2 at [1, 1] (other projects code their labels differently: "
      "convert "
      "them first)");
  CHECK(
      error_of<c10::TypeError>([&] {
        f::partial_asymmetric_loss(z.to(at::kLong), states({1, 0, 0, 1, 0, 0}, {2, 3}));
      }) ==
      "functional::asymmetric_costs: expected logits of a floating-point type, got "
      "Long");
  CHECK(
      error_of<c10::ValueError>([&] {
        f::soft_asymmetric_loss(z, fill({2, 2}, 1));
      }) ==
      "functional::soft_asymmetric_loss: expected targets of shape [2, 3], got [2, 2]");
}
