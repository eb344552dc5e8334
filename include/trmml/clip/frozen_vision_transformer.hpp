#pragma once

#include "trmml/clip/frozen_layers.hpp"
#include "trmml/clip/image_features.hpp"
#include "trmml/clip/vision_transformer.hpp"

#include <ATen/core/Tensor.h>
#include <ATen/ops/add.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <cstdint>
#include <vector>

namespace trmml::clip {

/// The inference form of a `VisionTransformer`: the same features but for rounding, for
/// less work. Holds its own weights; what happens to the plain tower later does not
/// reach it.
///
/// The scale of the scores is part of the query weights. QuickGELU is one pass: x
/// sigmoid(1.702 x) is SiLU(1.702 x) / 1.702, and both factors are part of the weights
/// around it. The last block computes no keys and values: the regions need one product
/// (value and output projection multiplied), and the class token, the only query, is
/// moved to the side of the keys as in the attention pool of a `ModifiedResNet`. See
/// `FrozenImageTower`.
class FrozenVisionTransformer {
 public:
  /// Weights of `tower`, in numbers of type `dtype`.
  FrozenVisionTransformer(VisionTransformerImpl& tower, at::ScalarType dtype);

  /// [B, 3, H, W] -> [B, D].
  at::Tensor global(const at::Tensor& images) const;

  /// [B, 3, H, W] -> [B, R, D].
  at::Tensor regions(const at::Tensor& images, DenseForm form) const;

  /// Both, from one pass through the trunk.
  ImageFeatures features(const at::Tensor& images, DenseForm form) const;

 private:
  struct Norm {
    at::Tensor weight, bias;
    double eps = 1e-5;

    at::Tensor operator()(const at::Tensor& x) const {
      return at::layer_norm(x, {weight.size(0)}, weight, bias, eps);
    }
  };

  struct Block {
    Norm ln_1, ln_2;
    detail::FrozenLinear in_proj, out_proj, c_fc, c_proj;
  };

  /// The last block, of which only the class token and the value path are needed.
  struct LastBlock {
    Norm ln_1, ln_2;
    at::Tensor q, q_bias, k, v, v_bias, out, out_bias;  // k's bias: the softmax cancels
    at::Tensor c_fc, c_fc_bias, c_proj, c_proj_bias;
    detail::FrozenLinear values;  // value and output projection
  };

  at::Tensor attend(const at::Tensor& qkv) const;
  at::Tensor activate(at::Tensor x) const;
  at::Tensor trunk(const at::Tensor& images) const;
  at::Tensor global_of(const at::Tensor& x, const at::Tensor& h) const;
  at::Tensor regions_of(const at::Tensor& h) const;

  at::ScalarType dtype_;
  int64_t patch_size_;
  int64_t heads_;
  bool quick_gelu_;
  detail::FrozenConv patches_;
  at::Tensor class_embedding_, positions_, proj_;
  Norm ln_pre_, ln_post_;
  std::vector<Block> blocks_;
  LastBlock last_;
};

// ---------------------------------------------------------------------------------
// Bodies

inline FrozenVisionTransformer::FrozenVisionTransformer(
    VisionTransformerImpl& tower,
    at::ScalarType dtype)
    : dtype_(dtype),
      patch_size_(tower.options.patch_size()),
      heads_(tower.options.heads()),
      quick_gelu_(tower.options.quick_gelu()) {
  const c10::NoGradGuard no_grad;
  const int64_t width = tower.options.width();
  const int64_t side = tower.options.input_resolution();
  const int64_t tokens = tower.positional_embedding.size(0);
  const double scale = 1.0 / std::sqrt(static_cast<double>(width / heads_));
  const double slope = quick_gelu_ ? 1.702 : 1.0;
  using detail::precise;
  // Shared with the tower if nothing changes: frozen layers copy what they are given.
  const auto scaled = [&](const at::Tensor& x, double factor) {
    return (factor == 1.0 ? x.detach() : precise(x) * factor).to(dtype);
  };
  const auto own = [&](const at::Tensor& x, double factor = 1.0) {
    const at::Tensor result = scaled(x, factor);
    return result.is_alias_of(x) ? result.clone() : result;
  };
  const auto norm = [&](const torch::nn::LayerNorm& from) {
    return Norm{own(from->weight), own(from->bias), from->options.eps()};
  };
  // One buffer for all weights on their way into a layer: the first touch of fresh
  // memory takes longer than the arithmetic.
  at::Tensor buffer = precise(tower.conv1->weight.new_empty({0}));
  const auto buffered = [&](const at::Tensor& x) {
    return buffer.resize_(x.sizes()).copy_(x);
  };
  const auto linear = [&](const torch::nn::Linear& from, double w, double b) {
    const at::Tensor weight = w == 1.0 ? from->weight : buffered(from->weight).mul_(w);
    return detail::FrozenLinear(scaled(weight, 1.0), scaled(from->bias, b), tokens);
  };
  const auto part = [width](const at::Tensor& in_proj, int64_t i) {
    return in_proj.slice(0, i * width, (i + 1) * width);  // of query, key, value
  };

  patches_ = detail::FrozenConv(
      scaled(tower.conv1->weight, 1.0),
      at::zeros({width}, tower.conv1->weight.options().dtype(dtype)),
      patch_size_,
      0,
      false,
      side);
  class_embedding_ = own(tower.class_embedding);
  positions_ = own(tower.positional_embedding);
  proj_ = own(tower.proj);
  ln_pre_ = norm(tower.ln_pre);
  ln_post_ = norm(tower.ln_post);
  for (int64_t i = 0; i + 1 < tower.transformer->layers(); ++i) {
    const auto& from = tower.transformer->block(i);
    at::Tensor weight = buffered(from.attn->in_proj_weight);
    at::Tensor bias = precise(from.attn->in_proj_bias).clone();
    part(weight, 0).mul_(scale);
    part(bias, 0).mul_(scale);
    blocks_.push_back(
        {norm(from.ln_1),
         norm(from.ln_2),
         detail::FrozenLinear(scaled(weight, 1.0), scaled(bias, 1.0), tokens),
         linear(from.attn->out_proj, 1.0, 1.0),
         linear(from.mlp->c_fc, slope, slope),
         linear(from.mlp->c_proj, 1.0 / slope, 1.0)});
  }

  const auto& from = tower.transformer->last();
  const at::Tensor& weight = from.attn->in_proj_weight;
  const at::Tensor& bias = from.attn->in_proj_bias;
  const auto& out = *from.attn->out_proj;
  last_.ln_1 = norm(from.ln_1);
  last_.ln_2 = norm(from.ln_2);
  last_.q = own(part(weight, 0), scale);
  last_.q_bias = own(part(bias, 0), scale);
  last_.k = own(part(weight, 1));
  last_.v = own(part(weight, 2));
  last_.v_bias = own(part(bias, 2));
  last_.out = own(out.weight);
  last_.out_bias = own(out.bias);
  last_.c_fc = own(from.mlp->c_fc->weight, slope);
  last_.c_fc_bias = own(from.mlp->c_fc->bias, slope);
  last_.c_proj = own(from.mlp->c_proj->weight, 1.0 / slope);
  last_.c_proj_bias = own(from.mlp->c_proj->bias);
  last_.values = detail::FrozenLinear(
      own(at::matmul(precise(out.weight), precise(part(weight, 2)))),
      own(at::matmul(precise(out.weight), precise(part(bias, 2))) + precise(out.bias)),
      tokens);
}

/// [B, L, 3 w], queries already scaled -> [B, L, w]. Image by image: the scores of one
/// stay in the cache, and nothing is copied to bring the heads together.
inline at::Tensor FrozenVisionTransformer::attend(const at::Tensor& qkv) const {
  const int64_t images = qkv.size(0);
  const int64_t length = qkv.size(1);
  const int64_t d = qkv.size(2) / (3 * heads_);
  at::Tensor attended = at::empty({images, length, heads_, d}, qkv.options());
  const at::Tensor parts =
      qkv.view({images, length, 3, heads_, d}).permute({0, 2, 3, 1, 4});
  for (int64_t i = 0; i < images; ++i) {
    const at::Tensor one = parts[i];  // [3, heads, L, d]
    const at::Tensor weights =
        at::softmax(at::bmm(one[0], one[1].transpose(1, 2)), -1);  // [heads, L, L]
    attended[i].copy_(at::bmm(weights, one[2]).transpose(0, 1));
  }
  return attended.view({images, length, heads_ * d});
}

inline at::Tensor FrozenVisionTransformer::activate(at::Tensor x) const {
  return quick_gelu_ ? at::silu_(x) : at::gelu(x);
}

inline at::Tensor FrozenVisionTransformer::trunk(const at::Tensor& images) const {
  detail::check_patches(images, patch_size_, "FrozenVisionTransformer");
  const at::Tensor map =
      patches_(images.to(dtype_).contiguous(at::MemoryFormat::ChannelsLast));
  const at::Tensor positions = resize_positions(positions_, map.size(2), map.size(3));
  at::Tensor x =
      at::empty({map.size(0), positions.size(0), positions.size(1)}, map.options());
  x.slice(1, 0, 1).copy_(class_embedding_ + positions[0]);
  at::Tensor cells = x.slice(1, 1);
  at::add_out(cells, detail::cells_of(map), positions.slice(0, 1));  // [B, R + 1, w]
  x = ln_pre_(x);
  for (const Block& block : blocks_) {
    x += block.out_proj(attend(block.in_proj(block.ln_1(x))));
    x += block.c_proj(activate(block.c_fc(block.ln_2(x))));
  }
  return x;
}

/// x [B, L, w] and h = ln_1(x) -> [B, D].
inline at::Tensor FrozenVisionTransformer::global_of(
    const at::Tensor& x,
    const at::Tensor& h) const {
  const int64_t images = x.size(0);
  const int64_t width = x.size(2);
  const int64_t d = width / heads_;
  const at::Tensor q =
      at::linear(h.select(1, 0), last_.q, last_.q_bias).view({images, heads_, d});
  const at::Tensor to_h =
      at::bmm(q.transpose(0, 1), last_.k.view({heads_, d, width})).transpose(0, 1);
  const at::Tensor weights =
      at::softmax(at::bmm(to_h, h.transpose(1, 2)), -1);        // [B, heads, L]
  const at::Tensor mean = at::bmm(weights, h).transpose(0, 1);  // [heads, B, w]
  const at::Tensor values =
      at::bmm(mean, last_.v.view({heads_, d, width}).transpose(1, 2));
  const at::Tensor attended =
      values.transpose(0, 1).reshape({images, width}) + last_.v_bias;
  const at::Tensor y = x.select(1, 0) + at::linear(attended, last_.out, last_.out_bias);
  const at::Tensor hidden =
      activate(at::linear(last_.ln_2(y), last_.c_fc, last_.c_fc_bias));
  return at::matmul(
      ln_post_(y + at::linear(hidden, last_.c_proj, last_.c_proj_bias)), proj_);
}

/// h = ln_1(x) [B, L, w] -> [B, R, D].
inline at::Tensor FrozenVisionTransformer::regions_of(const at::Tensor& h) const {
  return at::matmul(ln_post_(last_.values(h)).slice(1, 1), proj_);
}

inline at::Tensor FrozenVisionTransformer::global(const at::Tensor& images) const {
  const c10::NoGradGuard no_grad;
  const at::Tensor x = trunk(images);
  return global_of(x, last_.ln_1(x));
}

inline at::Tensor FrozenVisionTransformer::regions(
    const at::Tensor& images,
    DenseForm /*form*/) const {
  const c10::NoGradGuard no_grad;
  return regions_of(last_.ln_1(trunk(images)));
}

inline ImageFeatures FrozenVisionTransformer::features(
    const at::Tensor& images,
    DenseForm /*form*/) const {
  const c10::NoGradGuard no_grad;
  const at::Tensor x = trunk(images);
  const at::Tensor h = last_.ln_1(x);
  return {global_of(x, h), regions_of(h)};
}

}  // namespace trmml::clip
