#include "support/method_settings.hpp"

#include "trmml/core/device.hpp"
#include "trmml/functional/pseudo_label.hpp"
#include "trmml/method/baselines.hpp"
#include "trmml/method/trm_ml.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace experiment {
namespace {

using Kind = trmml::MethodSwitches::Kind;

double mean_known_positives(const at::Tensor& observed) {
  return observed.gt(0).sum().item<double>() / static_cast<double>(observed.size(1));
}

// Text-pixel prompts with so few known positives a category, and nothing that stands in
// for the hidden ones, learn less when they have more to learn (held-out scenes, 1 %).
bool may_be_starved(const RunOptions& options, const trmml::MethodSwitches& switches) {
  return options.defaults.spares_starved && switches.kind == Kind::kTextPixel &&
         !switches.pseudo_labels && !positives_only(options);
}

bool is_starved(
    const RunOptions& options,
    const trmml::MethodSwitches& switches,
    const at::Tensor& observed) {
  return may_be_starved(options, switches) && mean_known_positives(observed) < 10;
}

// ---------------------------------------------------------------- what is usual

int64_t usual_context_length(
    const RunOptions& options,
    const trmml::MethodSwitches& switches) {
  return switches.kind == Kind::kTextPixel ? options.defaults.text_n_ctx
                                           : options.defaults.n_ctx;
}

// Text-pixel and text-image were tuned on their own, so that the comparison is fair.
double usual_prompt_learning_rate(
    const RunOptions& options,
    const trmml::MethodSwitches& switches) {
  return switches.kind == Kind::kRegion ? options.defaults.prompt_learning_rate
                                        : options.defaults.text_learning_rate;
}

double usual_absent_weight(const trmml::MethodSwitches& switches) {
  return switches.kind == Kind::kRegion ? 0.3 : 1.0;
}

trmml::PseudoLabelPolicy usual_policy(const Protocol& protocol) {
  return protocol.is_salient() ? trmml::PseudoLabelPolicy::kRelationsSoft
                               : trmml::PseudoLabelPolicy::kRelations;
}

double usual_positive_share(const RunOptions& options) {
  const bool is_drawn = positives_only(options) && !options.protocol.is_salient();
  return is_drawn ? 0.3 : options.defaults.share;
}

double usual_negative_share(const RunOptions& options) {
  return positives_only(options) ? 0.0 : options.defaults.share;
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

trmml::PseudoLabelPolicy policy_of(const RunOptions& options) {
  return options.policy.value_or(usual_policy(options.protocol));
}

int64_t first_pseudo_epoch(const RunOptions& options) {
  const int64_t epochs = options.epochs.value_or(options.defaults.epochs);
  const int64_t usual = positives_only(options)
                            ? epochs * 8 / 15
                            : std::min(epochs - 1, std::max<int64_t>(1, epochs / 10));
  return options.pseudo_from_epoch.value_or(usual);
}

int64_t context_length(
    const RunOptions& options,
    const trmml::MethodSwitches& switches,
    const at::Tensor& observed) {
  return options.n_ctx.value_or(
      is_starved(options, switches, observed)
          ? options.defaults.n_ctx
          : usual_context_length(options, switches));
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

trmml::training::TrainerOptions trainer_options(
    const RunOptions& options,
    const trmml::MethodSwitches& switches,
    const at::Tensor& observed,
    at::Device device) {
  trmml::training::TrainerOptions trainer = options.trainer;
  trainer.bfloat16(
      options.training_precision == "bf16" ||
      (options.training_precision == "auto" && bfloat16_is_faster(device)));
  trainer.score(options.score);
  trainer.seed(options.seed).epochs(options.epochs.value_or(options.defaults.epochs));
  trainer.prompt_learning_rate(options.prompt_learning_rate.value_or(
      is_starved(options, switches, observed)
          ? 3e-3
          : usual_prompt_learning_rate(options, switches)));
  trainer.pseudo_from_epoch(first_pseudo_epoch(options));
  return trainer;
}

trmml::TrmMlLossOptions loss_options(
    const RunOptions& options,
    const trmml::MethodSwitches& switches,
    const at::Tensor& observed) {
  trmml::TrmMlLossOptions loss = options.loss;
  loss.unknown_labels(unknown_labels(options));
  loss.absent_weight(options.absent_weight.value_or(usual_absent_weight(switches)));
  const double reference =
      positives_only(options) ? 25.0 : options.defaults.pseudo_reference;
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
  if (!switches.pseudo_labels) {
    return std::nullopt;
  }
  const bool is_salient = options.protocol.is_salient();
  trmml::PseudoLabelerOptions labeler;
  labeler.policy(policy_of(options));
  labeler.positive_share(
      options.positive_share.value_or(usual_positive_share(options)));
  labeler.negative_share(
      options.negative_share.value_or(usual_negative_share(options)));
  if (positives_only(options)) {
    labeler.prior(is_salient ? PositivePrior::kUniform : PositivePrior::kProportional)
        .positives_per_image(
            options.positives_per_image ? *options.positives_per_image
                                        : options.defaults.positives_per_image.value());
  }
  return labeler;
}

std::vector<std::pair<std::string, std::string>> settings_by_method(
    const RunOptions& options) {
  const trmml::MethodSwitches switches = trmml::method_switches(options.method);
  std::vector<std::pair<std::string, std::string>> settings;
  const auto add = [&settings](const char* flag, const auto& value) {
    settings.emplace_back(flag, fmt::format("{}", value));
  };
  if (options.protocol.known_label_proportion()) {
    add("--known-label-proportion", options.defaults.known_label_proportion);
  }
  if (!may_be_starved(options, switches)) {
    add("--n-ctx", usual_context_length(options, switches));
    add("--prompt-learning-rate", usual_prompt_learning_rate(options, switches));
  }
  add("--unknown-labels", positives_only(options) ? "assume-absent" : "ignored");
  add("--absent-weight", usual_absent_weight(switches));
  add("--policy", trmml::to_string(usual_policy(options.protocol)));
  add("--positive-share", usual_positive_share(options));
  add("--negative-share", usual_negative_share(options));
  return settings;
}

std::vector<std::pair<std::string, double>> settings_by_data(
    const RunOptions& options,
    const trmml::MethodSwitches& switches,
    const at::Tensor& observed,
    int64_t width) {
  std::vector<std::pair<std::string, double>> settings;
  const auto add = [&settings](const char* name, const auto& given, auto value) {
    if (!given) {
      settings.emplace_back(name, static_cast<double>(value));
    }
  };
  if (const auto seed = options.protocol.seed_of_mask(options.seed)) {
    add("mask-seed", options.protocol.mask_seed, *seed);
  }
  if (!switches.has_prompts()) {
    return settings;
  }
  const auto trainer = trainer_options(options, switches, observed, at::kCPU);
  if (may_be_starved(options, switches)) {
    add("n-ctx", options.n_ctx, context_length(options, switches, observed));
    add("prompt-learning-rate",
        options.prompt_learning_rate,
        trainer.prompt_learning_rate());
  }
  if (switches.kind == Kind::kRegion) {
    add("attn-dim", options.attn_dim, width);
    add("mlp-hidden", options.mlp_hidden, 2 * width);
  }
  if (switches.pseudo_labels) {
    const auto loss = loss_options(options, switches, observed);
    add("pseudo-from-epoch", options.pseudo_from_epoch, trainer.pseudo_from_epoch());
    if (loss.unknown_labels() == trmml::UnknownLabels::kIgnored) {
      add("pseudo-weight", options.pseudo_weight, loss.pseudo_weight());
    }
  }
  return settings;
}

}  // namespace experiment
