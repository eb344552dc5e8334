#include "trmml/clip/modified_resnet.hpp"

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

ModifiedResNetOptions small_options() {
  return ModifiedResNetOptions(8)
      .width(8)
      .layers({2, 1, 1, 2})
      .heads(4)
      .input_resolution(64);
}

ModifiedResNet small_tower(torch::Dtype dtype = torch::kDouble) {
  ModifiedResNet tower(small_options());
  tower->to(dtype);
  support::fill_hashed(*tower);
  return tower;
}

torch::Tensor pictures(at::IntArrayRef shape, torch::Dtype dtype = torch::kDouble) {
  return (4 * support::hashed(1000, shape)).to(dtype);
}

struct Case {
  std::vector<int64_t> shape;
  const std::vector<double>& global;
  const std::vector<double>& plain;
  const std::vector<double>& dualcoop;
};

std::vector<Case> cases() {
  return {
      {{2, 3, 64, 64},
       reference::resnet_native_global,
       reference::resnet_native_plain,
       reference::resnet_native_dualcoop},
      {{1, 3, 96, 96},
       reference::resnet_larger_global,
       reference::resnet_larger_plain,
       reference::resnet_larger_dualcoop},
      {{1, 3, 64, 160},
       reference::resnet_oblong_global,
       reference::resnet_oblong_plain,
       reference::resnet_oblong_dualcoop}};
}

/// The attention pool as the textbook has it: all queries, keys and values.
torch::Tensor
textbook_pool(AttentionPoolImpl& pool, const torch::Tensor& map, int64_t heads) {
  const int64_t images = map.size(0);
  const int64_t width = map.size(1);
  torch::Tensor x = map.flatten(2).transpose(1, 2);
  x = torch::cat({x.mean(1, true), x}, 1) + pool.positional_embedding;
  const auto split = [&](const torch::Tensor& t) {
    return t.view({images, -1, heads, width / heads}).transpose(1, 2);
  };
  const torch::Tensor q = split(pool.q_proj(x));
  const torch::Tensor k = split(pool.k_proj(x));
  const torch::Tensor v = split(pool.v_proj(x));
  const torch::Tensor weights = torch::softmax(
      q.matmul(k.transpose(2, 3)) / std::sqrt(static_cast<double>(width / heads)), -1);
  const torch::Tensor out =
      weights.matmul(v).transpose(1, 2).reshape({images, -1, width});
  return pool.c_proj(out).select(1, 0);
}

}  // namespace

TEST_CASE("ModifiedResNet: an independent implementation agrees", "[clip]") {
  const torch::NoGradGuard no_grad;
  ModifiedResNet exact = small_tower();
  ModifiedResNet single = small_tower(torch::kFloat);
  for (const Case& c : cases()) {
    const torch::Tensor images = pictures(c.shape);
    CHECK(support::difference(exact->forward(images), c.global) < 1e-10);
    const ImageFeatures plain = exact->features(images, DenseForm::kPlain);
    CHECK(support::difference(plain.global, c.global) < 1e-10);
    CHECK(support::difference(plain.regions, c.plain) < 1e-10);
    const ImageFeatures dualcoop = exact->features(images, DenseForm::kDualCoOp);
    CHECK(support::difference(dualcoop.global, c.global) < 1e-10);
    CHECK(support::difference(dualcoop.regions, c.dualcoop) < 1e-10);

    const torch::Tensor rounded = images.to(torch::kFloat);
    CHECK(support::difference(single->forward(rounded), c.global) < 2e-5);
    for (const auto form : {DenseForm::kPlain, DenseForm::kDualCoOp}) {
      const auto& expected = form == DenseForm::kPlain ? c.plain : c.dualcoop;
      const ImageFeatures features = single->features(rounded, form);
      CHECK(support::difference(features.global, c.global) < 2e-5);
      CHECK(support::difference(features.regions, expected) < 2e-5);
    }
  }
}

TEST_CASE("ModifiedResNet: shapes, also where 32 does not divide the sides", "[clip]") {
  const torch::NoGradGuard no_grad;
  ModifiedResNet tower = small_tower(torch::kFloat);
  const auto features =
      tower->features(pictures({2, 3, 70, 130}, torch::kFloat), DenseForm::kDualCoOp);
  CHECK(features.global.sizes() == std::vector<int64_t>{2, 8});
  CHECK(features.regions.sizes() == std::vector<int64_t>{2, 2 * 4, 8});
}

TEST_CASE("ModifiedResNet: training mode uses and moves the statistics", "[clip]") {
  const torch::NoGradGuard no_grad;
  ModifiedResNet tower = small_tower();
  const torch::Tensor images = pictures({3, 3, 64, 96});
  const torch::Tensor before = tower->bn1->running_mean.clone();
  tower->forward(images);
  CHECK(tower->bn1->running_mean.equal(before));
  tower->train();
  CHECK(
      support::difference(tower->forward(images), reference::resnet_train_global) <
      1e-10);
  CHECK(
      support::difference(
          tower->bn1->running_mean, reference::resnet_train_running_mean) < 1e-10);
  CHECK(
      support::difference(
          tower->bn1->running_var, reference::resnet_train_running_var) < 1e-10);
}

TEST_CASE("ModifiedResNet: a batch is its pictures one by one", "[clip]") {
  const torch::NoGradGuard no_grad;
  ModifiedResNet tower = small_tower();
  const torch::Tensor images = pictures({3, 3, 64, 64});
  const ImageFeatures all = tower->features(images, DenseForm::kDualCoOp);
  for (int64_t i = 0; i < 3; ++i) {
    const ImageFeatures one =
        tower->features(images.slice(0, i, i + 1), DenseForm::kDualCoOp);
    CHECK(support::difference(one.global[0], all.global[i]) < 1e-12);
    CHECK(support::difference(one.regions[0], all.regions[i]) < 1e-12);
  }
  CHECK(tower->forward(images.slice(0, 0, 0)).sizes() == std::vector<int64_t>{0, 8});
}

TEST_CASE("ModifiedResNet: the memory format makes no difference", "[clip]") {
  const torch::NoGradGuard no_grad;
  ModifiedResNet tower = small_tower();
  const torch::Tensor images = pictures({2, 3, 96, 64});
  const auto a = tower->features(images, DenseForm::kPlain);
  const auto b = tower->features(
      images.contiguous(torch::MemoryFormat::ChannelsLast), DenseForm::kPlain);
  CHECK(support::difference(a.global, b.global) < 1e-12);
  CHECK(support::difference(a.regions, b.regions) < 1e-12);
}

TEST_CASE("AttentionPool: equals the textbook form, gradients too", "[clip]") {
  AttentionPool pool(2, 12, 3, 5);
  pool->to(torch::kDouble);
  support::fill_hashed(*pool);
  const torch::Tensor map = pictures({2, 12, 2, 2});
  const torch::Tensor weight = support::hashed(7, {2, 5});
  const auto gradients = [&](bool textbook) {
    pool->zero_grad();
    const torch::Tensor input = map.clone().requires_grad_();
    const torch::Tensor out =
        textbook ? textbook_pool(*pool, input, 3) : pool->forward(input);
    (out * weight).sum().backward();
    std::vector<torch::Tensor> all = {out.detach(), input.grad().clone()};
    for (const auto& item : pool->named_parameters()) {
      all.push_back(item.value().grad().clone());
    }
    return all;
  };
  const auto expected = gradients(true);
  const auto actual = gradients(false);
  REQUIRE(actual.size() == 2 + 9);
  for (size_t i = 0; i < actual.size(); ++i) {
    CHECK(support::difference(actual[i], expected[i]) < 1e-12);
  }
}

TEST_CASE("AttentionPool: numerical gradients at another size", "[clip]") {
  AttentionPool pool(2, 6, 2, 3);
  pool->to(torch::kDouble);
  support::fill_hashed(*pool);
  const auto f = [&](const std::vector<torch::Tensor>& x) {
    return torch::cat(
        {pool->forward(x[0]).flatten(),
         pool->dense(x[0], DenseForm::kDualCoOp).flatten()});
  };
  CHECK(support::gradient_error(f, {pictures({2, 6, 2, 3})}) < 1e-7);
}

TEST_CASE("resize_positions: by hand", "[clip]") {
  const torch::Tensor positions = support::hashed(3, {10, 4});
  CHECK(resize_positions(positions, 3, 3).is_same(positions));

  const torch::Tensor resized = resize_positions(positions, 5, 2);
  CHECK(resized.sizes() == std::vector<int64_t>{11, 4});
  CHECK(resized[0].equal(positions[0]));

  // Without aligned corners, shrinking 3 x 3 to 1 x 1 samples the middle of the centre.
  CHECK(
      support::difference(resize_positions(positions, 1, 1)[1], positions[5]) < 1e-12);

  // Rows of the result are rows of the grid: a grid that varies by row only stays so.
  torch::Tensor by_row = torch::zeros({10, 1}, torch::kDouble);
  by_row.slice(0, 1).copy_(torch::arange(3).repeat_interleave(3).view({9, 1}));
  const torch::Tensor rows = resize_positions(by_row, 3, 4).slice(0, 1).view({3, 4});
  for (int64_t r = 0; r < 3; ++r) {
    CHECK(support::difference(rows[r], torch::full({4}, r, torch::kDouble)) < 1e-12);
  }

  CHECK(support::error_of([&] {
          resize_positions(positions.slice(0, 1), 2, 2);
        }) == "resize_positions: expected positions of 1 + G * G rows, got 9");
}

TEST_CASE("ModifiedResNet: names are those of OpenAI's state dict", "[clip]") {
  std::vector<std::string> expected = {
      "attnpool.positional_embedding",
      "attnpool.k_proj.weight",
      "attnpool.k_proj.bias",
      "attnpool.q_proj.weight",
      "attnpool.q_proj.bias",
      "attnpool.v_proj.weight",
      "attnpool.v_proj.bias",
      "attnpool.c_proj.weight",
      "attnpool.c_proj.bias"};
  const auto conv_norm = [&](const std::string& conv, const std::string& norm) {
    expected.push_back(conv + ".weight");
    for (const char* name :
         {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}) {
      expected.push_back(norm + "." + name);
    }
  };
  for (const char* i : {"1", "2", "3"}) {
    conv_norm(std::string("conv") + i, std::string("bn") + i);
  }
  for (const char* block :
       {"layer1.0", "layer1.1", "layer2.0", "layer3.0", "layer4.0", "layer4.1"}) {
    const std::string prefix = std::string(block) + ".";
    for (const char* i : {"1", "2", "3"}) {
      conv_norm(prefix + "conv" + i, prefix + "bn" + i);
    }
    if (prefix.find(".0.") != std::string::npos) {
      conv_norm(prefix + "downsample.0", prefix + "downsample.1");
    }
  }
  std::sort(expected.begin(), expected.end());
  CHECK(support::names_of(*ModifiedResNet(small_options())) == expected);
}

TEST_CASE("ModifiedResNet: the defaults are RN50", "[clip]") {
  ModifiedResNet tower(ModifiedResNetOptions(1024));
  int64_t count = 0;
  for (const auto& parameter : tower->parameters()) {
    count += parameter.numel();
  }
  CHECK(count == 38316896);
  CHECK(
      tower->attnpool->positional_embedding.sizes() == std::vector<int64_t>{50, 2048});
}

TEST_CASE("ModifiedResNet: initial values are CLIP's", "[clip]") {
  torch::manual_seed(5);
  ModifiedResNet tower(small_options().width(16));
  const double std = 1 / std::sqrt(512.0);
  for (const auto& linear :
       {tower->attnpool->q_proj,
        tower->attnpool->k_proj,
        tower->attnpool->v_proj,
        tower->attnpool->c_proj}) {
    CHECK(linear->weight.std().item<double>() == Catch::Approx(std).epsilon(0.05));
  }
  CHECK(
      tower->attnpool->positional_embedding.std().item<double>() ==
      Catch::Approx(std).epsilon(0.1));
  for (const auto& item : tower->named_parameters()) {
    const bool is_zero = item.value().abs().max().item<double>() == 0;
    const bool is_last_norm = item.key().find("layer") == 0 &&
                              item.key().find("bn3.weight") != std::string::npos;
    const bool is_norm_bias = item.value().dim() == 1 &&
                              item.key().find("attnpool") == std::string::npos &&
                              item.key().find("bias") != std::string::npos;
    CHECK(is_zero == (is_last_norm || is_norm_bias));
  }
  support::fill_hashed(*tower);
  tower->reset_parameters();
  CHECK(tower->bn1->running_mean.abs().max().item<double>() == 0);
  CHECK(
      tower->layer4[1]->as<BottleneckImpl>()->bn3->weight.abs().sum().item<double>() ==
      0);
  CHECK(tower->layer1[0]->as<BottleneckImpl>()->bn1->weight.equal(torch::ones({16})));
}

TEST_CASE("ModifiedResNet: clone is deep", "[clip]") {
  const torch::NoGradGuard no_grad;
  ModifiedResNet tower = small_tower();
  const auto copy = std::dynamic_pointer_cast<ModifiedResNetImpl>(tower->clone());
  REQUIRE(copy);
  copy->eval();
  const torch::Tensor images = pictures({1, 3, 64, 64});
  const torch::Tensor expected = tower->forward(images);
  CHECK(support::difference(copy->forward(images), expected) == 0);
  tower->layer1[1]->as<BottleneckImpl>()->conv2->weight.zero_();
  tower->attnpool->positional_embedding.zero_();
  CHECK(support::difference(copy->forward(images), expected) == 0);
  CHECK(support::difference(tower->forward(images), expected) > 1e-3);
}

TEST_CASE("ModifiedResNet: gradients reach pictures and every parameter", "[clip]") {
  ModifiedResNet tower = small_tower();
  tower->train();
  const torch::Tensor images = pictures({2, 3, 64, 64}).requires_grad_();
  const auto features = tower->features(images, DenseForm::kDualCoOp);
  (features.global.square().sum() + features.regions.square().sum()).backward();
  CHECK(images.grad().abs().max().item<double>() > 0);
  for (const auto& item : tower->named_parameters()) {
    INFO(item.key());
    CHECK(item.value().grad().defined());
  }
}

TEST_CASE("ModifiedResNet: messages", "[clip]") {
  const auto message = [](const ModifiedResNetOptions& options) {
    return support::error_of<c10::ValueError>([&] { ModifiedResNet tower(options); });
  };
  CHECK(
      message(small_options().heads(7)) ==
      "ModifiedResNetOptions: expected heads that divide 32 * width = 256, got 7");
  CHECK(
      message(small_options().layers({1, 2, 3})) ==
      "ModifiedResNetOptions: expected layers of 4 stages, got 3");
  CHECK(
      message(small_options().layers({1, 0, 3, 1})) ==
      "ModifiedResNetOptions: expected layers of every stage above 0, got 0");
  CHECK(
      message(small_options().width(7)) ==
      "ModifiedResNetOptions: expected an even width, got 7");
  CHECK(
      message(small_options().input_resolution(100)) ==
      "ModifiedResNetOptions: expected input_resolution to be a multiple of 32, got "
      "100");
  CHECK(
      message(ModifiedResNetOptions(0)) ==
      "ModifiedResNetOptions: expected embed_dim above 0, got 0");

  ModifiedResNet tower = small_tower(torch::kFloat);
  CHECK(
      support::error_of<c10::ValueError>([&] {
        tower->forward(torch::zeros({1, 64, 64, 3}));
      }) ==
      "ModifiedResNet::forward: expected images of shape [*, 3, *, *], got [1, 64, 64, "
      "3] "
      "(channels come second, and are red, green, blue)");
  CHECK(
      support::error_of<c10::ValueError>([&] {
        tower->forward(torch::zeros({1, 3, 64, 31}));
      }) ==
      "ModifiedResNet::forward: expected images of at least 32 x 32 pixels, got 64 x "
      "31");
  CHECK(
      support::error_of<c10::TypeError>([&] {
        tower->forward(torch::zeros({1, 3, 64, 64}, torch::kByte));
      }) ==
      "ModifiedResNet::forward: expected images of a floating-point type, got Byte");
}

TEST_CASE("ModifiedResNet: prints its options", "[clip]") {
  std::ostringstream stream;
  ModifiedResNet(small_options())->pretty_print(stream);
  CHECK(
      stream.str() ==
      "trmml::clip::ModifiedResNet(embed_dim=8, width=8, layers=[2, 1, 1, 2], heads=4, "
      "input_resolution=64)");
}
