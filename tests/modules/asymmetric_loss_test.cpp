#include "trmml/modules/asymmetric_loss.hpp"

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/modules.hpp"
#include "support/tensors.hpp"

using support::error_of;
using support::fill;
using support::fill_labels;
using support::is_close;
using trmml::AsymmetricLoss;
using trmml::AsymmetricLossOptions;
using trmml::LossNormalisation;

TEST_CASE("AsymmetricLoss: the function with its options") {
  const at::Tensor z = 4 * fill({4, 5}, 1);
  const at::Tensor y = fill_labels({4, 5}, 1);
  const at::Tensor w = (fill({4, 5}, 2) + 1) / 2;
  const auto options = AsymmetricLossOptions().gamma_neg(3).margin(0.1);
  AsymmetricLoss loss(options);
  CHECK(is_close(
      loss->forward(z, y),
      trmml::functional::partial_asymmetric_loss(z, y, {}, options),
      1e-15));
  CHECK(is_close(
      loss->forward(z, y, w),
      trmml::functional::partial_asymmetric_loss(z, y, w, options),
      1e-15));
  CHECK(is_close(
      loss->forward_soft(z, w, y.eq(0)),
      trmml::functional::soft_asymmetric_loss(z, w, y.eq(0), options),
      1e-15));
  CHECK_FALSE(is_close(loss->forward(z, y), AsymmetricLoss()->forward(z, y), 1e-6));
}

TEST_CASE("AsymmetricLoss: one category, all unknown, clone, print") {
  AsymmetricLoss loss(
      AsymmetricLossOptions().normalisation(LossNormalisation::kBatch).gamma_pos(0.5));
  CHECK(loss->forward(at::zeros({2, 1}), at::zeros({2, 1})).item<double>() == 0);
  CHECK(loss->forward(at::zeros({2, 1}), at::ones({2, 1})).item<double>() > 0);

  const auto copy = std::dynamic_pointer_cast<trmml::AsymmetricLossImpl>(loss->clone());
  REQUIRE(copy != nullptr);
  CHECK(copy->options.gamma_pos() == 0.5);
  CHECK(is_close(
      copy->forward(fill({2, 2}, 1), fill_labels({2, 2}, 1)),
      loss->forward(fill({2, 2}, 1), fill_labels({2, 2}, 1)),
      0));
  CHECK(
      support::printed(*loss) ==
      "trmml::AsymmetricLoss(gamma_pos=0.5, gamma_neg=2, margin=0.05, eps=1e-08, "
      "normalisation=batch)");
}

TEST_CASE("AsymmetricLoss: options out of range") {
  const auto message = [](const AsymmetricLossOptions& options) {
    return error_of<c10::ValueError>([&] { AsymmetricLoss loss(options); });
  };
  CHECK(
      message(AsymmetricLossOptions().gamma_pos(-1)) ==
      "AsymmetricLoss: expected gamma_pos and gamma_neg >= 0, got -1 and 2");
  CHECK(
      message(AsymmetricLossOptions().margin(1)) ==
      "AsymmetricLoss: expected margin in [0, 1), got 1");
  CHECK(
      message(AsymmetricLossOptions().eps(0)) ==
      "AsymmetricLoss: expected eps in (0, 1), got 0");
  const auto splc = [](const trmml::SplcOptions& options) {
    return error_of<c10::ValueError>([&] { trmml::check_options(options, "Here"); });
  };
  CHECK(
      splc(trmml::SplcOptions().threshold(1)) ==
      "Here: expected threshold in (0, 1), got 1");
  CHECK(
      splc(trmml::SplcOptions().gamma(-2)) ==
      "Here: expected margin and gamma >= 0, got 1 and -2");
  CHECK(splc(trmml::SplcOptions().eps(1)) == "Here: expected eps in (0, 1), got 1");
}
