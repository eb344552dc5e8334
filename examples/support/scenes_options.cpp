#include "support/scenes_options.hpp"

#include <fmt/format.h>

#include <map>

#include "support/program.hpp"

namespace scenes {
namespace {

template <typename Value>
std::string names_of(const std::map<std::string, Value>& values) {
  std::string names;
  for (const auto& [name, value] : values) {
    names += (names.empty() ? "" : ", ") + name;
  }
  return names;
}

// An option that is one of several words.
template <typename Value, typename Set>
void add_choice(
    CLI::App& app,
    const std::string& flag,
    const std::map<std::string, Value>& values,
    const std::string& description,
    Set set) {
  app.add_option_function<std::string>(
         flag,
         [values, set](const std::string& word) { set(values.at(word)); },
         fmt::format("{}: {}", description, names_of(values)))
      ->check([values, flag](const std::string& word) -> std::string {
        return values.count(word) > 0
                   ? ""
                   : fmt::format("expected one of {}, got {}", names_of(values), word);
      });
}

template <typename Value, typename Set>
CLI::Option* add_value(
    CLI::App& app,
    const std::string& flag,
    const std::string& description,
    Set set) {
  return app.add_option_function<Value>(
      flag, [set](const Value& value) { set(value); }, description);
}

}  // namespace

void add_paths(CLI::App& app, Paths& paths) {
  app.add_option(
      "--fashion-mnist", paths.fashion_mnist, "Folder of the four IDX files");
  app.add_option("--clip", paths.clip, "Weights of the small CLIP");
  app.add_option("--merges", paths.merges, "Its byte-pair merges");
}

void add_protocol(CLI::App& app, Protocol& protocol) {
  // Without a default value: else a written config.toml would hold both options.
  auto* proportion =
      app.add_option_function<double>(
             "--known-label-proportion",
             [&protocol](const double& value) { protocol.proportion = value; },
             "Share of the labels that training sees, in (0, 1] (0.1)")
          ->check(program::expects("a number in (0, 1]", [](double value) {
            return value > 0 && value <= 1;
          }));
  app.add_option_function<std::string>(
         "--single-positive",
         [&protocol](const std::string& word) {
           protocol.kind = word == "random" ? Protocol::Kind::kSingleRandom
                                            : Protocol::Kind::kSingleSalient;
         },
         "One known positive a picture: random, or salient (the most prominent item)")
      ->check(CLI::IsMember({"random", "salient"}))
      ->excludes(proportion);
}

void add_options(CLI::App& app, RunOptions& options) {
  using trmml::Distillation;
  using trmml::PseudoLabelPolicy;
  using trmml::Score;
  using trmml::UnknownLabels;
  add_protocol(app, options.protocol);
  app.add_option("--method", options.method, "Name as in the table of quickstart");
  app.add_option("--seed", options.seed, "Of the mask, the initial weights, the order");

  auto& trainer = options.trainer;
  app.add_option("--epochs", options.epochs, "Default: 30")
      ->check(program::at_least(1));
  add_value<int64_t>(app, "--batch-size", "Default: 128", [&trainer](int64_t v) {
    trainer.batch_size(v);
  })->check(program::at_least(1));
  app.add_option(
      "--prompt-learning-rate",
      options.prompt_learning_rate,
      "Default: 5e-3, text-image and text-pixel 1e-2");
  add_value<double>(
      app, "--matcher-learning-rate", "Default: 1e-3", [&trainer](double v) {
        trainer.matcher_learning_rate(v);
      });
  add_value<double>(app, "--weight-decay", "Default: 1e-3", [&trainer](double v) {
    trainer.weight_decay(v);
  });
  add_value<double>(
      app,
      "--ema-memory",
      "What an epoch leaves of the average: 0.82",
      [&trainer](double v) { trainer.ema_memory(v); });
  add_value<int64_t>(
      app,
      "--patience",
      "Epochs without gain before stopping: 8; 0: never",
      [&trainer](int64_t v) { trainer.patience(v); });
  add_value<int64_t>(
      app,
      "--checkpoint-every",
      "Steps between states: 0, at each epoch's end",
      [&trainer](int64_t v) { trainer.checkpoint_every(v); });
  app.add_flag_callback(
      "--resume", [&trainer] { trainer.resume(true); }, "Continue the run in --out");

  app.add_option(
      "--n-ctx", options.n_ctx, "Context tokens of a prompt: 4, text-pixel 16");
  app.add_option("--class-specific", options.class_specific, "A context a category");
  add_choice<trmml::ClassPosition>(
      app,
      "--class-position",
      {{"end", trmml::ClassPosition::kEnd}, {"middle", trmml::ClassPosition::kMiddle}},
      "Place of the class name (end)",
      [&options](auto v) { options.class_position = v; });
  app.add_option("--logit-scale", options.logit_scale, "Initial scale of the logits");
  app.add_option(
      "--sharpness", options.sharpness, "text-pixel: weights over the cells");
  app.add_option("--heads", options.heads, "Attention heads");
  app.add_option("--layers", options.layers, "Decoder layers; 0: the one block");
  app.add_option("--attn-dim", options.attn_dim, "Inner width of the attention");
  app.add_option("--mlp-hidden", options.mlp_hidden, "Hidden width of the MLP");
  app.add_option("--dropout", options.dropout, "Of hidden activations, in [0, 1)")
      ->check(CLI::Range(0.0, 0.99));
  app.add_option(
      "--query-residual", options.query_residual, "Adds the region feature to q");
  add_choice<trmml::QueryInit>(
      app,
      "--query-init",
      {{"text", trmml::QueryInit::kText}, {"random", trmml::QueryInit::kRandom}},
      "Where the category queries start (text)",
      [&options](auto v) { options.query_init = v; });
  add_choice<trmml::AttentionInit>(
      app,
      "--attention-init",
      {{"random", trmml::AttentionInit::kRandom},
       {"identity", trmml::AttentionInit::kIdentity}},
      "Where the attention's projections start (random)",
      [&options](auto v) { options.attention_init = v; });
  add_choice<Score>(
      app,
      "--score",
      {{"mean", Score::kMean}, {"region", Score::kRegion}, {"query", Score::kQuery}},
      "Logits at test (mean)",
      [&options](auto v) { options.score = v; });

  auto& loss = options.loss;
  add_choice<Distillation>(
      app,
      "--distillation",
      {{"kl", Distillation::kKl}, {"cosine", Distillation::kCosine}},
      "Form of the distillation (kl)",
      [&loss](auto v) { loss.distillation(v); });
  add_value<double>(app, "--distillation-weight", "Default: 0.25", [&loss](double v) {
    loss.distillation_weight(v);
  });
  add_value<double>(app, "--contrastive-weight", "Default: 0.1", [&loss](double v) {
    loss.contrastive_weight(v);
  });
  add_choice<UnknownLabels>(
      app,
      "--unknown-labels",
      {{"ignored", UnknownLabels::kIgnored},
       {"assume-absent", UnknownLabels::kAssumeAbsent},
       {"splc", UnknownLabels::kSplc}},
      "What an unknown label counts as (single positives: assume-absent)",
      [&loss](auto v) { loss.unknown_labels(v); });
  app.add_option(
      "--absent-weight", options.absent_weight, "assume-absent: weight (0.3; text 1)");
  app.add_option(
      "--prototype-momentum", options.prototype_momentum, "Of the visual prototypes");

  app.add_option(
      "--pseudo-weight", options.pseudo_weight, "Default: by the known positives");
  add_choice<PseudoLabelPolicy>(
      app,
      "--policy",
      {{"relations", PseudoLabelPolicy::kRelations},
       {"relations-soft", PseudoLabelPolicy::kRelationsSoft}},
      "Of the pseudo-labels (relations; salient: relations-soft)",
      [&options](auto v) { options.policy = v; });
  app.add_option(
      "--positive-share", options.positive_share, "Of the expected positives");
  app.add_option(
      "--negative-share", options.negative_share, "Of the expected absences");
  app.add_option(
      "--positives-per-image",
      options.positives_per_image,
      "Prior of single positives: expected positives a picture (4.6)");
  app.add_option(
      "--pseudo-from-epoch",
      options.pseudo_from_epoch,
      "First epoch with pseudo-labels");
  const auto add_piece = [&](const char* flag, const char* text, auto set) {
    app.add_option_function<double>(
           flag,
           [&options, &trainer, set](const double& weight) {
             auto evidence = trainer.evidence();
             set(evidence, weight);
             trainer.evidence(evidence);
             options.sets_evidence = true;
           },
           text)
        ->check(program::at_least(0.0));
  };
  add_piece(
      "--evidence-visual",
      "Weight of the visual prototypes as evidence; 0: left out",
      [](auto& e, double weight) { e.visual(weight); });
  add_piece(
      "--evidence-text",
      "Weight of the text prototypes as evidence",
      [](auto& e, double weight) { e.text(weight); });
  add_piece(
      "--evidence-zero-shot",
      "Weight of the zero-shot score as evidence",
      [](auto& e, double weight) { e.zero_shot(weight); });
}

void check(const RunOptions& options) {
  trmml::MethodSwitches switches;
  try {
    switches = trmml::method_switches(options.method);
  } catch (const std::invalid_argument& error) {
    throw program::UsageError(std::string("--method: ") + error.what());
  }
  if (!is_defined(options.method, options.protocol)) {
    throw program::UsageError(
        "--method linear: expected known absences, got single positives (use "
        "linear-assume-negative)");
  }
  const auto expect = [](bool holds, const char* flags, const std::string& what) {
    if (!holds) {
      throw program::UsageError(
          fmt::format("{}: expected {} (it would have no effect)", flags, what));
    }
  };
  using Kind = trmml::MethodSwitches::Kind;
  const bool is_trained =
      switches.kind != Kind::kZeroShot && switches.kind != Kind::kLinear;
  expect(
      is_trained || !(options.epochs || options.prompt_learning_rate),
      "--epochs, --prompt-learning-rate",
      "a method with prompts, got " + options.method);
  const bool sets_pseudo_labels = options.policy || options.pseudo_weight ||
                                  options.positive_share || options.negative_share ||
                                  options.pseudo_from_epoch || options.sets_evidence;
  expect(
      switches.pseudo_labels || !sets_pseudo_labels,
      "--policy, --pseudo-weight, --positive-share, --negative-share, "
      "--pseudo-from-epoch, --evidence-...",
      "a method with pseudo-labels, got " + options.method);
  expect(
      options.protocol.is_single() || !options.positives_per_image,
      "--positives-per-image",
      "--single-positive");
  const bool assumes_absent =
      options.protocol.is_single() ||
      options.loss.unknown_labels() == trmml::UnknownLabels::kAssumeAbsent;
  expect(
      assumes_absent || !options.absent_weight,
      "--absent-weight",
      "--single-positive or --unknown-labels assume-absent");
}

}  // namespace scenes
