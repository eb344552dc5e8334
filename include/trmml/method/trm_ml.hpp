#pragma once

#include "trmml/method/method.hpp"
#include "trmml/modules/category_prototype_bank.hpp"
#include "trmml/modules/prompt_learner.hpp"
#include "trmml/modules/region_matcher.hpp"

#include <torch/arg.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>

#include <ostream>

namespace trmml {

/// Which feature of a category its visual prototypes are made of.
enum class PrototypeLevel { kQuery, kRegion };

/// Options for `TrmMl`: those of its parts, and what the bank is fed with.
struct TrmMlOptions {
  TrmMlOptions(
      PromptLearnerOptions prompts,
      RegionMatcherOptions matcher,
      CategoryPrototypeBankOptions bank)
      : prompts_(prompts), matcher_(matcher), bank_(bank) {}

  /// Everything by default for C categories, text width w and joint width D.
  TrmMlOptions(int64_t n_cls, int64_t ctx_dim, int64_t embed_dim)
      : prompts_(n_cls, ctx_dim), matcher_(n_cls, embed_dim), bank_(n_cls, embed_dim) {}

  TORCH_ARG(PromptLearnerOptions, prompts);
  TORCH_ARG(RegionMatcherOptions, matcher);
  TORCH_ARG(CategoryPrototypeBankOptions, bank);

  /// q or r (default kQuery, ours).
  TORCH_ARG(PrototypeLevel, prototype_level) = PrototypeLevel::kQuery;
};

/// TRM-ML: text-region matching for multi-label recognition with missing labels (Ma et
/// al., ACM MM 2024). Wires the modules:
///
///   PromptLearner -> text encoder -> text features [P, C, D]
///   region features [B, R, D], text features -> RegionMatcher -> TrmMlOutput
///
/// and keeps the CategoryPrototypeBank that the loss and the pseudo-labels read. The
/// parts are [S] stated by the paper's abstract; how they are wired is ours (see
/// docs/method.md). The loss is `TrmMlLoss`; the model does not know it.
///
/// Shapes: see `TrmMlOutput`; `images.global` is not used. Gradients reach the
/// parameters of prompts and matcher. `forward` changes no state and draws no random
/// numbers (but for dropout, if asked for). Throws `c10::ValueError` for wrong shapes,
/// NaN features, and options of the parts that contradict each other.
/// ```
/// TrmMl model(TrmMlOptions(n_cls, ctx_dim, embed_dim), names, encode_text,
/// frozen_text); TrmMlOutput output = model->forward(features);
/// ```
class TrmMlImpl : public torch::nn::Cloneable<TrmMlImpl>, public Method {
 public:
  /// `frozen_text` [C, D]: text features of "a photo of a {name}.", where the category
  /// queries start; may be undefined with `QueryInit::kRandom`.
  TrmMlImpl(
      const TrmMlOptions& options_,
      ClassnameEmbeddings embeddings,
      TextEncoder encode_text,
      const at::Tensor& frozen_text = {})
      : options(options_),
        embeddings_(std::move(embeddings)),
        encode_text_(std::move(encode_text)) {
    const auto n_cls = options.matcher().n_cls();
    TORCH_CHECK_VALUE(
        options.prompts().n_cls() == n_cls && options.bank().n_cls() == n_cls &&
            options.bank().embed_dim() == options.matcher().embed_dim(),
        "TrmMl: expected parts of the same n_cls and embed_dim, got n_cls ",
        options.prompts().n_cls(),
        ", ",
        n_cls,
        " and ",
        options.bank().n_cls(),
        ", embed_dim ",
        options.matcher().embed_dim(),
        " and ",
        options.bank().embed_dim());
    TORCH_CHECK_VALUE(
        options.prompts().n_prompts() == 1 || options.prompts().n_prompts() == 2,
        "TrmMl: expected 1 or 2 prompts a category, got ",
        options.prompts().n_prompts());
    reset();
    if (options.matcher().query_init() == QueryInit::kText) {
      matcher->set_queries(frozen_text);
    }
  }

  void reset() override {
    prompt_learner = register_module(
        "prompt_learner", PromptLearner(options.prompts(), embeddings_));
    matcher = register_module("matcher", RegionMatcher(options.matcher()));
    bank = register_module("bank", CategoryPrototypeBank(options.bank()));
  }

  void pretty_print(std::ostream& stream) const override { stream << "trmml::TrmMl"; }

  torch::nn::Module& as_module() override { return *this; }

  at::Tensor text_features() override {
    return functional::l2_normalise(encode_text_(prompt_learner->forward()));
  }

  TrmMlOutput forward(
      const clip::ImageFeatures& images,
      const at::Tensor& text_features = {}) override {
    const at::Tensor text =
        text_features.defined() ? text_features : this->text_features();
    const RegionMatch match = matcher->forward(images.regions, text);
    return {
        match.saliency,
        match.region_features,
        match.query_features,
        match.region_logits,
        match.query_logits,
        text};
  }

  std::vector<ParameterGroup> parameter_groups() override {
    ParameterGroup prompts{"prompts", {prompt_learner->ctx, matcher->logit_scale}};
    ParameterGroup others{"matcher", {}};
    for (const auto& item : matcher->named_parameters()) {
      if (item.key() == "logit_scale") {
        continue;
      }
      // The bias per category belongs to the form with one prompt.
      if (item.key() == "category_bias" && options.prompts().n_prompts() == 2) {
        continue;
      }
      others.parameters.push_back(item.value());
    }
    return {prompts, others};
  }

  CategoryPrototypeBankImpl* prototypes() override { return bank.get(); }

  at::Tensor prototype_features(const TrmMlOutput& output) override {
    return options.prototype_level() == PrototypeLevel::kQuery ? output.query_features
                                                               : output.region_features;
  }

  /// The options this module was built with.
  TrmMlOptions options;

  PromptLearner prompt_learner{nullptr};
  RegionMatcher matcher{nullptr};
  CategoryPrototypeBank bank{nullptr};

 private:
  ClassnameEmbeddings embeddings_;
  TextEncoder encode_text_;
};

TORCH_MODULE(TrmMl);

}  // namespace trmml
