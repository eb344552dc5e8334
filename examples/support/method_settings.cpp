#include "support/method_settings.hpp"

#include "trmml/core/device.hpp"
#include "trmml/functional/pseudo_label.hpp"
#include "trmml/method/baselines.hpp"
#include "trmml/method/trm_ml.hpp"

#include <algorithm>

namespace experiment {
namespace {

using Kind = trmml::MethodSwitches::Kind;

double mean_known_positives(const at::Tensor& observed) {
  return observed.gt(0).sum().item<double>() / static_cast<double>(observed.size(1));
}

// Text-pixel prompts with so few known positives a category, and nothing that stands in
// for the hidden ones, learn less when they have more to learn (held-out scenes, 1 %).
bool is_starved(
    const RunOptions& options,
    const trmml::MethodSwitches& switches,
    const at::Tensor& observed) {
  return options.defaults.spares_starved && switches.kind == Kind::kTextPixel &&
         !switches.pseudo_labels && !options.protocol.is_single() &&
         mean_known_positives(observed) < 10;
}

// On CPUs without it, bfloat16 works and is slow (docs/training.md, precision).
bool bfloat16_is_faster(at::Device device) {
  return device.is_cuda() || (device.is_cpu() && trmml::cpu_has_bf16());
}

}  // namespace

TextSide text_side(const World& world, int64_t n_ctx) {
  trmml::TokenizedClassnames tokens = world.classnames;
  if (static_cast<int64_t>(tokens.initial_words.size()) != n_ctx) {
    tokens.initial_words.clear();
  }
  trmml::clip::TextTransformer text = world.clip->text;
  return {
      trmml::embed_classnames(text, tokens),
      [text](const trmml::Prompts& p) mutable { return text->forward(p); },
      world.frozen_text};
}

int64_t context_length(
    const RunOptions& options,
    const trmml::MethodSwitches& switches,
    const at::Tensor& observed) {
  const bool is_long =
      switches.kind == Kind::kTextPixel && !is_starved(options, switches, observed);
  return options.n_ctx.value_or(
      is_long ? options.defaults.text_n_ctx : options.defaults.n_ctx);
}

std::shared_ptr<trmml::Method> build_method(
    const TextSide& text,
    const RunOptions& options,
    const trmml::MethodSwitches& switches,
    int64_t n_ctx) {
  const Kind kind = switches.kind;
  const auto placed = [&](auto method) {
    method->to(text.frozen_text.device());
    return method.ptr();
  };
  const int64_t n_cls = text.frozen_text.size(0);
  const int64_t embed_dim = text.frozen_text.size(1);
  const int64_t ctx_dim = text.names.prefix.size(1);
  const auto prompts = trmml::PromptLearnerOptions(n_cls, ctx_dim)
                           .n_ctx(n_ctx)
                           .class_specific(options.class_specific)
                           .class_position(options.class_position)
                           .negative_init_std(text.names.names.std().item<double>());
  if (kind != Kind::kRegion) {
    const auto matching = kind == Kind::kTextImage ? trmml::TextMatching::kImage
                                                   : trmml::TextMatching::kPixel;
    return placed(trmml::TextMatchingBaseline(
        trmml::TextMatchingOptions(matching)
            .logit_scale_init(options.logit_scale)
            .sharpness(options.sharpness),
        prompts,
        text.names,
        text.encode));
  }
  const auto matcher = trmml::RegionMatcherOptions(n_cls, embed_dim)
                           .heads(options.heads)
                           .layers(options.layers)
                           .attn_dim(options.attn_dim.value_or(embed_dim))
                           .mlp_hidden(options.mlp_hidden.value_or(2 * embed_dim))
                           .dropout(options.dropout)
                           .query_residual(options.query_residual)
                           .query_init(options.query_init)
                           .attention_init(options.attention_init)
                           .logit_scale_init(options.logit_scale);
  const auto bank = trmml::CategoryPrototypeBankOptions(n_cls, embed_dim)
                        .momentum(options.prototype_momentum);
  return placed(trmml::TrmMl(
      trmml::TrmMlOptions(prompts, matcher, bank)
          .prototype_level(options.prototype_level),
      text.names,
      text.encode,
      text.frozen_text));
}

// Text-pixel and text-image were tuned on their own, so that the comparison is fair.
trmml::training::TrainerOptions trainer_options(
    const RunOptions& options,
    const trmml::MethodSwitches& switches,
    const at::Tensor& observed,
    at::Device device) {
  trmml::training::TrainerOptions trainer = options.trainer;
  trainer.bfloat16(
      options.training_precision == "bf16" ||
      (options.training_precision == "auto" && bfloat16_is_faster(device)));
  const bool is_text = switches.kind != Kind::kRegion;
  trainer.score(options.score);
  trainer.seed(options.seed).epochs(options.epochs.value_or(options.defaults.epochs));
  trainer.prompt_learning_rate(options.prompt_learning_rate.value_or(
      is_starved(options, switches, observed) ? 3e-3
      : is_text                               ? options.defaults.text_learning_rate
                                              : options.defaults.prompt_learning_rate));
  const bool late = options.protocol.is_single();
  trainer.pseudo_from_epoch(options.pseudo_from_epoch.value_or(
      late ? trainer.epochs() * 8 / 15 : std::max<int64_t>(1, trainer.epochs() / 10)));
  return trainer;
}

trmml::TrmMlLossOptions loss_options(
    const RunOptions& options,
    const trmml::MethodSwitches& switches,
    const at::Tensor& observed) {
  trmml::TrmMlLossOptions loss = options.loss;
  const bool is_text = switches.kind != Kind::kRegion;
  loss.unknown_labels(unknown_labels(options));
  loss.absent_weight(options.absent_weight.value_or(is_text ? 1.0 : 0.3));
  const double reference =
      options.protocol.is_single() ? 25.0 : options.defaults.pseudo_reference;
  loss.pseudo_weight(options.pseudo_weight.value_or(
      trmml::functional::pseudo_label_weight(observed, reference)));
  if (!switches.distillation) {
    loss.distillation(trmml::Distillation::kNone);
  }
  if (!switches.contrastive) {
    loss.contrastive_weight(0.0);
  }
  return loss;
}

std::optional<trmml::PseudoLabelerOptions> pseudo_label_options(
    const RunOptions& options,
    const trmml::MethodSwitches& switches) {
  using trmml::PositivePrior;
  using trmml::PseudoLabelPolicy;
  if (!switches.pseudo_labels) {
    return std::nullopt;
  }
  const bool is_single = options.protocol.is_single();
  const bool is_salient = options.protocol.is_salient();
  trmml::PseudoLabelerOptions labeler;
  labeler.policy(options.policy.value_or(
      is_salient ? PseudoLabelPolicy::kRelationsSoft : PseudoLabelPolicy::kRelations));
  labeler.positive_share(options.positive_share.value_or(
      is_single && !is_salient ? 0.3 : options.defaults.share));
  labeler.negative_share(
      options.negative_share.value_or(is_single ? 0.0 : options.defaults.share));
  if (is_single) {
    labeler.prior(is_salient ? PositivePrior::kUniform : PositivePrior::kProportional)
        .positives_per_image(
            options.positives_per_image ? *options.positives_per_image
                                        : options.defaults.positives_per_image.value());
  }
  return labeler;
}

}  // namespace experiment
