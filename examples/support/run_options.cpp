#include "support/run_options.hpp"

#include <fmt/format.h>

#include <map>
#include <stdexcept>
#include <vector>

#include "support/method_settings.hpp"
#include "support/program.hpp"

namespace experiment {
namespace {

template <typename Value>
std::string names_of(const std::map<std::string, Value>& values) {
  std::string names;
  for (const auto& [name, value] : values) {
    names += (names.empty() ? "" : ", ") + name;
  }
  return names;
}

// An option that is one of several words; `usual`, unless empty, is the one that is
// meant when it is not given.
template <typename Value, typename Set>
void add_choice(
    CLI::App& app,
    const std::string& flag,
    const std::map<std::string, Value>& values,
    const std::string& usual,
    const std::string& description,
    Set set) {
  app.add_option_function<std::string>(
         flag,
         [values, set](const std::string& word) { set(values.at(word)); },
         fmt::format("{}: {}", description, names_of(values)))
      ->default_str(usual)
      ->check([values, flag](const std::string& word) -> std::string {
        return values.count(word) > 0
                   ? ""
                   : fmt::format("expected one of {}, got {}", names_of(values), word);
      });
}

// An option that is handed on, with the value that is meant when it is not given.
template <typename Value, typename Set>
CLI::Option* add_value(
    CLI::App& app,
    const std::string& flag,
    const Value& usual,
    const std::string& description,
    Set set) {
  return app
      .add_option_function<Value>(
          flag, [set](const Value& value) { set(value); }, description)
      ->default_str(fmt::format("{}", usual));
}

CLI::Validator above_zero() {
  return program::expects("a number above 0", [](double value) { return value > 0; });
}

CLI::Validator share() {
  return program::expects(
      "a number in [0, 1]", [](double value) { return value >= 0 && value <= 1; });
}

void add_training_options(CLI::App& app, RunOptions& options) {
  const Defaults& defaults = options.defaults;
  auto& trainer = options.trainer;
  const auto at_least = program::at_least;
  app.add_option("--epochs", options.epochs, "Passes over the training pictures")
      ->default_str(fmt::format("{}", defaults.epochs))
      ->check(at_least(1));
  add_value(
      app,
      "--batch-size",
      trainer.batch_size(),
      "Pictures a step",
      [&trainer](int64_t v) { trainer.batch_size(v); })
      ->check(at_least(1));
  add_value(
      app,
      "--accumulate",
      trainer.accumulate(),
      "Parts of a step that are in memory one after the other",
      [&trainer](int64_t v) { trainer.accumulate(v); })
      ->check(at_least(1));
  app.add_option(
         "--prompt-learning-rate",
         options.prompt_learning_rate,
         fmt::format(
             "Not set: {}, text-image and text-pixel {}",
             defaults.prompt_learning_rate,
             defaults.text_learning_rate))
      ->check(at_least(0));
  add_value(
      app,
      "--matcher-learning-rate",
      trainer.matcher_learning_rate(),
      "Of queries, attention and MLP",
      [&trainer](double v) { trainer.matcher_learning_rate(v); })
      ->check(at_least(0));
  add_value(
      app,
      "--weight-decay",
      trainer.weight_decay(),
      "Of the same",
      [&trainer](double v) { trainer.weight_decay(v); })
      ->check(at_least(0));
  add_value(
      app,
      "--ema-memory",
      trainer.ema_memory(),
      "What an epoch leaves of the average of the weights",
      [&trainer](double v) { trainer.ema_memory(v); })
      ->check(program::expects(
          "a number in (0, 1)", [](double value) { return value > 0 && value < 1; }));
  add_value(
      app,
      "--patience",
      trainer.patience(),
      "Epochs without gain before stopping; 0: never",
      [&trainer](int64_t v) { trainer.patience(v); })
      ->check(at_least(0));
  add_value(
      app,
      "--checkpoint-every",
      trainer.checkpoint_every(),
      "Steps between states; 0: at each epoch's end",
      [&trainer](int64_t v) { trainer.checkpoint_every(v); })
      ->check(at_least(0));
  app.add_option(
         "--training-precision",
         options.training_precision,
         "Of a step of the training: fp32; bf16 (autocast); auto: bf16 where it is "
         "faster")
      ->check(CLI::IsMember({"fp32", "bf16", "auto"}));
  app.add_flag(
      "--score-test-every-epoch",
      options.score_test_every_epoch,
      "Print what choosing the epoch on test would show, too");
  app.add_flag_callback(
      "--resume", [&trainer] { trainer.resume(true); }, "Continue the run in --out");
}

void add_prompt_options(CLI::App& app, RunOptions& options) {
  const Defaults& defaults = options.defaults;
  app.add_option(
         "--n-ctx",
         options.n_ctx,
         fmt::format(
             "Context tokens of a prompt; not set: {}, text-pixel {}",
             defaults.n_ctx,
             defaults.text_n_ctx))
      ->check(program::at_least(0));
  app.add_option("--class-specific", options.class_specific, "A context a category");
  add_choice<trmml::ClassPosition>(
      app,
      "--class-position",
      {{"end", trmml::ClassPosition::kEnd}, {"middle", trmml::ClassPosition::kMiddle}},
      "end",
      "Place of the class name",
      [&options](auto v) { options.class_position = v; });
  app.add_option("--logit-scale", options.logit_scale, "Initial scale of the logits")
      ->check(above_zero());
  app.add_option("--sharpness", options.sharpness, "text-pixel: weights over the cells")
      ->check(above_zero());
}

void add_matcher_options(CLI::App& app, RunOptions& options) {
  using trmml::Score;
  app.add_option("--heads", options.heads, "Attention heads")
      ->check(program::at_least(1));
  app.add_option("--layers", options.layers, "Decoder layers; 0: the one block")
      ->check(program::at_least(0));
  app.add_option(
         "--attn-dim",
         options.attn_dim,
         "Inner width of the attention; not set: that of the features")
      ->check(program::at_least(1));
  app.add_option(
         "--mlp-hidden",
         options.mlp_hidden,
         "Hidden width of the MLP; not set: twice that of the features")
      ->check(program::at_least(1));
  app.add_option("--dropout", options.dropout, "Of hidden activations, in [0, 1)")
      ->check(CLI::Range(0.0, 0.99));
  app.add_option(
      "--query-residual", options.query_residual, "Adds the region feature to q");
  add_choice<trmml::QueryInit>(
      app,
      "--query-init",
      {{"text", trmml::QueryInit::kText}, {"random", trmml::QueryInit::kRandom}},
      "text",
      "Where the category queries start",
      [&options](auto v) { options.query_init = v; });
  add_choice<trmml::AttentionInit>(
      app,
      "--attention-init",
      {{"random", trmml::AttentionInit::kRandom},
       {"identity", trmml::AttentionInit::kIdentity}},
      "random",
      "Where the attention's projections start",
      [&options](auto v) { options.attention_init = v; });
  add_choice<Score>(
      app,
      "--score",
      {{"mean", Score::kMean}, {"region", Score::kRegion}, {"query", Score::kQuery}},
      "mean",
      "Logits at test",
      [&options](auto v) { options.score = v; });
}

void add_loss_options(CLI::App& app, RunOptions& options) {
  using trmml::Distillation;
  using trmml::PrototypeLevel;
  using trmml::UnknownLabels;
  auto& loss = options.loss;
  add_choice<Distillation>(
      app,
      "--distillation",
      {{"kl", Distillation::kKl}, {"cosine", Distillation::kCosine}},
      "kl",
      "Form of the distillation",
      [&loss](auto v) { loss.distillation(v); });
  add_value(
      app,
      "--distillation-weight",
      loss.distillation_weight(),
      "Of the distillation in the loss",
      [&loss](double v) { loss.distillation_weight(v); })
      ->check(program::at_least(0));
  add_value(
      app,
      "--contrastive-weight",
      loss.contrastive_weight(),
      "Of the contrastive terms in the loss",
      [&loss](double v) { loss.contrastive_weight(v); })
      ->check(program::at_least(0));
  add_choice<UnknownLabels>(
      app,
      "--unknown-labels",
      {{"ignored", UnknownLabels::kIgnored},
       {"assume-absent", UnknownLabels::kAssumeAbsent},
       {"splc", UnknownLabels::kSplc}},
      "",
      "What an unknown label counts as (not set: ignored; where no absence is known: "
      "assume-absent)",
      [&loss](auto v) { loss.unknown_labels(v); });
  app.add_option(
         "--absent-weight",
         options.absent_weight,
         "assume-absent: weight (not set: 0.3; text 1)")
      ->check(program::at_least(0));
  app.add_option(
         "--prototype-momentum", options.prototype_momentum, "Of the visual prototypes")
      ->check(program::expects(
          "a number in [0, 1)", [](double value) { return value >= 0 && value < 1; }));
  add_choice<PrototypeLevel>(
      app,
      "--prototype-level",
      {{"query", PrototypeLevel::kQuery}, {"region", PrototypeLevel::kRegion}},
      "query",
      "Features that they are made of",
      [&options](auto v) { options.prototype_level = v; });
}

void add_pseudo_label_options(CLI::App& app, RunOptions& options) {
  using trmml::PseudoLabelPolicy;
  const Defaults& defaults = options.defaults;
  auto& trainer = options.trainer;
  app.add_option(
         "--pseudo-weight", options.pseudo_weight, "Not set: by the known positives")
      ->check(program::at_least(0));
  add_choice<PseudoLabelPolicy>(
      app,
      "--policy",
      {{"relations", PseudoLabelPolicy::kRelations},
       {"relations-soft", PseudoLabelPolicy::kRelationsSoft}},
      "",
      "Of the pseudo-labels (not set: relations; salient: relations-soft)",
      [&options](auto v) { options.policy = v; });
  app.add_option(
         "--positive-share", options.positive_share, "Of the expected positives")
      ->check(share());
  app.add_option("--negative-share", options.negative_share, "Of the expected absences")
      ->check(share());
  app.add_option(
         "--positives-per-image",
         options.positives_per_image,
         "Expected positives a picture, where no absence is known")
      ->default_str(
          defaults.positives_per_image
              ? fmt::format("{}", *defaults.positives_per_image)
              : std::string())
      ->check(above_zero());
  app.add_option(
         "--pseudo-from-epoch",
         options.pseudo_from_epoch,
         "First epoch with pseudo-labels; not set: a tenth of --epochs, single "
         "positives: 8 of 15")
      ->check(program::at_least(0));
  const auto add_piece =
      [&](const char* flag, double usual, const char* text, auto set) {
        add_value(app, flag, usual, text, [&trainer, set](double weight) {
          auto evidence = trainer.evidence();
          set(evidence, weight);
          trainer.evidence(evidence);
        })->check(program::at_least(0));
      };
  add_piece(
      "--evidence-visual",
      trainer.evidence().visual(),
      "Weight of the visual prototypes as evidence; 0: left out",
      [](auto& e, double weight) { e.visual(weight); });
  add_piece(
      "--evidence-text",
      trainer.evidence().text(),
      "Weight of the text prototypes as evidence",
      [](auto& e, double weight) { e.text(weight); });
  add_piece(
      "--evidence-zero-shot",
      trainer.evidence().zero_shot(),
      "Weight of the zero-shot score as evidence",
      [](auto& e, double weight) { e.zero_shot(weight); });
}

}  // namespace

RunOptions::RunOptions(const Defaults& d) : defaults(d) {
  trainer.batch_size(d.batch_size)
      .matcher_learning_rate(d.matcher_learning_rate)
      .weight_decay(d.weight_decay)
      .evidence(trmml::EvidenceOptions().visual(d.evidence_visual));
  class_specific = d.class_specific;
  logit_scale = d.logit_scale;
  loss.distillation_weight(d.distillation_weight);
  protocol.options.known_label_proportion = d.known_label_proportion;
}

void add_options(CLI::App& app, RunOptions& options, bool all_protocols) {
  add_protocol(app, options.protocol, all_protocols);
  app.add_option("--method", options.method, "Name as in the table of quickstart");
  app.add_option("--seed", options.seed, "Of the mask, the initial weights, the order")
      ->check(program::at_least(0));
  add_training_options(app, options);
  add_prompt_options(app, options);
  add_matcher_options(app, options);
  add_loss_options(app, options);
  add_pseudo_label_options(app, options);
}

bool is_defined(const std::string& method, const Protocol& protocol) {
  return !(method == "linear" && protocol.hides_absences());
}

trmml::MethodSwitches switches_of(const RunOptions& options) {
  try {
    return trmml::method_switches(options.method);
  } catch (const std::invalid_argument& error) {
    throw program::UsageError(std::string("--method: ") + error.what());
  }
}

bool positives_only(const RunOptions& options) {
  const Protocol& protocol = options.protocol;
  return protocol.hides_absences() ||
         (options.positives_per_image &&
          (!protocol.mask.empty() || protocol.hides_nothing()));
}

trmml::UnknownLabels unknown_labels(const RunOptions& options) {
  using trmml::UnknownLabels;
  const UnknownLabels chosen = options.loss.unknown_labels();
  return positives_only(options) && chosen == UnknownLabels::kIgnored
             ? UnknownLabels::kAssumeAbsent
             : chosen;
}

namespace {

using Kind = trmml::MethodSwitches::Kind;

std::string method_with(const RunOptions& options, const std::string& part) {
  return fmt::format("a method with {}, got {}", part, options.method);
}

bool contrasts(const RunOptions& options, const trmml::MethodSwitches& s) {
  return s.contrastive && options.loss.contrastive_weight() > 0;
}

// Options of the training and of the model.
void check_method(
    const CLI::App& app,
    const RunOptions& options,
    const trmml::MethodSwitches& s) {
  using program::expect_effect;
  expect_effect(
      app,
      s.has_prompts(),
      {"--epochs",
       "--accumulate",
       "--prompt-learning-rate",
       "--ema-memory",
       "--patience",
       "--checkpoint-every",
       "--score-test-every-epoch",
       "--n-ctx",
       "--class-specific",
       "--class-position",
       "--logit-scale",
       "--unknown-labels",
       "--training-precision"},
      method_with(options, "prompts"));
  expect_effect(
      app,
      s.has_prompts() || program::is_given(app, "--limit-batches"),
      {"--batch-size"},
      method_with(options, "prompts"));
  expect_effect(
      app,
      options.n_ctx.value_or(1) > 0,
      {"--class-specific", "--class-position"},
      "--n-ctx above 0");
  expect_effect(
      app,
      s.kind == Kind::kTextPixel,
      {"--sharpness"},
      method_with(options, "text-pixel prompts"));
  expect_effect(
      app,
      s.kind == Kind::kRegion,
      {"--matcher-learning-rate",
       "--weight-decay",
       "--heads",
       "--layers",
       "--attn-dim",
       "--mlp-hidden",
       "--dropout",
       "--query-residual",
       "--query-init",
       "--attention-init",
       "--score"},
      method_with(options, "regions"));
}

// Options of the loss.
void check_loss(
    const CLI::App& app,
    const RunOptions& options,
    const trmml::MethodSwitches& s) {
  using program::expect_effect;
  expect_effect(
      app,
      s.distillation,
      {"--distillation", "--distillation-weight"},
      method_with(options, "distillation"));
  expect_effect(
      app,
      options.loss.distillation_weight() > 0,
      {"--distillation"},
      "a --distillation-weight above 0");
  expect_effect(
      app,
      s.contrastive,
      {"--contrastive-weight"},
      method_with(options, "a contrastive loss"));
  const bool labels_by_them =
      s.pseudo_labels && options.trainer.evidence().visual() > 0;
  expect_effect(
      app,
      s.kind == Kind::kRegion && (s.contrastive || s.pseudo_labels),
      {"--prototype-momentum", "--prototype-level"},
      method_with(options, "prototypes"));
  expect_effect(
      app,
      contrasts(options, s) || labels_by_them,
      {"--prototype-momentum", "--prototype-level"},
      "a --contrastive-weight or an --evidence-visual above 0");
  expect_effect(
      app,
      s.has_prompts() && unknown_labels(options) == trmml::UnknownLabels::kAssumeAbsent,
      {"--absent-weight"},
      s.has_prompts() ? "--single-positive, --positives-left or --unknown-labels "
                        "assume-absent"
                      : method_with(options, "prompts"));
}

// Options of the pseudo-labels.
void check_pseudo_labels(
    const CLI::App& app,
    const RunOptions& options,
    const trmml::MethodSwitches& s) {
  using program::expect_effect;
  using trmml::UnknownLabels;
  const std::vector<std::string> flags = {
      "--policy",
      "--pseudo-weight",
      "--positive-share",
      "--negative-share",
      "--pseudo-from-epoch",
      "--evidence-visual",
      "--evidence-text",
      "--evidence-zero-shot"};
  expect_effect(app, s.pseudo_labels, flags, method_with(options, "pseudo-labels"));
  expect_effect(
      app,
      s.kind == Kind::kRegion,
      {"--evidence-visual", "--evidence-text", "--evidence-zero-shot"},
      method_with(options, "pseudo-labels from regions"));
  expect_effect(
      app,
      unknown_labels(options) != UnknownLabels::kSplc || contrasts(options, s),
      flags,
      "another --unknown-labels than splc, or a contrastive loss");
  // Hard pseudo-labels give way to soft targets and to SPLC's loss, but for positives:
  // these are anchors of the contrastive loss, too.
  const bool is_splc = unknown_labels(options) == UnknownLabels::kSplc;
  const bool is_soft = policy_of(options) == trmml::PseudoLabelPolicy::kRelationsSoft;
  expect_effect(
      app,
      !is_splc,
      {"--policy", "--negative-share"},
      "another --unknown-labels than splc");
  expect_effect(app, !is_soft, {"--negative-share"}, "--policy relations");
  expect_effect(
      app,
      !is_soft || contrasts(options, s),
      {"--positive-share"},
      "--policy relations, or a contrastive loss");
  expect_effect(
      app,
      unknown_labels(options) == UnknownLabels::kIgnored,
      {"--pseudo-weight"},
      "unknown labels that are ignored, got ones that are assumed to be absent");
  expect_effect(
      app,
      positives_only(options),
      {"--positives-per-image"},
      "--single-positive, --positives-left, --mask or all labels of a file");
  expect_effect(
      app,
      s.pseudo_labels,
      {"--positives-per-image"},
      method_with(options, "pseudo-labels"));
  const trmml::EvidenceOptions& evidence = options.trainer.evidence();
  if (s.pseudo_labels && s.kind == Kind::kRegion && evidence.visual() == 0 &&
      evidence.text() == 0 && evidence.zero_shot() == 0) {
    throw program::UsageError(
        "--evidence-visual, --evidence-text, --evidence-zero-shot: expected one above "
        "0, got none (pseudo-labels are estimated from it)");
  }
  if (s.pseudo_labels && s.kind == Kind::kRegion && first_pseudo_epoch(options) == 0 &&
      evidence.text() == 0 && evidence.zero_shot() == 0) {
    throw program::UsageError(
        "--evidence-text, --evidence-zero-shot: expected one above 0 with "
        "pseudo-labels from epoch 0, got none (there are no visual prototypes before "
        "it)");
  }
  const int64_t epochs = options.epochs.value_or(options.defaults.epochs);
  if (s.pseudo_labels && options.pseudo_from_epoch.value_or(0) >= epochs) {
    throw program::UsageError(fmt::format(
        "--pseudo-from-epoch: expected an epoch below --epochs {}, as they count from "
        "0, got {}",
        epochs,
        *options.pseudo_from_epoch));
  }
  if (s.pseudo_labels && positives_only(options) && !options.positives_per_image &&
      !options.defaults.positives_per_image) {
    throw program::UsageError(
        "--positives-per-image: expected the number of positives of a picture to "
        "expect, which this data set has no default for (or choose a method without "
        "pseudo-labels)");
  }
}

}  // namespace

void check(const CLI::App& app, const RunOptions& options) {
  const trmml::MethodSwitches s = switches_of(options);
  if (!is_defined(options.method, options.protocol)) {
    throw program::UsageError(
        "--method linear: expected known absences, got positives alone (use "
        "linear-assume-negative)");
  }
  check_method(app, options, s);
  check_loss(app, options, s);
  check_pseudo_labels(app, options, s);
  if (positives_only(options) &&
      options.loss.unknown_labels() == trmml::UnknownLabels::kIgnored &&
      program::is_given(app, "--unknown-labels")) {
    throw program::UsageError(
        "--unknown-labels: expected assume-absent or splc where no absence is known, "
        "got ignored");
  }
}

}  // namespace experiment
