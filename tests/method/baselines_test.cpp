#include "trmml/method/baselines.hpp"

#include <ATen/ATen.h>

#include <memory>
#include <string>

#include "method/small_model.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/modules.hpp"
#include "support/tensors.hpp"

using support::error_of;
using support::is_close;
using trmml::TextMatching;
using trmml::TextMatchingBaseline;
using trmml::TextMatchingOptions;
using trmml::TrmMlOutput;
using trmml::functional::l2_normalise;

namespace {

TextMatchingBaseline make_baseline(const TextMatchingOptions& options) {
  at::manual_seed(1);
  return TextMatchingBaseline(
      options, small::prompts(), small::embeddings(), small::text_encoder());
}

}  // namespace

TEST_CASE("TextMatchingBaseline: prompts, text encoder, matching") {
  const auto images = small::images();
  for (const auto matching : {TextMatching::kImage, TextMatching::kPixel}) {
    TextMatchingBaseline baseline = make_baseline(
        TextMatchingOptions(matching).logit_scale_init(12).sharpness(0.7));
    const at::Tensor text =
        l2_normalise(small::text_encoder()(baseline->prompt_learner->forward()));
    const TrmMlOutput output = baseline->forward(images);
    CHECK(output.text_features.equal(text));
    const at::Tensor scale = at::full({}, 12.0);
    const at::Tensor expected =
        matching == TextMatching::kImage
            ? trmml::functional::text_image_logits(images.global, text, scale)
            : trmml::functional::text_pixel_logits(images.regions, text, scale, 0.7);
    CHECK(is_close(output.region_logits, expected, 1e-5));
    CHECK(trmml::score_of(output).equal(output.region_logits));
    CHECK(trmml::score_of(output, trmml::Score::kQuery).equal(output.region_logits));
    CHECK(baseline->forward(images, text).region_logits.equal(output.region_logits));
    CHECK_FALSE(output.query_logits.defined());
    CHECK_FALSE(output.saliency.defined());
    CHECK(baseline->prototypes() == nullptr);
  }
}

TEST_CASE("TextMatchingBaseline: reads the whole image or the cells, not both") {
  auto images = small::images();
  TextMatchingBaseline image = make_baseline(TextMatching::kImage);
  TextMatchingBaseline pixel = make_baseline(TextMatching::kPixel);
  const at::Tensor by_image = image->forward(images).region_logits;
  const at::Tensor by_pixel = pixel->forward(images).region_logits;
  auto other_cells = images;
  other_cells.regions = -images.regions;
  CHECK(image->forward(other_cells).region_logits.equal(by_image));
  CHECK_FALSE(pixel->forward(other_cells).region_logits.equal(by_pixel));
  auto other_image = images;
  other_image.global = -images.global;
  CHECK(pixel->forward(other_image).region_logits.equal(by_pixel));
}

TEST_CASE("TextMatchingBaseline: trains its prompts and its scale") {
  TextMatchingBaseline baseline = make_baseline(TextMatching::kPixel);
  const auto groups = baseline->parameter_groups();
  REQUIRE(groups.size() == 1);
  CHECK(groups[0].name == "prompts");
  REQUIRE(groups[0].parameters.size() == 2);
  CHECK(baseline->parameters().size() == 2);
  baseline->forward(small::images()).region_logits.square().sum().backward();
  for (const at::Tensor& parameter : groups[0].parameters) {
    CHECK(parameter.grad().abs().sum().item<double>() > 0);
  }
}

TEST_CASE("TextMatchingBaseline: clone, save and load") {
  const auto images = small::images();
  TextMatchingBaseline baseline = make_baseline(TextMatching::kPixel);
  const at::Tensor z = baseline->forward(images).region_logits.detach().clone();
  const auto copy =
      std::dynamic_pointer_cast<trmml::TextMatchingBaselineImpl>(baseline->clone());
  CHECK(support::have_equal_state(*copy, *baseline));
  CHECK(support::share_nothing(*copy, *baseline));
  CHECK(copy->forward(images).region_logits.equal(z));
  TextMatchingBaseline other = make_baseline(TextMatching::kPixel);
  {
    const at::NoGradGuard no_grad;
    other->prompt_learner->ctx.add_(1);
    other->logit_scale.add_(1);
  }
  CHECK_FALSE(other->forward(images).region_logits.equal(z));
  support::save_and_load(baseline, other);
  CHECK(other->forward(images).region_logits.equal(z));
  CHECK(support::printed(*baseline) == "trmml::TextMatchingBaseline(pixel)");
  CHECK(
      support::printed(*make_baseline(TextMatching::kImage)) ==
      "trmml::TextMatchingBaseline(image)");
}

TEST_CASE("TextMatchingBaseline: messages") {
  const auto message = [](const TextMatchingOptions& options,
                          const trmml::PromptLearnerOptions& prompts) {
    return error_of<c10::ValueError>([&] {
      TextMatchingBaseline(
          options, prompts, small::embeddings(), small::text_encoder());
    });
  };
  CHECK(
      message(
          TextMatchingOptions(TextMatching::kPixel).sharpness(0), small::prompts()) ==
      "TextMatchingBaseline: expected logit_scale_init and sharpness > 0, got 50 and "
      "0");
  CHECK(
      message(
          TextMatchingOptions(TextMatching::kImage).logit_scale_init(-2),
          small::prompts())
          .find("got -2 and 0.5") != std::string::npos);
  CHECK(
      message(TextMatching::kImage, small::prompts().n_prompts(1)) ==
      "TextMatchingBaseline: expected two prompts per category, got 1");
}
