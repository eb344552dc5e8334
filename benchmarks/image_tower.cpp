// The inference form of the image towers against the same weights as people run them:
// RN101 at 448 pixels in fp32 and in bfloat16, ViT-B/16 at 224. Random weights.
//
//   benchmark_image_tower [--threads N] [--runs N] [--out FILE] [--only NAME] [--ours]
//
// Ours: `clip::FrozenImageTower::regions`, the dense map of one batch. The peer of
// RN101 is the network as it is published: channels first, convolution, BatchNorm and
// ReLU one after the other, and an attention pool of all queries, as prompt tuners run
// it for their dense map. "plain_module_ratio" compares with our plain `ModifiedResNet`
// instead. The peer of ViT runs all blocks in full, the global features with them, and
// the value path of the last block besides.

#include "trmml/clip/frozen_image_tower.hpp"

#include <ATen/ops/avg_pool2d.h>

#include "support/benchmark.hpp"

namespace {

using namespace trmml::clip;

/// 2 x multiplications of the convolutions, and of the dense map.
double flops_of(const ModifiedResNetOptions& options, int64_t side) {
  const auto width = static_cast<double>(options.width());
  double pixels = static_cast<double>(side * side) / 4;
  double macs = pixels * 9 * (3 * width / 2 + width * width / 4 + width * width / 2);
  pixels /= 4;
  double in = width;
  for (size_t stage = 0; stage < 4; ++stage) {
    const double w = width * static_cast<double>(1 << stage);
    for (int64_t i = 0; i < options.layers()[stage]; ++i) {
      const double after = i == 0 && stage > 0 ? pixels / 4 : pixels;
      macs += pixels * (in * w + 9 * w * w) + after * w * 4 * w;
      macs += i == 0 ? after * in * 4 * w : 0.0;
      pixels = after;
      in = 4 * w;
    }
  }
  return 2 * (macs + pixels * in * static_cast<double>(options.embed_dim()));
}

double flops_of(const VisionTransformerOptions& options, int64_t side) {
  const auto w = static_cast<double>(options.width());
  const int64_t grid = side / options.patch_size();
  const auto cells = static_cast<double>(grid * grid);
  const double tokens = cells + 1;
  const auto blocks = static_cast<double>(options.layers() - 1);
  const auto patch = static_cast<double>(options.patch_size());
  const double macs = cells * 3 * patch * patch * w +
                      blocks * (tokens * 12 * w * w + 2 * tokens * tokens * w) +
                      tokens * w * w +
                      cells * w * static_cast<double>(options.embed_dim());
  return 2 * macs;
}

// ---------------------------------------------------------------- as published

at::Tensor published_block(BottleneckImpl& block, const at::Tensor& x) {
  at::Tensor out = block.bn1(block.conv1(x)).relu_();
  out = block.bn2(block.conv2(out)).relu_();
  at::Tensor identity = x;
  if (block.stride() > 1) {
    out = at::avg_pool2d(out, block.stride());
    identity = at::avg_pool2d(identity, block.stride());
  }
  out = block.bn3(block.conv3(out));
  if (!block.downsample.is_empty()) {
    identity = block.downsample->forward(identity);
  }
  return (out + identity).relu_();
}

at::Tensor
published_pool(AttentionPoolImpl& pool, const at::Tensor& map, int64_t heads) {
  at::Tensor x = map.flatten(2).permute({2, 0, 1});  // [R, B, w]
  x = at::cat({x.mean(0, true), x}) +
      resize_positions(pool.positional_embedding, map.size(2), map.size(3))
          .unsqueeze(1);
  const int64_t tokens = x.size(0);
  const int64_t d = x.size(2) / heads;
  const auto split = [&](const at::Tensor& y) {
    return y.reshape({tokens, x.size(1) * heads, d}).transpose(0, 1);
  };
  const at::Tensor q = split(pool.q_proj(x)) / std::sqrt(static_cast<double>(d));
  const at::Tensor weights =
      at::softmax(at::bmm(q, split(pool.k_proj(x)).transpose(1, 2)), -1);
  const at::Tensor values = split(pool.v_proj(x));
  const at::Tensor out = at::bmm(weights, values).transpose(0, 1).reshape_as(x);
  pool.c_proj(out);  // the global features, which nobody reads
  return pool.c_proj(pool.v_proj(x.slice(0, 1)));
}

at::Tensor published(ModifiedResNetImpl& tower, const at::Tensor& images) {
  at::Tensor x = tower.bn1(tower.conv1(images)).relu_();
  x = tower.bn2(tower.conv2(x)).relu_();
  x = at::avg_pool2d(tower.bn3(tower.conv3(x)).relu_(), 2);
  for (const auto& stage : {tower.layer1, tower.layer2, tower.layer3, tower.layer4}) {
    for (const auto& block : *stage) {
      x = published_block(*block->as<BottleneckImpl>(), x);
    }
  }
  return published_pool(*tower.attnpool, x, tower.options.heads());
}

void published(VisionTransformerImpl& tower, const at::Tensor& images) {
  at::Tensor x = tower.trunk(images);
  auto& last = tower.transformer->last();
  const at::Tensor values = last.attn->values_only(last.ln_1(x));
  at::matmul(tower.ln_post(values).slice(1, 1), tower.proj);
  x = last.forward(x, {});  // the global features, which nobody reads
  at::matmul(tower.ln_post(x.select(1, 0)), tower.proj);
}

void randomise(torch::nn::Module& module) {
  for (const auto& buffer : module.named_buffers()) {
    if (buffer.key().find("running") != std::string::npos) {
      buffer.value().uniform_(0.5, 1.5);
    }
  }
  freeze(module);
}

double plain_seconds(ClipModelImpl& model, const at::Tensor& images, int runs) {
  std::vector<double> times;
  for (int i = 0; i < runs; ++i) {
    times.push_back(benchmark::seconds(
        [&] { model.image_features(images, DenseForm::kDualCoOp); }));
  }
  return benchmark::median(times);
}

struct Case {
  std::string name;
  ClipModelOptions model;
  int64_t side;
  at::ScalarType dtype;
};

void compare(const Case& c, const benchmark::Options& options) {
  if (!options.only.empty() && options.only != c.name) {
    return;
  }
  constexpr int64_t kBatch = 8;
  constexpr auto kForm = DenseForm::kDualCoOp;
  // The text tower is not used: a small one.
  ClipModel model(ClipModelOptions(
      c.model.image(), TextTransformerOptions(512).layers(1).vocab_size(8)));
  randomise(*model);
  const FrozenImageTower tower(*model, c.dtype);
  const at::Tensor images = at::randn({kBatch, 3, c.side, c.side});
  const auto ours = [&] { tower.regions(images, kForm); };
  const auto peer = [&] {
    if (model->visual_resnet) {
      published(*model->visual_resnet, images);
    } else {
      published(*model->visual_transformer, images);
    }
  };
  const double flops = model->visual_resnet
                           ? flops_of(model->visual_resnet->options, c.side)
                           : flops_of(model->visual_transformer->options, c.side);
  ours();
  const double own = benchmark::seconds(ours);
  const double plain = plain_seconds(*model, images, 3);
  benchmark::run(
      {c.name,
       ours,
       peer,
       "as published, channels first, fp32, in C++",
       kBatch * flops,
       benchmark::measured_peak(c.dtype),
       {{"batch", kBatch}, {"plain_module_ratio", plain / own}}},
      options);
}

}  // namespace

int main(int argc, char** argv) {
  const benchmark::Options options = benchmark::parse(argc, argv);
  const c10::NoGradGuard no_grad;
  const auto rn101 = ClipModelOptions::rn101();
  const auto vit = ClipModelOptions::vit_b_16();
  const std::vector<Case> cases = {
      {"image_tower_rn101_fp32", rn101, 448, at::kFloat},
      {"image_tower_rn101_bf16", rn101, 448, at::kBFloat16},
      {"image_tower_vit_b16", vit, 224, at::kFloat},
      {"image_tower_vit_b16_bf16", vit, 224, at::kBFloat16}};
  for (const Case& c : cases) {
    compare(c, options);
  }
  return 0;
}
