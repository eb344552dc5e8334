#include "trmml/clip/clip_model.hpp"

#include <torch/serialize.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "clip/towers_support.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/tensors.hpp"

namespace {

using namespace trmml::clip;

ModifiedResNetOptions small_resnet() {
  return ModifiedResNetOptions(8)
      .width(4)
      .layers({1, 1, 1, 1})
      .heads(2)
      .input_resolution(64);
}

VisionTransformerOptions small_transformer() {
  return VisionTransformerOptions(8)
      .patch_size(16)
      .width(12)
      .layers(2)
      .heads(3)
      .input_resolution(32)
      .quick_gelu(false);
}

TextTransformerOptions small_text() {
  return TextTransformerOptions(8)
      .vocab_size(20)
      .context_length(9)
      .width(16)
      .heads(2)
      .layers(1);
}

ClipModelOptions small_model(bool resnet) {
  return resnet ? ClipModelOptions(small_resnet(), small_text())
                : ClipModelOptions(small_transformer(), small_text());
}

torch::Tensor texts() {
  return torch::tensor({18, 1, 2, 19, 0, 18, 3, 4, 5, 19}, torch::kLong).view({2, 5});
}

}  // namespace

TEST_CASE("ClipModel: both kinds of image tower", "[clip]") {
  const torch::NoGradGuard no_grad;
  for (const bool resnet : {true, false}) {
    ClipModel model(small_model(resnet));
    support::fill_hashed(*model);
    const torch::Tensor images = support::hashed(1, {2, 3, 64, 96}).to(torch::kFloat);
    const ImageFeatures features = model->image_features(images, DenseForm::kDualCoOp);
    CHECK(features.regions.sizes() == std::vector<int64_t>{2, resnet ? 6 : 24, 8});
    CHECK(support::difference(features.global, model->encode_image(images)) < 1e-6);
    CHECK(model->encode_text(texts()).sizes() == std::vector<int64_t>{2, 8});
    CHECK(
        support::difference(
            model->encode_text(texts()), model->text->forward(texts())) == 0);
    CHECK(bool(model->visual_resnet) == resnet);
    CHECK(bool(model->visual_transformer) != resnet);
    CHECK(&model->visual() == model->named_children()["visual"].get());
  }
}

TEST_CASE("ClipModel: names are OpenAI's behind visual. and text.", "[clip]") {
  for (const bool resnet : {true, false}) {
    ClipModel model(small_model(resnet));
    std::vector<std::string> expected = {"logit_scale"};
    for (const auto& name : support::names_of(model->visual())) {
      expected.push_back("visual." + name);
    }
    for (const auto& name : support::names_of(*model->text)) {
      expected.push_back("text." + name);
    }
    std::sort(expected.begin(), expected.end());
    CHECK(support::names_of(*model) == expected);
  }
}

TEST_CASE("ClipModel: logit_scale starts at ln(1/0.07)", "[clip]") {
  ClipModel model(small_model(true));
  CHECK(model->logit_scale.dim() == 0);
  CHECK(model->logit_scale.item<double>() == Catch::Approx(2.6592600).epsilon(1e-6));
  support::fill_hashed(*model);
  model->reset_parameters();
  CHECK(model->logit_scale.item<double>() == Catch::Approx(2.6592600).epsilon(1e-6));
}

TEST_CASE("ClipModel: clone, save and load", "[clip]") {
  const torch::NoGradGuard no_grad;
  for (const bool resnet : {true, false}) {
    ClipModel model(small_model(resnet));
    support::fill_hashed(*model);
    const torch::Tensor images = support::hashed(1, {1, 3, 64, 64}).to(torch::kFloat);
    const torch::Tensor image = model->encode_image(images);
    const torch::Tensor text = model->encode_text(texts());

    const auto copy = std::dynamic_pointer_cast<ClipModelImpl>(model->clone());
    REQUIRE(copy);
    copy->eval();
    std::stringstream stream;
    torch::save(model, stream);
    for (auto& parameter : model->parameters()) {
      parameter.zero_();
    }
    CHECK(support::difference(copy->encode_image(images), image) == 0);
    CHECK(support::difference(copy->encode_text(texts()), text) == 0);

    ClipModel loaded(small_model(resnet));
    torch::load(loaded, stream);
    loaded->eval();
    CHECK(support::difference(loaded->encode_image(images), image) == 0);
    CHECK(support::difference(loaded->encode_text(texts()), text) == 0);
  }
}

TEST_CASE("ClipModelOptions: metadata round trip", "[clip]") {
  const auto resnet = small_model(true).to_metadata();
  CHECK(resnet.at("clip.image_tower") == "modified_resnet");
  CHECK(resnet.at("clip.image.layers") == "1,1,1,1");
  CHECK(resnet.at("clip.embed_dim") == "8");
  for (const auto& options :
       {small_model(true),
        small_model(false),
        ClipModelOptions::rn101(),
        ClipModelOptions::vit_l_14_336()}) {
    auto metadata = options.to_metadata();
    metadata["format"] = "pt";  // somebody else's key
    CHECK(
        ClipModelOptions::from_metadata(metadata).to_metadata() ==
        options.to_metadata());
  }
  const auto back = ClipModelOptions::from_metadata(small_model(false).to_metadata());
  const auto& tower = std::get<VisionTransformerOptions>(back.image());
  CHECK(tower.patch_size() == 16);
  CHECK(tower.width() == 12);
  CHECK(tower.layers() == 2);
  CHECK(tower.heads() == 3);
  CHECK(tower.input_resolution() == 32);
  CHECK_FALSE(tower.quick_gelu());
  CHECK(back.text().vocab_size() == 20);
  CHECK(back.text().context_length() == 9);
  CHECK(back.text().width() == 16);
  CHECK(back.text().heads() == 2);
  CHECK(back.text().layers() == 1);
  CHECK(back.text().quick_gelu());
}

TEST_CASE("ClipModelOptions: messages about metadata", "[clip]") {
  const auto message = [](const std::string& key, const std::string& value) {
    auto metadata = small_model(true).to_metadata();
    if (value.empty()) {
      metadata.erase(key);
    } else {
      metadata[key] = value;
    }
    return support::error_of<trmml::CheckpointError>(
        [&] { ClipModelOptions::from_metadata(metadata); });
  };
  const std::string where = "ClipModelOptions::from_metadata: ";
  CHECK(
      message("clip.text.width", "") ==
      where +
          "expected the key 'clip.text.width', found only other keys (were the weights "
          "written with their options?)");
  CHECK(
      support::error_of<trmml::CheckpointError>([] {
        ClipModelOptions::from_metadata({});
      }) == where +
                "expected the key 'clip.embed_dim', found no metadata at all (were the "
                "weights "
                "written with their options?)");
  CHECK(
      message("clip.text.heads", "2x") ==
      where + "expected 'clip.text.heads' to be a whole number, got '2x'");
  CHECK(
      message("clip.text.heads", "99999999999999999999") ==
      where +
          "expected 'clip.text.heads' to be a whole number, got "
          "'99999999999999999999'");
  CHECK(
      message("clip.image.layers", "1,,1,1") ==
      where + "expected 'clip.image.layers' to be a whole number, got ''");
  CHECK(
      message("clip.image.layers", "1,1,1") ==
      where + "ModifiedResNetOptions: expected layers of 4 stages, got 3");
  CHECK(
      message("clip.image_tower", "vgg") ==
      where +
          "expected 'clip.image_tower' to be modified_resnet or vision_transformer, "
          "got "
          "'vgg'");
  CHECK(
      message("clip.text.quick_gelu", "yes") ==
      where + "expected 'clip.text.quick_gelu' to be true or false, got 'yes'");
  CHECK(
      message("clip.text.heads", "3") ==
      where + "TextTransformerOptions: expected heads that divide width 16, got 3");
  CHECK(
      message("clip.embed_dim", "-8") ==
      where + "ModifiedResNetOptions: expected embed_dim above 0, got -8");
}

TEST_CASE("ClipModelOptions: towers of different widths do not fit", "[clip]") {
  CHECK(
      support::error_of<c10::ValueError>(
          [] { ClipModelOptions(small_resnet(), TextTransformerOptions(16)); }) ==
      "ClipModelOptions: expected towers of one embed_dim, got 8 (image) and 16 "
      "(text)");
}

TEST_CASE("ClipModelOptions: OpenAI's models", "[clip]") {
  struct Row {
    ClipModelOptions options;
    int64_t embed_dim, resolution, width, text_width, text_heads;
  };
  const std::vector<Row> rows = {
      {ClipModelOptions::rn50(), 1024, 224, 64, 512, 8},
      {ClipModelOptions::rn101(), 512, 224, 64, 512, 8},
      {ClipModelOptions::rn50x4(), 640, 288, 80, 640, 10},
      {ClipModelOptions::rn50x16(), 768, 384, 96, 768, 12},
      {ClipModelOptions::rn50x64(), 1024, 448, 128, 1024, 16},
      {ClipModelOptions::vit_b_32(), 512, 224, 768, 512, 8},
      {ClipModelOptions::vit_b_16(), 512, 224, 768, 512, 8},
      {ClipModelOptions::vit_l_14(), 768, 224, 1024, 768, 12},
      {ClipModelOptions::vit_l_14_336(), 768, 336, 1024, 768, 12}};
  for (const Row& row : rows) {
    CHECK(row.options.embed_dim() == row.embed_dim);
    CHECK(row.options.input_resolution() == row.resolution);
    CHECK(
        std::visit([](const auto& o) { return o.width(); }, row.options.image()) ==
        row.width);
    CHECK(row.options.text().width() == row.text_width);
    CHECK(row.options.text().heads() == row.text_heads);
    CHECK(row.options.text().layers() == 12);
    CHECK(row.options.text().context_length() == 77);
    CHECK(row.options.text().vocab_size() == 49408);
    std::visit(
        [](const auto& o) { CHECK_NOTHROW(check_options(o)); }, row.options.image());
  }
}

TEST_CASE("freeze: evaluation mode, no gradients of its own", "[clip]") {
  ClipModel model(small_model(true));
  model->train();
  freeze(*model);
  CHECK_FALSE(model->is_training());
  CHECK_FALSE(model->text->transformer->is_training());
  for (const auto& parameter : model->parameters()) {
    CHECK_FALSE(parameter.requires_grad());
  }
  const torch::Tensor images =
      support::hashed(1, {1, 3, 64, 64}).to(torch::kFloat).requires_grad_();
  model->encode_image(images).square().sum().backward();
  CHECK(images.grad().defined());
}
