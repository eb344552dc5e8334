#include "trmml/modules/multimodal_contrastive_loss.hpp"

#include <cmath>

#include "reference/functional.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/gradcheck.hpp"
#include "support/modules.hpp"
#include "support/tensors.hpp"

namespace ref = reference::functional;
using support::error_of;
using support::fill;
using support::fill_labels;
using support::is_close;
using support::numbers;
using support::states;
using trmml::ContrastiveTerms;
using trmml::MultimodalContrastiveLoss;
using trmml::MultimodalContrastiveLossOptions;

namespace {

at::Tensor all_ready(int64_t n) {
  return at::ones({n}, at::kBool);
}

}  // namespace

TEST_CASE("MultimodalContrastiveLoss: by hand") {
  // One anchor (1, 0) of category 0; visual prototypes agree, text prototypes are
  // swapped.
  MultimodalContrastiveLoss contrast(
      MultimodalContrastiveLossOptions().temperature(0.5));
  const at::Tensor x = numbers({3, 0, 0, 1}, {1, 2, 2});
  const at::Tensor visual = numbers({1, 0, 0, 1}, {2, 2});
  const ContrastiveTerms terms = contrast->forward(
      {x}, states({1, 0}, {1, 2}), visual, all_ready(2), visual.flip(0));
  const double near = std::log(1 + std::exp(-2.0));
  CHECK(terms.visual.item<double>() == Catch::Approx(near));
  CHECK(terms.text.item<double>() == Catch::Approx(2 + near));
  CHECK(terms.feature.item<double>() == 0);
  CHECK(terms.total().item<double>() == Catch::Approx(1 + near));
}

TEST_CASE("MultimodalContrastiveLoss: reference; several kinds of features are added") {
  MultimodalContrastiveLoss contrast;
  const at::Tensor x = fill({4, 5, 6}, 8);
  const at::Tensor y = fill_labels({4, 5}, 2);
  const at::Tensor prototypes = fill({5, 6}, 9);
  const at::Tensor ready = at::tensor({1, 1, 0, 1, 1}).to(at::kBool);
  const ContrastiveTerms one = contrast->forward({x}, y, prototypes, ready, prototypes);
  CHECK(is_close(one.visual, numbers(ref::kContrastReady, {}), 1e-12));
  CHECK(is_close(one.text, numbers(ref::kContrastAll, {}), 1e-12));

  const at::Tensor other = fill({4, 5, 6}, 10);
  const ContrastiveTerms second =
      contrast->forward({other}, y, prototypes, ready, prototypes);
  const ContrastiveTerms both =
      contrast->forward({x, other}, y, prototypes, ready, prototypes);
  CHECK(is_close(both.visual, one.visual + second.visual, 1e-12));
  CHECK(is_close(both.text, one.text + second.text, 1e-12));

  MultimodalContrastiveLoss among(
      MultimodalContrastiveLossOptions().feature_to_feature(true));
  CHECK(is_close(
      among->forward({x}, y, prototypes, ready, prototypes).feature,
      numbers(ref::kFeatureContrast, {}),
      1e-12));
}

TEST_CASE("MultimodalContrastiveLoss: gradients and category order") {
  MultimodalContrastiveLoss contrast(
      MultimodalContrastiveLossOptions().feature_to_feature(true));
  const at::Tensor y = fill_labels({4, 5}, 2);
  const at::Tensor visual = fill({5, 6}, 9);
  const at::Tensor ready = at::tensor({1, 0, 1, 1, 1}).to(at::kBool);
  const auto loss = [&](const std::vector<at::Tensor>& in) {
    return contrast->forward({in[0], in[1]}, y, visual, ready, in[2]).total();
  };
  const std::vector<at::Tensor> inputs{
      fill({4, 5, 6}, 8), fill({4, 5, 6}, 10), fill({5, 6}, 11)};
  CHECK(support::gradient_error(loss, inputs) < 1e-6);

  const at::Tensor moved = contrast
                               ->forward(
                                   {inputs[0].flip(1), inputs[1].flip(1)},
                                   y.flip(1),
                                   visual.flip(0),
                                   ready.flip(0),
                                   inputs[2].flip(0))
                               .total();
  CHECK(is_close(moved, loss(inputs), 1e-12));
}

TEST_CASE(
    "MultimodalContrastiveLoss: all unknown, no positive, nothing ready, one "
    "category") {
  MultimodalContrastiveLoss contrast(
      MultimodalContrastiveLossOptions().feature_to_feature(true));
  const at::Tensor prototypes = fill({3, 4}, 1);
  for (const int64_t state : {0, -1}) {
    const at::Tensor x = fill({2, 3, 4}, 2).requires_grad_();
    const at::Tensor labels = at::full({2, 3}, state, at::kChar);
    const ContrastiveTerms none =
        contrast->forward({x, x}, labels, prototypes, all_ready(3), prototypes);
    CHECK(none.visual.item<double>() == 0);
    CHECK(none.text.item<double>() == 0);
    CHECK(none.feature.item<double>() == 0);
    none.total().backward();
    CHECK(x.grad().eq(0).all().item<bool>());
  }
  const at::Tensor x = fill({2, 3, 4}, 2);
  const at::Tensor labels = at::ones({2, 3}, at::kChar);
  const ContrastiveTerms early =
      contrast->forward({x}, labels, prototypes, at::zeros({3}, at::kBool), prototypes);
  CHECK(early.visual.item<double>() == 0);
  CHECK(early.text.item<double>() > 0);  // the text needs no visual prototype

  const ContrastiveTerms alone = contrast->forward(
      {fill({2, 1, 4}, 2)},
      at::ones({2, 1}),
      fill({1, 4}, 1),
      all_ready(1),
      fill({1, 4}, 2));
  CHECK(std::abs(alone.total().item<double>()) < 1e-12);  // nothing to be apart from
}

TEST_CASE("MultimodalContrastiveLoss: clone, print, messages") {
  MultimodalContrastiveLoss contrast(
      MultimodalContrastiveLossOptions().temperature(0.2));
  const auto copy = std::dynamic_pointer_cast<trmml::MultimodalContrastiveLossImpl>(
      contrast->clone());
  REQUIRE(copy != nullptr);
  CHECK(copy->options.temperature() == 0.2);
  CHECK(
      support::printed(*contrast) ==
      "trmml::MultimodalContrastiveLoss(temperature=0.2, feature_to_feature=false, "
      "feature_temperature=0.2)");
  CHECK(
      error_of<c10::ValueError>([] {
        MultimodalContrastiveLoss(MultimodalContrastiveLossOptions().temperature(0));
      }) ==
      "MultimodalContrastiveLoss: expected temperature and feature_temperature > 0, "
      "got 0 "
      "and 0.2");

  const at::Tensor x = fill({2, 3, 4}, 1);
  const at::Tensor y = fill_labels({2, 3}, 1);
  const at::Tensor p = fill({3, 4}, 1);
  const auto message = [&](const std::vector<at::Tensor>& features,
                           const at::Tensor& labels,
                           const at::Tensor& visual,
                           const at::Tensor& ready,
                           const at::Tensor& text) {
    return error_of<c10::ValueError>(
        [&] { contrast->forward(features, labels, visual, ready, text); });
  };
  const std::string where = "MultimodalContrastiveLoss::forward: expected ";
  CHECK(
      message({}, y, p, all_ready(3), p) ==
      where + "at least one feature tensor, got 0");
  CHECK(
      message({x, fill({2, 3, 5}, 1)}, y, p, all_ready(3), p) ==
      where + "features of shape [2, 3, 4], got [2, 3, 5]");
  CHECK(
      message({x}, y, fill({2, 4}, 1), all_ready(3), p) ==
      where + "visual_prototypes of shape [3, 4], got [2, 4]");
  CHECK(
      message({x}, y, p, all_ready(2), p) ==
      where + "visual_ready of shape [3], got [2]");
  CHECK(
      message({x}, y, p, all_ready(3), fill({3, 5}, 1)) ==
      where + "text_prototypes of shape [3, 4], got [3, 5]");
}
