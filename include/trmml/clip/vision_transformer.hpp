#pragma once

#include "trmml/clip/image_features.hpp"
#include "trmml/clip/initial_values.hpp"
#include "trmml/clip/transformer.hpp"
#include "trmml/core/check.hpp"

#include <torch/arg.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/init.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/normalization.h>
#include <torch/nn/pimpl.h>
#include <torch/types.h>

#include <cmath>
#include <cstdint>
#include <ostream>
#include <string_view>

namespace trmml::clip {

/// Options for `VisionTransformer`. The defaults are those of CLIP's ViT-B/16 (with
/// `embed_dim` 512).
struct VisionTransformerOptions {
  /*implicit*/ VisionTransformerOptions(int64_t embed_dim) : embed_dim_(embed_dim) {}

  /// Width D of the joint image-text embedding. Positive.
  TORCH_ARG(int64_t, embed_dim);

  /// Pixels a side of one patch. Default 16.
  TORCH_ARG(int64_t, patch_size) = 16;

  /// Width of a token. Default 768.
  TORCH_ARG(int64_t, width) = 768;

  /// Blocks, at least one. Default 12.
  TORCH_ARG(int64_t, layers) = 12;

  /// Attention heads; divides width. CLIP: width / 64. Default 12.
  TORCH_ARG(int64_t, heads) = 12;

  /// Pixels a side for which the positional embedding has its rows: a multiple of
  /// patch_size. Pictures of other sizes are welcome: positions are interpolated.
  /// Default 224.
  TORCH_ARG(int64_t, input_resolution) = 224;

  /// QuickGELU (OpenAI's weights) instead of GELU. Default true.
  TORCH_ARG(bool, quick_gelu) = true;
};

/// Throws `c10::ValueError` unless the options describe a network.
inline void check_options(const VisionTransformerOptions& options) {
  constexpr auto kWhere = "VisionTransformerOptions";
  const auto positive = [&](const char* name, int64_t value) {
    TORCH_CHECK_VALUE(value > 0, kWhere, ": expected ", name, " above 0, got ", value);
  };
  positive("embed_dim", options.embed_dim());
  positive("patch_size", options.patch_size());
  positive("width", options.width());
  positive("layers", options.layers());
  positive("heads", options.heads());
  positive("input_resolution", options.input_resolution());
  TORCH_CHECK_VALUE(
      options.width() % options.heads() == 0,
      kWhere,
      ": expected heads that divide width ",
      options.width(),
      ", got ",
      options.heads());
  TORCH_CHECK_VALUE(
      options.input_resolution() % options.patch_size() == 0,
      kWhere,
      ": expected input_resolution to be a multiple of patch_size ",
      options.patch_size(),
      ", got ",
      options.input_resolution());
}

/// CLIP's vision transformer: patches and a class token. Names of parameters are those
/// of OpenAI's state dict.
///
/// The regions are MaskCLIP's dense map: in the last block only the value path and its
/// output projection, without attention, residual or MLP, then ln_post and proj, patch
/// by patch. `DenseForm` makes no difference here: positions enter with the patches.
///
/// Shapes (B images, D = `options.embed_dim()`, R = H * W / patch_size^2):
///   images [B, 3, H, W], H and W multiples of patch_size; sizes other than
///   `input_resolution`, also not square, interpolate the positional embedding.
///
/// Gradients reach images and parameters. No state changes; random numbers: initial
/// values only. Outputs are not normalised.
/// Throws `c10::ValueError` / `c10::TypeError` for other images.
///
/// Example:
/// ```
/// clip::VisionTransformer tower(clip::VisionTransformerOptions(512).patch_size(32));
/// auto [global, regions] = tower->features(images, clip::DenseForm::kPlain);
/// ```
class VisionTransformerImpl : public torch::nn::Cloneable<VisionTransformerImpl> {
 public:
  explicit VisionTransformerImpl(const VisionTransformerOptions& options_)
      : options(options_) {
    check_options(options);
    reset();
  }

  void reset() override;
  void reset_parameters();
  void pretty_print(std::ostream& stream) const override;

  /// Global features only: [B, 3, H, W] -> [B, D].
  torch::Tensor forward(const torch::Tensor& images);

  /// Global and dense features from one pass.
  ImageFeatures features(const torch::Tensor& images, DenseForm form);

  /// All blocks but the last: [B, 3, H, W] -> [B, R + 1, w], class token first.
  torch::Tensor trunk(const torch::Tensor& images);

  /// The options this module was built with.
  VisionTransformerOptions options;

  torch::Tensor class_embedding;       ///< [w]
  torch::Tensor positional_embedding;  ///< [G * G + 1, w]
  torch::Tensor proj;                  ///< [w, D]
  torch::nn::Conv2d conv1{nullptr};
  torch::nn::LayerNorm ln_pre{nullptr}, ln_post{nullptr};
  Transformer transformer{nullptr};

 private:
  torch::Tensor global_of(const torch::Tensor& x);
  torch::Tensor regions_of(const torch::Tensor& x);
};

TORCH_MODULE(VisionTransformer);

// ---------------------------------------------------------------------------------
// Bodies

namespace detail {

/// Pictures whose sides are multiples of `patch` pixels.
inline void
check_patches(const torch::Tensor& images, int64_t patch, std::string_view where) {
  check_images(images, patch, where);
  TORCH_CHECK_VALUE(
      images.size(2) % patch == 0 && images.size(3) % patch == 0,
      where,
      ": expected images of a multiple of ",
      patch,
      " pixels a side, got ",
      images.size(2),
      " x ",
      images.size(3));
}

}  // namespace detail

inline void VisionTransformerImpl::reset() {
  const int64_t width = options.width();
  const int64_t grid = options.input_resolution() / options.patch_size();
  const auto norm = torch::nn::LayerNormOptions({width});
  class_embedding = register_parameter("class_embedding", torch::empty({width}));
  positional_embedding = register_parameter(
      "positional_embedding", torch::empty({grid * grid + 1, width}));
  proj = register_parameter("proj", torch::empty({width, options.embed_dim()}));
  conv1 = register_module(
      "conv1",
      detail::make_conv(3, width, options.patch_size(), options.patch_size(), 0));
  ln_pre = register_module("ln_pre", torch::nn::LayerNorm(norm));
  transformer = register_module(
      "transformer",
      Transformer(width, options.layers(), options.heads(), options.quick_gelu()));
  ln_post = register_module("ln_post", torch::nn::LayerNorm(norm));
  reset_parameters();
}

inline void VisionTransformerImpl::reset_parameters() {
  if (SkipInitialValues::active()) {
    return;
  }
  const double std = 1.0 / std::sqrt(static_cast<double>(options.width()));
  conv1->reset_parameters();
  ln_pre->reset_parameters();
  transformer->reset_parameters();
  ln_post->reset_parameters();
  torch::nn::init::normal_(class_embedding, 0.0, std);
  torch::nn::init::normal_(positional_embedding, 0.0, std);
  torch::nn::init::normal_(proj, 0.0, std);
}

inline void VisionTransformerImpl::pretty_print(std::ostream& stream) const {
  stream << "trmml::clip::VisionTransformer(embed_dim=" << options.embed_dim()
         << ", patch_size=" << options.patch_size() << ", width=" << options.width()
         << ", layers=" << options.layers() << ", heads=" << options.heads()
         << ", input_resolution=" << options.input_resolution() << ")";
}

inline torch::Tensor VisionTransformerImpl::trunk(const torch::Tensor& images) {
  constexpr auto kWhere = "VisionTransformer::forward";
  detail::check_patches(images, options.patch_size(), kWhere);
  const torch::Tensor map = conv1(images);  // [B, w, h, w']
  const torch::Tensor first =
      class_embedding.expand({images.size(0), 1, options.width()});
  torch::Tensor x = torch::cat({first, detail::cells_of(map)}, 1) +
                    resize_positions(positional_embedding, map.size(2), map.size(3));
  return transformer->forward_but_last(ln_pre(x), torch::Tensor());  // [B, R + 1, w]
}

inline torch::Tensor VisionTransformerImpl::global_of(const torch::Tensor& x) {
  const torch::Tensor first =
      torch::zeros({x.size(0)}, x.options().dtype(torch::kLong).requires_grad(false));
  const torch::Tensor y = transformer->last().forward_rows(x, first, /*causal=*/false);
  return torch::matmul(ln_post(y), proj);  // [B, D]
}

inline torch::Tensor VisionTransformerImpl::regions_of(const torch::Tensor& x) {
  auto& last = transformer->last();
  const torch::Tensor values = last.attn->values_only(last.ln_1(x.slice(1, 1)));
  return torch::matmul(ln_post(values), proj);  // [B, R, D]
}

inline torch::Tensor VisionTransformerImpl::forward(const torch::Tensor& images) {
  return global_of(trunk(images));
}

inline ImageFeatures VisionTransformerImpl::features(
    const torch::Tensor& images,
    DenseForm /*form*/) {
  const torch::Tensor x = trunk(images);
  return {global_of(x), regions_of(x)};
}

}  // namespace trmml::clip
