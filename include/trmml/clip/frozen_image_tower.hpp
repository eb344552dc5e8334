#pragma once

#include "trmml/clip/clip_model.hpp"
#include "trmml/clip/frozen_resnet.hpp"
#include "trmml/clip/frozen_vision_transformer.hpp"

#include <ATen/core/Tensor.h>

#include <variant>

namespace trmml::clip {

/// The image tower of a CLIP for inference: the features of `encode_image` and
/// `image_features`, faster, without gradients, in the numbers of one type.
///
/// It is a copy: later changes of the model do not reach it, and the weights of the
/// image tower are in memory twice as long as both live. Differences to the plain tower
/// are rounding: below 2e-4 of the features' norm in fp32, about 1e-2 in bfloat16.
/// Bfloat16 pays where `cpu_has_bf16()` says so, and on GPUs.
///
/// Shapes (B images, R regions): images [B, 3, H, W] of any floating-point type on the
/// model's device; global [B, D], regions [B, R, D] of type `dtype`, not normalised.
/// What is not asked for is not computed. No state changes, no random numbers; several
/// threads may use one object. Throws `c10::ValueError` / `c10::TypeError` for other
/// images.
///
/// Example:
/// ```
/// const clip::FrozenImageTower tower(*model);
/// auto [global, regions] = tower.image_features(images, clip::DenseForm::kDualCoOp);
/// ```
class FrozenImageTower {
 public:
  /// Numbers of the type of the image tower's weights; on a CPU single precision
  /// instead of half, which it does not multiply.
  explicit FrozenImageTower(ClipModelImpl& model)
      : FrozenImageTower(model, type_of(model)) {}

  FrozenImageTower(ClipModelImpl& model, at::ScalarType dtype)
      : tower_(make(model, dtype)) {}

  /// [B, 3, H, W] -> [B, D].
  at::Tensor encode_image(const at::Tensor& images) const {
    return std::visit([&](const auto& t) { return t.global(images); }, tower_);
  }

  /// [B, 3, H, W] -> [B, R, D].
  at::Tensor regions(const at::Tensor& images, DenseForm form) const {
    return std::visit([&](const auto& t) { return t.regions(images, form); }, tower_);
  }

  /// Both, from one pass.
  ImageFeatures image_features(const at::Tensor& images, DenseForm form) const {
    return std::visit([&](const auto& t) { return t.features(images, form); }, tower_);
  }

 private:
  using Tower = std::variant<FrozenResNet, FrozenVisionTransformer>;

  static at::ScalarType type_of(ClipModelImpl& model) {
    const at::Tensor& weight = model.visual_resnet ? model.visual_resnet->conv1->weight
                                                   : model.visual_transformer->proj;
    const bool is_half = weight.scalar_type() == at::kHalf;
    return is_half && weight.is_cpu() ? at::kFloat : weight.scalar_type();
  }

  static Tower make(ClipModelImpl& model, at::ScalarType dtype) {
    if (model.visual_resnet) {
      return FrozenResNet(*model.visual_resnet, dtype);
    }
    return FrozenVisionTransformer(*model.visual_transformer, dtype);
  }

  Tower tower_;
};

}  // namespace trmml::clip
