#pragma once

#include "trmml/clip/frozen_layers.hpp"
#include "trmml/clip/image_features.hpp"
#include "trmml/clip/modified_resnet.hpp"

#include <ATen/core/Tensor.h>
#include <ATen/ops/_add_relu.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/matmul.h>
#include <c10/core/GradMode.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace trmml::clip {

/// The inference form of a `ModifiedResNet`: the same features but for rounding, for
/// less work. Holds its own weights; what happens to the plain tower later does not
/// reach it.
///
/// Every BatchNorm is folded into its convolution, ReLU is applied where the
/// convolution writes, weights are laid out once, pictures stay channels-last. The
/// dense map needs one product: value and output projection are multiplied once, and so
/// are the positions, which are resized behind the projection instead of before (both
/// are linear). See `FrozenImageTower`.
class FrozenResNet {
 public:
  /// Weights of `tower` in evaluation mode, in numbers of type `dtype`.
  FrozenResNet(ModifiedResNetImpl& tower, at::ScalarType dtype);

  /// [B, 3, H, W] -> [B, D].
  at::Tensor global(const at::Tensor& images) const;

  /// [B, 3, H, W] -> [B, R, D].
  at::Tensor regions(const at::Tensor& images, DenseForm form) const;

  /// Both, from one pass through the trunk.
  ImageFeatures features(const at::Tensor& images, DenseForm form) const;

 private:
  struct Block {
    detail::FrozenConv conv1, conv2, conv3;
    std::optional<detail::FrozenConv> downsample;
    int64_t stride = 1;

    at::Tensor operator()(const at::Tensor& x) const;
  };

  at::Tensor trunk(const at::Tensor& images) const;
  at::Tensor dense(const at::Tensor& map, DenseForm form) const;

  at::ScalarType dtype_;
  std::vector<detail::FrozenConv> stem_;
  std::vector<Block> blocks_;
  detail::FrozenConv dense_;        // value and output projection
  at::Tensor projected_positions_;  // [G * G + 1, D]
  detail::PoolWeights pool_;
  int64_t heads_;
};

// ---------------------------------------------------------------------------------
// Bodies

inline FrozenResNet::FrozenResNet(ModifiedResNetImpl& tower, at::ScalarType dtype)
    : dtype_(dtype), heads_(tower.options.heads()) {
  const c10::NoGradGuard no_grad;
  const auto fold = [dtype](
                        const auto& conv, const auto& norm, bool relu, int64_t side) {
    return detail::fold(*conv, *norm, relu, side, dtype);
  };
  int64_t side = tower.options.input_resolution();
  stem_.push_back(fold(tower.conv1, tower.bn1, true, side));
  side /= 2;
  stem_.push_back(fold(tower.conv2, tower.bn2, true, side));
  stem_.push_back(fold(tower.conv3, tower.bn3, true, side));
  side /= 2;
  for (const auto& stage : {tower.layer1, tower.layer2, tower.layer3, tower.layer4}) {
    for (const auto& item : *stage) {
      auto& from = *item->as<BottleneckImpl>();
      Block block;
      block.stride = from.stride();
      block.conv1 = fold(from.conv1, from.bn1, true, side);
      block.conv2 = fold(from.conv2, from.bn2, true, side);
      side /= block.stride;
      block.conv3 = fold(from.conv3, from.bn3, false, side);
      if (!from.downsample.is_empty()) {
        block.downsample = detail::fold(
            *from.downsample[0]->as<torch::nn::Conv2dImpl>(),
            *from.downsample[1]->as<torch::nn::BatchNorm2dImpl>(),
            false,
            side,
            dtype);
      }
      blocks_.push_back(block);
    }
  }
  using detail::precise;
  const auto& pool = *tower.attnpool;
  const at::Tensor both =
      at::matmul(precise(pool.c_proj->weight), precise(pool.v_proj->weight));  // [D, w]
  const at::Tensor bias =
      at::matmul(precise(pool.c_proj->weight), precise(pool.v_proj->bias)) +
      precise(pool.c_proj->bias);
  dense_ = detail::FrozenConv(
      both.unsqueeze(2).unsqueeze(3).to(dtype), bias.to(dtype), 1, 0, false, side);
  projected_positions_ =
      at::matmul(precise(pool.positional_embedding), both.t()).to(dtype);
  const auto own = [dtype](const at::Tensor& x) {
    return x.detach().to(dtype, /*non_blocking=*/false, /*copy=*/true);
  };
  pool_ = {
      own(pool.positional_embedding),
      own(pool.q_proj->weight),
      own(pool.q_proj->bias),
      own(pool.k_proj->weight),
      own(pool.k_proj->bias),
      own(pool.v_proj->weight),
      own(pool.v_proj->bias),
      own(pool.c_proj->weight),
      own(pool.c_proj->bias)};
}

inline at::Tensor FrozenResNet::Block::operator()(const at::Tensor& x) const {
  at::Tensor out = conv2(conv1(x));
  at::Tensor identity = x;
  if (stride > 1) {
    out = at::avg_pool2d(out, stride);
    identity = at::avg_pool2d(identity, stride);
  }
  out = conv3(out);
  if (downsample) {
    identity = (*downsample)(identity);
  }
  if (out.is_cpu() && out.scalar_type() == at::kFloat) {
    return at::_add_relu_(out, identity);
  }
  return detail::clamp_negative_(out.add_(identity));
}

inline at::Tensor FrozenResNet::trunk(const at::Tensor& images) const {
  detail::check_images(images, 32, "FrozenResNet");
  at::Tensor x = images.to(dtype_).contiguous(at::MemoryFormat::ChannelsLast);
  for (const auto& conv : stem_) {
    x = conv(x);
  }
  x = at::avg_pool2d(x, 2);
  for (const auto& block : blocks_) {
    x = block(x);
  }
  return x;  // [B, 32 * width, h, w]
}

inline at::Tensor FrozenResNet::dense(const at::Tensor& map, DenseForm form) const {
  at::Tensor cells = detail::cells_of(dense_(map));  // [B, R, D]
  if (form == DenseForm::kDualCoOp) {
    cells +=
        resize_positions(projected_positions_, map.size(2), map.size(3)).slice(0, 1);
  }
  return cells;
}

inline at::Tensor FrozenResNet::global(const at::Tensor& images) const {
  const c10::NoGradGuard no_grad;
  return detail::attend_to_cells(trunk(images), pool_, heads_);
}

inline at::Tensor FrozenResNet::regions(const at::Tensor& images, DenseForm form)
    const {
  const c10::NoGradGuard no_grad;
  return dense(trunk(images), form);
}

inline ImageFeatures FrozenResNet::features(const at::Tensor& images, DenseForm form)
    const {
  const c10::NoGradGuard no_grad;
  const at::Tensor map = trunk(images);
  return {detail::attend_to_cells(map, pool_, heads_), dense(map, form)};
}

}  // namespace trmml::clip
