#include "trmml/clip/frozen_image_tower.hpp"

#include "trmml/clip/frozen_resnet.hpp"
#include "trmml/clip/frozen_vision_transformer.hpp"

#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <string>
#include <vector>

#include "clip/towers_support.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/tensors.hpp"

namespace {

using namespace trmml::clip;

ClipModel small_resnet() {
  ClipModel model(ClipModelOptions(
      ModifiedResNetOptions(8)
          .width(8)
          .layers({2, 1, 1, 2})
          .heads(4)
          .input_resolution(64),
      TextTransformerOptions(8).width(8).heads(2).layers(1).vocab_size(8)));
  support::fill_hashed(*model);  // running statistics, too
  return model;
}

ClipModel small_transformer(bool quick_gelu, int64_t layers = 3) {
  ClipModel model(ClipModelOptions(
      VisionTransformerOptions(8)
          .patch_size(8)
          .width(16)
          .layers(layers)
          .heads(4)
          .input_resolution(24)
          .quick_gelu(quick_gelu),
      TextTransformerOptions(8).width(8).heads(2).layers(1).vocab_size(8)));
  support::fill_hashed(*model);
  return model;
}

std::vector<ClipModel> models() {
  return {
      small_resnet(),
      small_transformer(true),
      small_transformer(false),
      small_transformer(true, 1)};
}

at::Tensor pictures(at::IntArrayRef shape) {
  return 4 * support::hashed(1000, shape);
}

/// The native size, larger ones, not square; multiples of 32 and of the patches.
const std::vector<std::vector<int64_t>> kShapes = {
    {2, 3, 64, 64},
    {1, 3, 96, 96},
    {3, 3, 64, 160}};

double worst_difference(
    ClipModel& plain,
    const FrozenImageTower& tower,
    const at::Tensor& images) {
  double worst = 0.0;
  const auto compare = [&](const at::Tensor& a, const at::Tensor& b) {
    REQUIRE(a.sizes() == b.sizes());
    worst = std::max(worst, support::relative_difference(a.to(at::kDouble), b));
  };
  for (const DenseForm form : {DenseForm::kPlain, DenseForm::kDualCoOp}) {
    const ImageFeatures expected = plain->image_features(images, form);
    const ImageFeatures both = tower.image_features(images, form);
    compare(both.global, expected.global);
    compare(both.regions, expected.regions);
    compare(tower.regions(images, form), expected.regions);
  }
  compare(tower.encode_image(images), plain->encode_image(images));
  return worst;
}

}  // namespace

TEST_CASE("FrozenImageTower: the plain tower's features, in every form", "[clip]") {
  const torch::NoGradGuard no_grad;
  for (ClipModel& model : models()) {
    ClipModel exact = model;
    exact->to(torch::kDouble);
    const FrozenImageTower in_double(*exact);
    const FrozenImageTower in_single(*exact, at::kFloat);
    for (const auto& shape : kShapes) {
      const at::Tensor images = pictures(shape);
      CHECK(worst_difference(exact, in_double, images) < 1e-12);
      CHECK(worst_difference(exact, in_single, images) < 1e-5);
    }
  }
}

TEST_CASE("FrozenImageTower: bfloat16 is the same within its digits", "[clip]") {
  const torch::NoGradGuard no_grad;
  for (ClipModel& model : models()) {
    model->to(torch::kDouble);
    const FrozenImageTower tower(*model, at::kBFloat16);
    for (const auto& shape : kShapes) {
      const at::Tensor images = pictures(shape);
      CHECK(tower.encode_image(images).scalar_type() == at::kBFloat16);
      CHECK(worst_difference(model, tower, images) < 0.05);
    }
  }
}

TEST_CASE("FrozenImageTower: the tower of its kind", "[clip]") {
  const at::Tensor images = pictures({2, 3, 64, 64});
  const auto same = [&](const auto& tower, ClipModel& model) {
    const FrozenImageTower either(*model);
    const ImageFeatures both = tower.features(images, DenseForm::kPlain);
    CHECK(both.global.equal(either.encode_image(images)));
    CHECK(both.regions.equal(either.regions(images, DenseForm::kPlain)));
    CHECK(both.global.equal(tower.global(images)));
    CHECK(both.regions.equal(tower.regions(images, DenseForm::kPlain)));
  };
  ClipModel resnet = small_resnet();
  same(FrozenResNet(*resnet->visual_resnet, at::kFloat), resnet);
  ClipModel transformer = small_transformer(true);
  same(
      FrozenVisionTransformer(*transformer->visual_transformer, at::kFloat),
      transformer);
}

TEST_CASE("FrozenImageTower: one cell, and sides that 32 does not divide", "[clip]") {
  const torch::NoGradGuard no_grad;
  ClipModel model = small_resnet();
  model->to(torch::kDouble);
  const FrozenImageTower in_double(*model);
  const FrozenImageTower in_single(*model, at::kFloat);
  for (const auto& shape :
       {std::vector<int64_t>{2, 3, 32, 32},
        std::vector<int64_t>{2, 3, 70, 130},
        std::vector<int64_t>{1, 3, 448, 320},
        std::vector<int64_t>{3, 3, 448, 320}}) {
    CHECK(worst_difference(model, in_double, pictures(shape)) < 1e-12);
    CHECK(worst_difference(model, in_single, pictures(shape)) < 1e-5);
  }
}

TEST_CASE("FrozenImageTower: any memory format, no pictures, no gradients", "[clip]") {
  for (ClipModel& model : models()) {
    const FrozenImageTower tower(*model);
    const at::Tensor images = pictures({2, 3, 64, 64}).to(at::kFloat);
    const at::Tensor expected = tower.regions(images, DenseForm::kDualCoOp);
    CHECK_FALSE(expected.requires_grad());
    CHECK(
        support::difference(
            tower.regions(
                images.contiguous(at::MemoryFormat::ChannelsLast),
                DenseForm::kDualCoOp),
            expected) == 0);
    const at::Tensor turned = images.transpose(2, 3).contiguous().transpose(2, 3);
    CHECK(
        support::difference(tower.regions(turned, DenseForm::kDualCoOp), expected) ==
        0);
    // What comes out may be part of a graph.
    at::Tensor weight = at::ones({8}).requires_grad_();
    (tower.encode_image(images) * weight).sum().backward();
    CHECK(weight.grad().defined());
  }
}

TEST_CASE("FrozenImageTower: keeps the weights that it was made of", "[clip]") {
  const torch::NoGradGuard no_grad;
  for (ClipModel& model : models()) {
    const FrozenImageTower tower(*model);
    const at::Tensor images = pictures({1, 3, 64, 64}).to(at::kFloat);
    const ImageFeatures expected = tower.image_features(images, DenseForm::kDualCoOp);
    for (auto& parameter : model->visual().parameters()) {
      parameter.zero_();
    }
    for (auto& buffer : model->visual().buffers()) {
      buffer.zero_();
    }
    const ImageFeatures after = tower.image_features(images, DenseForm::kDualCoOp);
    CHECK(support::difference(after.global, expected.global) == 0);
    CHECK(support::difference(after.regions, expected.regions) == 0);
  }
}

TEST_CASE("FrozenImageTower: messages", "[clip]") {
  const auto message = [](ClipModel model, at::IntArrayRef shape) {
    return support::error_of<c10::ValueError>(
        [&] { FrozenImageTower(*model).encode_image(at::zeros(shape)); });
  };
  CHECK(
      message(small_resnet(), {1, 3, 64, 31}) ==
      "FrozenResNet: expected images of at least 32 x 32 pixels, got 64 x 31");
  CHECK(
      message(small_transformer(true), {1, 3, 64, 20}) ==
      "FrozenVisionTransformer: expected images of a multiple of 8 pixels a side, got "
      "64 "
      "x 20");
  CHECK(
      message(small_transformer(true), {1, 1, 64, 64}) ==
      "FrozenVisionTransformer: expected images of shape [*, 3, *, *], got [1, 1, 64, "
      "64] "
      "(channels come second, and are red, green, blue)");
}
