#include "trmml/clip/vision_transformer.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "clip/towers_support.hpp"
#include "reference/towers.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/gradcheck.hpp"
#include "support/tensors.hpp"

namespace {

using namespace trmml::clip;
namespace reference = trmml::reference;

VisionTransformerOptions small_options() {
  return VisionTransformerOptions(8)
      .patch_size(8)
      .width(24)
      .layers(2)
      .heads(3)
      .input_resolution(32);
}

VisionTransformer small_tower(torch::Dtype dtype = torch::kDouble) {
  VisionTransformer tower(small_options());
  tower->to(dtype);
  support::fill_hashed(*tower);
  return tower;
}

torch::Tensor pictures(at::IntArrayRef shape, torch::Dtype dtype = torch::kDouble) {
  return (4 * support::hashed(1000, shape)).to(dtype);
}

}  // namespace

TEST_CASE("VisionTransformer: an independent implementation agrees", "[clip]") {
  const torch::NoGradGuard no_grad;
  struct Case {
    std::vector<int64_t> shape;
    const std::vector<double>& global;
    const std::vector<double>& regions;
  };
  const std::vector<Case> cases = {
      {{2, 3, 32, 32}, reference::vit_native_global, reference::vit_native_regions},
      {{1, 3, 40, 40}, reference::vit_larger_global, reference::vit_larger_regions},
      {{1, 3, 24, 48}, reference::vit_oblong_global, reference::vit_oblong_regions}};
  for (const auto dtype : {torch::kDouble, torch::kFloat}) {
    const double tolerance = dtype == torch::kDouble ? 1e-10 : 2e-5;
    VisionTransformer tower = small_tower(dtype);
    for (const Case& c : cases) {
      const torch::Tensor images = pictures(c.shape, dtype);
      CHECK(support::difference(tower->forward(images), c.global) < tolerance);
      for (const auto form : {DenseForm::kPlain, DenseForm::kDualCoOp}) {
        const ImageFeatures features = tower->features(images, form);
        CHECK(support::difference(features.global, c.global) < tolerance);
        CHECK(support::difference(features.regions, c.regions) < tolerance);
      }
    }
  }
}

TEST_CASE("VisionTransformer: a batch is its pictures one by one", "[clip]") {
  const torch::NoGradGuard no_grad;
  VisionTransformer tower = small_tower();
  const torch::Tensor images = pictures({3, 3, 32, 32});
  const ImageFeatures all = tower->features(images, DenseForm::kPlain);
  for (int64_t i = 0; i < 3; ++i) {
    const ImageFeatures one =
        tower->features(images.slice(0, i, i + 1), DenseForm::kPlain);
    CHECK(support::difference(one.global[0], all.global[i]) < 1e-12);
    CHECK(support::difference(one.regions[0], all.regions[i]) < 1e-12);
  }
  const auto channels_last = images.contiguous(torch::MemoryFormat::ChannelsLast);
  CHECK(support::difference(tower->forward(channels_last), all.global) < 1e-12);
}

TEST_CASE("VisionTransformer: one block has no attention in its dense map", "[clip]") {
  // With one block only, a region depends on its own patch alone.
  const torch::NoGradGuard no_grad;
  VisionTransformer tower(small_options().layers(1));
  tower->to(torch::kDouble);
  support::fill_hashed(*tower);
  torch::Tensor images = pictures({1, 3, 32, 32});
  const ImageFeatures before = tower->features(images, DenseForm::kPlain);
  images.slice(2, 0, 8).slice(3, 8, 16).add_(1.0);  // patch 1 of the first row
  const ImageFeatures after = tower->features(images, DenseForm::kPlain);
  const torch::Tensor moved =
      (after.regions - before.regions).abs().amax({0, 2}).gt(1e-9);  // [R]
  CHECK(moved.sum().item<int64_t>() == 1);
  CHECK(moved[1].item<bool>());
  CHECK(support::difference(after.global, before.global) > 1e-6);
}

TEST_CASE("VisionTransformer: names are those of OpenAI's state dict", "[clip]") {
  std::vector<std::string> expected = {
      "class_embedding",
      "positional_embedding",
      "proj",
      "conv1.weight",
      "ln_pre.weight",
      "ln_pre.bias",
      "ln_post.weight",
      "ln_post.bias"};
  for (const char* i : {"0", "1"}) {
    for (const char* name :
         {"attn.in_proj_weight",
          "attn.in_proj_bias",
          "attn.out_proj.weight",
          "attn.out_proj.bias",
          "ln_1.weight",
          "ln_1.bias",
          "mlp.c_fc.weight",
          "mlp.c_fc.bias",
          "mlp.c_proj.weight",
          "mlp.c_proj.bias",
          "ln_2.weight",
          "ln_2.bias"}) {
      expected.push_back(std::string("transformer.resblocks.") + i + "." + name);
    }
  }
  std::sort(expected.begin(), expected.end());
  CHECK(support::names_of(*VisionTransformer(small_options())) == expected);
}

TEST_CASE("VisionTransformer: gradients", "[clip]") {
  VisionTransformer tower(VisionTransformerOptions(3)
                              .patch_size(2)
                              .width(4)
                              .layers(2)
                              .heads(2)
                              .input_resolution(4));
  tower->to(torch::kDouble);
  support::fill_hashed(*tower);
  const auto f = [&](const std::vector<torch::Tensor>& x) {
    const ImageFeatures features = tower->features(x[0], DenseForm::kPlain);
    return torch::cat({features.global.flatten(), features.regions.flatten()});
  };
  CHECK(support::gradient_error(f, {pictures({1, 3, 4, 6})}) < 1e-6);

  tower->zero_grad();
  f({pictures({1, 3, 4, 6})}).square().sum().backward();
  for (const auto& item : tower->named_parameters()) {
    INFO(item.key());
    CHECK(item.value().grad().defined());
  }
}

TEST_CASE("VisionTransformer: clone is deep, initial values are CLIP's", "[clip]") {
  const torch::NoGradGuard no_grad;
  VisionTransformer tower = small_tower();
  const auto copy = std::dynamic_pointer_cast<VisionTransformerImpl>(tower->clone());
  REQUIRE(copy);
  const torch::Tensor images = pictures({1, 3, 32, 32});
  const torch::Tensor expected = tower->forward(images);
  CHECK(support::difference(copy->forward(images), expected) == 0);

  torch::manual_seed(5);
  tower->reset_parameters();
  CHECK(support::difference(copy->forward(images), expected) == 0);
  const double std = 1 / std::sqrt(24.0);
  CHECK(
      tower->positional_embedding.std().item<double>() ==
      Catch::Approx(std).epsilon(0.15));
  CHECK(tower->proj.std().item<double>() == Catch::Approx(std).epsilon(0.2));
  CHECK(tower->ln_post->weight.eq(1).all().item<bool>());
  CHECK(tower->transformer->last().attn->in_proj_bias.eq(0).all().item<bool>());
}

TEST_CASE("VisionTransformer: messages", "[clip]") {
  const auto message = [](const VisionTransformerOptions& options) {
    return support::error_of<c10::ValueError>(
        [&] { VisionTransformer tower(options); });
  };
  CHECK(
      message(small_options().heads(5)) ==
      "VisionTransformerOptions: expected heads that divide width 24, got 5");
  CHECK(
      message(small_options().layers(0)) ==
      "VisionTransformerOptions: expected layers above 0, got 0");
  CHECK(
      message(small_options().input_resolution(33)) ==
      "VisionTransformerOptions: expected input_resolution to be a multiple of "
      "patch_size 8, got 33");

  VisionTransformer tower = small_tower(torch::kFloat);
  CHECK(
      support::error_of<c10::ValueError>([&] {
        tower->forward(torch::zeros({1, 3, 32, 36}));
      }) ==
      "VisionTransformer::forward: expected images of a multiple of 8 pixels a side, "
      "got "
      "32 x 36");
  CHECK(
      support::error_of<c10::ValueError>([&] {
        tower->forward(torch::zeros({1, 1, 32, 32}));
      }).find("expected images of shape [*, 3, *, *], got [1, 1, 32, 32]") !=
      std::string::npos);
}
