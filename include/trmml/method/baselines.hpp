#pragma once

#include "trmml/functional/text_matching.hpp"
#include "trmml/method/method.hpp"

#include <torch/arg.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

#include <cmath>
#include <ostream>

// The methods that TRM-ML is compared with, as methods of equal rank. (Zero-shot is
// `functional::zero_shot_scores` or a cosine with the global feature; the linear probe
// is in linear_probe.hpp.)

namespace trmml {

/// What a text-matching baseline compares with the text.
enum class TextMatching {
  kImage,  ///< the whole image: CoOp's form, with two prompts
  kPixel,  ///< every cell: DualCoOp's form
};

/// Options for `TextMatchingBaseline`.
struct TextMatchingOptions {
  /*implicit*/ TextMatchingOptions(TextMatching matching) : matching_(matching) {}

  /// Image or cells.
  TORCH_ARG(TextMatching, matching);

  /// Initial value of the logit scale s, > 0 (default 50, ours; 20 suits a small CLIP).
  TORCH_ARG(double, logit_scale_init) = 50.0;

  /// kPixel: sharpness of the weights over the cells, > 0 (default 0.5, ours: tuned on
  /// FashionScenes, for the baseline's own sake).
  TORCH_ARG(double, sharpness) = 0.5;
};

/// Learned prompts matched with the whole image or with every cell. See
/// `functional::text_image_logits` and `functional::text_pixel_logits`.
///
/// Shapes: forward(features of B images) -> `region_logits` [B, C], `text_features`
/// [2, C, D]. Parameters: the prompts' context and `logit_scale` (natural logarithm of
/// s). Draws no random numbers after construction. Throws `c10::ValueError` for wrong
/// shapes and options.
/// ```
/// TextMatchingBaseline text_pixel(TextMatching::kPixel, prompts, names, encode_text);
/// at::Tensor scores = score_of(text_pixel->forward(features));
/// ```
class TextMatchingBaselineImpl : public torch::nn::Cloneable<TextMatchingBaselineImpl>,
                                 public Method {
 public:
  TextMatchingBaselineImpl(
      const TextMatchingOptions& options_,
      const PromptLearnerOptions& prompts,
      ClassnameEmbeddings embeddings,
      TextEncoder encode_text)
      : options(options_),
        prompt_options_(prompts),
        embeddings_(std::move(embeddings)),
        encode_text_(std::move(encode_text)) {
    TORCH_CHECK_VALUE(
        options.logit_scale_init() > 0 && options.sharpness() > 0,
        "TextMatchingBaseline: expected logit_scale_init and sharpness > 0, got ",
        options.logit_scale_init(),
        " and ",
        options.sharpness());
    TORCH_CHECK_VALUE(
        prompt_options_.n_prompts() == 2,
        "TextMatchingBaseline: expected two prompts per category, got ",
        prompt_options_.n_prompts());
    reset();
  }

  void reset() override {
    prompt_learner =
        register_module("prompt_learner", PromptLearner(prompt_options_, embeddings_));
    logit_scale = register_parameter(
        "logit_scale", at::full({}, std::log(options.logit_scale_init()), at::kFloat));
  }

  void pretty_print(std::ostream& stream) const override {
    stream << "trmml::TextMatchingBaseline("
           << (options.matching() == TextMatching::kImage ? "image" : "pixel") << ")";
  }

  torch::nn::Module& as_module() override { return *this; }

  at::Tensor text_features() override {
    return functional::l2_normalise(encode_text_(prompt_learner->forward()));
  }

  TrmMlOutput forward(
      const clip::ImageFeatures& images,
      const at::Tensor& text_features = {}) override {
    TrmMlOutput output;
    output.text_features =
        text_features.defined() ? text_features : this->text_features();
    const at::Tensor scale = logit_scale.exp();
    output.region_logits =
        options.matching() == TextMatching::kImage
            ? functional::text_image_logits(images.global, output.text_features, scale)
            : functional::text_pixel_logits(
                  images.regions, output.text_features, scale, options.sharpness());
    return output;
  }

  std::vector<ParameterGroup> parameter_groups() override {
    return {{"prompts", {prompt_learner->ctx, logit_scale}}};
  }

  /// The options this module was built with.
  TextMatchingOptions options;

  PromptLearner prompt_learner{nullptr};
  at::Tensor logit_scale;  ///< scalar, natural logarithm of s

 private:
  PromptLearnerOptions prompt_options_;
  ClassnameEmbeddings embeddings_;
  TextEncoder encode_text_;
};

TORCH_MODULE(TextMatchingBaseline);

}  // namespace trmml
