#pragma once

#include "trmml/clip/image_features.hpp"
#include "trmml/clip/initial_values.hpp"
#include "trmml/core/check.hpp"

#include <torch/arg.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/functional/linear.h>
#include <torch/nn/init.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/pimpl.h>
#include <torch/types.h>

#include <cmath>
#include <cstdint>
#include <ostream>
#include <vector>

namespace trmml::clip {

/// Options for `ModifiedResNet`. The defaults are those of CLIP's RN50 (with
/// `embed_dim` 1024).
struct ModifiedResNetOptions {
  /*implicit*/ ModifiedResNetOptions(int64_t embed_dim) : embed_dim_(embed_dim) {}

  /// Width D of the joint image-text embedding. Positive.
  TORCH_ARG(int64_t, embed_dim);

  /// Channels after the stem; even. The last stage has 32 times as many. Default 64.
  TORCH_ARG(int64_t, width) = 64;

  /// Bottlenecks of the four stages, each positive. Default 3, 4, 6, 3.
  TORCH_ARG(std::vector<int64_t>, layers) = {3, 4, 6, 3};

  /// Heads of the attention pool; divides 32 * width. CLIP: width / 2. Default 32.
  TORCH_ARG(int64_t, heads) = 32;

  /// Pixels a side for which the positional embedding has its rows: a multiple of 32.
  /// Pictures of other sizes are welcome: positions are interpolated. Default 224.
  TORCH_ARG(int64_t, input_resolution) = 224;
};

/// Throws `c10::ValueError` unless the options describe a network.
inline void check_options(const ModifiedResNetOptions& options) {
  constexpr auto kWhere = "ModifiedResNetOptions";
  const auto positive = [&](const char* name, int64_t value) {
    TORCH_CHECK_VALUE(value > 0, kWhere, ": expected ", name, " above 0, got ", value);
  };
  positive("embed_dim", options.embed_dim());
  positive("width", options.width());
  positive("heads", options.heads());
  TORCH_CHECK_VALUE(
      options.width() % 2 == 0,
      kWhere,
      ": expected an even width, got ",
      options.width());
  TORCH_CHECK_VALUE(
      options.layers().size() == 4,
      kWhere,
      ": expected layers of 4 stages, got ",
      options.layers().size());
  for (const int64_t depth : options.layers()) {
    positive("layers of every stage", depth);
  }
  TORCH_CHECK_VALUE(
      32 * options.width() % options.heads() == 0,
      kWhere,
      ": expected heads that divide 32 * width = ",
      32 * options.width(),
      ", got ",
      options.heads());
  TORCH_CHECK_VALUE(
      options.input_resolution() >= 32 && options.input_resolution() % 32 == 0,
      kWhere,
      ": expected input_resolution to be a multiple of 32, got ",
      options.input_resolution());
}

/// Anti-aliased bottleneck: 1x1, 3x3, average pool (where the stage shrinks), 1x1 to
/// four times the width, and a residual branch that pools before its own 1x1.
///
/// Shapes: [B, in, H, W] -> [B, 4 * width, H / stride, W / stride].
class BottleneckImpl : public torch::nn::Cloneable<BottleneckImpl> {
 public:
  static constexpr int64_t kExpansion = 4;

  BottleneckImpl(int64_t in_channels, int64_t width, int64_t stride)
      : in_channels_(in_channels), width_(width), stride_(stride) {
    reset();
  }

  void reset() override;
  /// As CLIP starts: the last normalisation's weight is zero, hence every block is the
  /// identity (or its down-sampling branch) at first.
  void reset_parameters();
  void pretty_print(std::ostream& stream) const override;

  torch::Tensor forward(const torch::Tensor& x);

  int64_t stride() const { return stride_; }

  torch::nn::Conv2d conv1{nullptr}, conv2{nullptr}, conv3{nullptr};
  torch::nn::BatchNorm2d bn1{nullptr}, bn2{nullptr}, bn3{nullptr};
  torch::nn::Sequential downsample{nullptr};  ///< empty where shapes agree

 private:
  int64_t in_channels_;
  int64_t width_;
  int64_t stride_;
};

TORCH_MODULE(Bottleneck);

/// CLIP's attention pool: one attention whose only query is the mean of the cells.
///
/// With tokens \f$ x_0 = \bar x + p_0,\; x_i = x_i + p_i \f$:
/// \f[ y = W_c \left(\sum_i \mathrm{softmax}_i(\langle W_q x_0 + b_q, W_k x_i + b_k
///     \rangle / \sqrt{d})\,(W_v x_i + b_v)\right) + b_c \quad\text{(per head of width
///     } d) \f]
/// The key and value projections are applied to the query and to the attended mean
/// instead of to every cell: the same numbers, at a small part of the work.
class AttentionPoolImpl : public torch::nn::Cloneable<AttentionPoolImpl> {
 public:
  AttentionPoolImpl(int64_t grid, int64_t width, int64_t heads, int64_t embed_dim)
      : grid_(grid), width_(width), heads_(heads), embed_dim_(embed_dim) {
    reset();
  }

  void reset() override;
  void reset_parameters();
  void pretty_print(std::ostream& stream) const override;

  /// [B, w, h, w'] -> [B, D].
  torch::Tensor forward(const torch::Tensor& map);

  /// [B, w, h, w'] -> [B, h * w', D]: value and output projection, cell by cell.
  torch::Tensor dense(const torch::Tensor& map, DenseForm form);

  torch::Tensor positional_embedding;  ///< [G * G + 1, w]
  torch::nn::Linear q_proj{nullptr}, k_proj{nullptr}, v_proj{nullptr}, c_proj{nullptr};

 private:
  int64_t grid_;
  int64_t width_;
  int64_t heads_;
  int64_t embed_dim_;
};

TORCH_MODULE(AttentionPool);

/// CLIP's residual network: a stem of three convolutions, average instead of max
/// pooling, anti-aliased bottlenecks, and an attention pool. Names of parameters are
/// those of OpenAI's state dict. BatchNorm follows `train()` and `eval()`.
///
/// Shapes (B images, D = `options.embed_dim()`, h = H / 32 and w = W / 32 rounded
/// down):
///   images [B, 3, H, W], H and W at least 32; sizes other than `input_resolution`,
///   also not square, interpolate the positional embedding. Memory may be
///   channels-last, which is the faster form on a CPU.
///
/// Gradients reach images and parameters. In training mode the running statistics of
/// BatchNorm change. Random numbers: initial values only. Outputs are not normalised.
/// Throws `c10::ValueError` / `c10::TypeError` for other images.
///
/// Example:
/// ```
/// clip::ModifiedResNet tower(clip::ModifiedResNetOptions(1024));
/// auto [global, regions] = tower->features(images, clip::DenseForm::kDualCoOp);
/// ```
class ModifiedResNetImpl : public torch::nn::Cloneable<ModifiedResNetImpl> {
 public:
  explicit ModifiedResNetImpl(const ModifiedResNetOptions& options_)
      : options(options_) {
    check_options(options);
    reset();
  }

  void reset() override;
  void reset_parameters();
  void pretty_print(std::ostream& stream) const override;

  /// Global features only: [B, 3, H, W] -> [B, D].
  torch::Tensor forward(const torch::Tensor& images);

  /// Global and dense features from one pass through the trunk.
  ImageFeatures features(const torch::Tensor& images, DenseForm form);

  /// What the attention pool receives: [B, 3, H, W] -> [B, 32 * width, h, w].
  torch::Tensor trunk(const torch::Tensor& images);

  /// The options this module was built with.
  ModifiedResNetOptions options;

  torch::nn::Conv2d conv1{nullptr}, conv2{nullptr}, conv3{nullptr};
  torch::nn::BatchNorm2d bn1{nullptr}, bn2{nullptr}, bn3{nullptr};
  torch::nn::ModuleList layer1{nullptr}, layer2{nullptr}, layer3{nullptr},
      layer4{nullptr};
  AttentionPool attnpool{nullptr};
};

TORCH_MODULE(ModifiedResNet);

// ---------------------------------------------------------------------------------
// Bodies

namespace detail {

inline torch::nn::Conv2d
plain_conv(int64_t in, int64_t out, int64_t kernel, int64_t stride = 1) {
  return make_conv(in, out, kernel, stride, kernel / 2);
}

/// The tensors of an attention pool.
struct PoolWeights {
  torch::Tensor positions;      ///< [G * G + 1, w]
  torch::Tensor q, q_bias;      ///< [w, w], [w]
  torch::Tensor k, k_bias;      ///< [w, w], [w]
  torch::Tensor v, v_bias;      ///< [w, w], [w]
  torch::Tensor out, out_bias;  ///< [D, w], [D]
};

/// The attention pool (see `AttentionPoolImpl`): [B, w, h, w'] -> [B, D].
inline torch::Tensor
attend_to_cells(const torch::Tensor& map, const PoolWeights& pool, int64_t heads) {
  using torch::nn::functional::linear;
  const int64_t images = map.size(0);
  const int64_t width = map.size(1);
  const int64_t d = width / heads;
  torch::Tensor x = cells_of(map);  // [B, R, w]
  x = torch::cat({x.mean(1, /*keepdim=*/true), x}, 1) +
      resize_positions(pool.positions, map.size(2), map.size(3));  // [B, R+1, w]
  const torch::Tensor q =
      linear(x.select(1, 0), pool.q, pool.q_bias).view({images, heads, d});
  // <q, W_k x + b_k> = <W_k' q, x> + <q, b_k>, head by head. (The softmax cancels the
  // second term; with it k_bias has a gradient, a zero one, like everyone.)
  const torch::Tensor q_heads = q.transpose(0, 1);  // [heads, B, d]
  const torch::Tensor to_x =
      torch::bmm(q_heads, pool.k.view({heads, d, width})).transpose(0, 1);
  const torch::Tensor offset = (q * pool.k_bias.view({heads, d})).sum(-1, true);
  const torch::Tensor scores = torch::bmm(to_x, x.transpose(1, 2)) + offset;
  const torch::Tensor weights = torch::softmax(
      scores / std::sqrt(static_cast<double>(d)), -1);  // [B, heads, R+1]
  // sum_i a_i (W_v x_i + b_v) = W_v (sum_i a_i x_i) + b_v
  const torch::Tensor mean = torch::bmm(weights, x).transpose(0, 1);  // [heads, B, w]
  const torch::Tensor values =
      torch::bmm(mean, pool.v.view({heads, d, width}).transpose(1, 2));
  return linear(
      values.transpose(0, 1).reshape({images, width}) + pool.v_bias,
      pool.out,
      pool.out_bias);
}

inline torch::nn::ModuleList
bottlenecks(int64_t in, int64_t width, int64_t depth, int64_t stride) {
  torch::nn::ModuleList stage;
  for (int64_t i = 0; i < depth; ++i) {
    stage->push_back(Bottleneck(in, width, i == 0 ? stride : 1));
    in = BottleneckImpl::kExpansion * width;
  }
  return stage;
}

inline torch::Tensor run(const torch::nn::ModuleList& stage, torch::Tensor x) {
  for (const auto& block : *stage) {
    x = block->as<BottleneckImpl>()->forward(x);
  }
  return x;
}

}  // namespace detail

inline void BottleneckImpl::reset() {
  const int64_t out = kExpansion * width_;
  conv1 = register_module("conv1", detail::plain_conv(in_channels_, width_, 1));
  bn1 = register_module("bn1", torch::nn::BatchNorm2d(width_));
  conv2 = register_module("conv2", detail::plain_conv(width_, width_, 3));
  bn2 = register_module("bn2", torch::nn::BatchNorm2d(width_));
  conv3 = register_module("conv3", detail::plain_conv(width_, out, 1));
  bn3 = register_module("bn3", torch::nn::BatchNorm2d(out));
  if (stride_ > 1 || in_channels_ != out) {
    downsample = register_module(
        "downsample",
        torch::nn::Sequential(
            detail::plain_conv(in_channels_, out, 1), torch::nn::BatchNorm2d(out)));
  }
  reset_parameters();
}

inline void BottleneckImpl::reset_parameters() {
  if (SkipInitialValues::active()) {
    return;
  }
  for (auto conv : {conv1, conv2, conv3}) {
    conv->reset_parameters();
  }
  for (auto norm : {bn1, bn2, bn3}) {
    norm->reset_parameters();
  }
  if (!downsample.is_empty()) {
    downsample[0]->as<torch::nn::Conv2dImpl>()->reset_parameters();
    downsample[1]->as<torch::nn::BatchNorm2dImpl>()->reset_parameters();
  }
  torch::nn::init::zeros_(bn3->weight);
}

inline void BottleneckImpl::pretty_print(std::ostream& stream) const {
  stream << "trmml::clip::Bottleneck(in=" << in_channels_ << ", width=" << width_
         << ", stride=" << stride_ << ")";
}

inline torch::Tensor BottleneckImpl::forward(const torch::Tensor& x) {
  torch::Tensor out = bn1(conv1(x)).relu_();
  out = bn2(conv2(out)).relu_();
  torch::Tensor identity = x;
  if (stride_ > 1) {
    out = at::avg_pool2d(out, stride_);
    identity = at::avg_pool2d(identity, stride_);
  }
  out = bn3(conv3(out));
  if (!downsample.is_empty()) {
    identity = downsample->forward(identity);
  }
  return out.add_(identity).relu_();
}

inline void AttentionPoolImpl::reset() {
  positional_embedding = register_parameter(
      "positional_embedding", torch::empty({grid_ * grid_ + 1, width_}));
  k_proj = register_module("k_proj", detail::make_linear(width_, width_));
  q_proj = register_module("q_proj", detail::make_linear(width_, width_));
  v_proj = register_module("v_proj", detail::make_linear(width_, width_));
  c_proj = register_module("c_proj", detail::make_linear(width_, embed_dim_));
  reset_parameters();
}

inline void AttentionPoolImpl::reset_parameters() {
  if (SkipInitialValues::active()) {
    return;
  }
  const double std = 1.0 / std::sqrt(static_cast<double>(width_));
  torch::nn::init::normal_(positional_embedding, 0.0, std);
  for (auto linear : {q_proj, k_proj, v_proj, c_proj}) {
    linear->reset_parameters();
    torch::nn::init::normal_(linear->weight, 0.0, std);
  }
}

inline void AttentionPoolImpl::pretty_print(std::ostream& stream) const {
  stream << "trmml::clip::AttentionPool(grid=" << grid_ << ", width=" << width_
         << ", heads=" << heads_ << ", embed_dim=" << embed_dim_ << ")";
}

inline torch::Tensor AttentionPoolImpl::forward(const torch::Tensor& map) {
  return detail::attend_to_cells(
      map,
      {positional_embedding,
       q_proj->weight,
       q_proj->bias,
       k_proj->weight,
       k_proj->bias,
       v_proj->weight,
       v_proj->bias,
       c_proj->weight,
       c_proj->bias},
      heads_);
}

inline torch::Tensor AttentionPoolImpl::dense(
    const torch::Tensor& map,
    DenseForm form) {
  torch::Tensor x = detail::cells_of(map);  // [B, R, w]
  if (form == DenseForm::kDualCoOp) {
    x = x +
        resize_positions(positional_embedding, map.size(2), map.size(3)).slice(0, 1);
  }
  return c_proj(v_proj(x));  // [B, R, D]
}

inline void ModifiedResNetImpl::reset() {
  const int64_t width = options.width();
  const auto& depth = options.layers();
  conv1 = register_module("conv1", detail::plain_conv(3, width / 2, 3, 2));
  bn1 = register_module("bn1", torch::nn::BatchNorm2d(width / 2));
  conv2 = register_module("conv2", detail::plain_conv(width / 2, width / 2, 3));
  bn2 = register_module("bn2", torch::nn::BatchNorm2d(width / 2));
  conv3 = register_module("conv3", detail::plain_conv(width / 2, width, 3));
  bn3 = register_module("bn3", torch::nn::BatchNorm2d(width));
  layer1 = register_module("layer1", detail::bottlenecks(width, width, depth[0], 1));
  layer2 =
      register_module("layer2", detail::bottlenecks(4 * width, 2 * width, depth[1], 2));
  layer3 =
      register_module("layer3", detail::bottlenecks(8 * width, 4 * width, depth[2], 2));
  layer4 = register_module(
      "layer4", detail::bottlenecks(16 * width, 8 * width, depth[3], 2));
  attnpool = register_module(
      "attnpool",
      AttentionPool(
          options.input_resolution() / 32,
          32 * width,
          options.heads(),
          options.embed_dim()));
}

inline void ModifiedResNetImpl::reset_parameters() {
  for (auto stem : {conv1, conv2, conv3}) {
    stem->reset_parameters();
  }
  for (auto norm : {bn1, bn2, bn3}) {
    norm->reset_parameters();
  }
  for (const auto& stage : {layer1, layer2, layer3, layer4}) {
    for (const auto& block : *stage) {
      block->as<BottleneckImpl>()->reset_parameters();
    }
  }
  attnpool->reset_parameters();
}

inline void ModifiedResNetImpl::pretty_print(std::ostream& stream) const {
  stream << "trmml::clip::ModifiedResNet(embed_dim=" << options.embed_dim()
         << ", width=" << options.width()
         << ", layers=" << at::IntArrayRef(options.layers())
         << ", heads=" << options.heads()
         << ", input_resolution=" << options.input_resolution() << ")";
}

inline torch::Tensor ModifiedResNetImpl::trunk(const torch::Tensor& images) {
  detail::check_images(images, 32, "ModifiedResNet::forward");
  // Convolutions on a CPU are faster with the channels innermost.
  torch::Tensor x =
      images.is_cpu() ? images.contiguous(torch::MemoryFormat::ChannelsLast) : images;
  x = bn1(conv1(x)).relu_();
  x = bn2(conv2(x)).relu_();
  x = bn3(conv3(x)).relu_();
  x = at::avg_pool2d(x, 2);
  for (const auto& stage : {layer1, layer2, layer3, layer4}) {
    x = detail::run(stage, x);
  }
  return x;  // [B, 32 * width, h, w]
}

inline torch::Tensor ModifiedResNetImpl::forward(const torch::Tensor& images) {
  return attnpool(trunk(images));
}

inline ImageFeatures ModifiedResNetImpl::features(
    const torch::Tensor& images,
    DenseForm form) {
  const torch::Tensor map = trunk(images);
  return {attnpool(map), attnpool->dense(map, form)};
}

}  // namespace trmml::clip
