#include "support/experiment.hpp"

#include "trmml/core/error.hpp"
#include "trmml/core/random.hpp"
#include "trmml/core/torch_version.hpp"
#include "trmml/core/version.hpp"
#include "trmml/data/label_table.hpp"
#include "trmml/evaluation/multilabel_metrics.hpp"
#include "trmml/evaluation/pseudo_label_quality.hpp"
#include "trmml/evaluation/thresholds.hpp"
#include "trmml/functional/pseudo_label.hpp"
#include "trmml/functional/similarity.hpp"
#include "trmml/method/linear_probe.hpp"
#include "trmml/training/trainer.hpp"

#include <ATen/ops/index_select.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/tensor.h>
#include <c10/core/GradMode.h>
#include <torch/utils.h>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/method_settings.hpp"
#include "support/program.hpp"
#include "support/run_log.hpp"

namespace experiment {
namespace {

using trmml::clip::ImageFeatures;
using trmml::functional::l2_normalise;
using Kind = trmml::MethodSwitches::Kind;

// ---------------------------------------------------------------- labels

// None where nothing is drawn.
std::optional<uint32_t> seed_of_mask(const World& world, const RunOptions& options) {
  return options.protocol.seed_of_mask(options.seed, world.salient != nullptr);
}

// What stays known [N, C] of the labels of all training pictures.
at::Tensor mask_of(const World& world, const RunOptions& options) {
  if (!options.protocol.is_salient() || !world.salient) {
    return options.protocol.hide(world.all_train, options.seed);
  }
  trmml::data::Split drawn = world.all_train;
  drawn.salient = world.salient(seed_of_mask(world, options).value());
  return options.protocol.hide(drawn, options.seed);
}

// Of those the pictures that are trained on [n, C].
at::Tensor observed_of(const World& world, const at::Tensor& mask) {
  return mask.index_select(0, at::tensor(world.train_rows));
}

void check_known(
    const World& world,
    const RunOptions& options,
    const at::Tensor& observed) {
  const trmml::MethodSwitches switches = trmml::method_switches(options.method);
  const trmml::data::LabelCounts counts = trmml::data::count_labels(observed);
  if (switches.kind != Kind::kZeroShot && counts.known == 0) {
    throw trmml::DataError(fmt::format(
        "{}: expected known labels to train on, got none in {} training pictures ({})",
        world.all_train.name,
        observed.size(0),
        options.protocol.description()));
  }
  const auto labeler = pseudo_label_options(options, switches);
  const auto training = trainer_options(options, switches, observed, at::kCPU);
  if (labeler && labeler->prior() == trmml::PositivePrior::kKnownLabels &&
      training.pseudo_from_epoch() < training.epochs() && counts.absent == 0) {
    throw trmml::DataError(fmt::format(
        "{}: expected known absences, which pseudo-labels are counted by, got {} "
        "present and 0 absent ({}; say with --positives-per-image how many positives a "
        "picture has, or choose a method without pseudo-labels)",
        world.all_train.name,
        counts.present,
        options.protocol.description()));
  }
}

std::string labels_line(const at::Tensor& observed) {
  const trmml::data::LabelCounts counts = trmml::data::count_labels(observed);
  return fmt::format(
      "training pictures: {}; of {} labels {} known, {} present and {} absent",
      observed.size(0),
      observed.numel(),
      counts.known,
      counts.present,
      counts.absent);
}

// "not given: mask-seed 0, pseudo-weight 0.4".
std::string settings_line(const std::vector<std::pair<std::string, double>>& settings) {
  std::string line;
  for (const auto& [name, value] : settings) {
    line +=
        fmt::format("{}{} {:.10g}", line.empty() ? "not given: " : ", ", name, value);
  }
  return line;
}

// ---------------------------------------------------------------- methods

void check_prompt_lengths(const World& world, int64_t n_ctx) {
  const trmml::TokenizedClassnames& tokens = world.classnames;
  const auto longest = std::max_element(
      tokens.names.begin(), tokens.names.end(), [](const auto& a, const auto& b) {
        return a.size() < b.size();
      });
  const auto others = static_cast<int64_t>(
      tokens.prefix.size() + longest->size() + tokens.suffix.size());
  const int64_t room = world.clip->text->options.context_length();
  if (n_ctx + others > room) {
    throw program::UsageError(fmt::format(
        "--n-ctx: expected at most {} context tokens, as the prompt of \"{}\" has {} "
        "others and the text tower takes {}, got {}",
        std::max<int64_t>(0, room - others),
        world.names()[static_cast<size_t>(longest - tokens.names.begin())],
        others,
        room,
        n_ctx));
  }
}

void check_attention(const RunOptions& options, int64_t width) {
  const int64_t attn_dim = options.attn_dim.value_or(width);
  if (attn_dim % options.heads != 0) {
    throw program::UsageError(fmt::format(
        "--heads: expected a divisor of {}, the width of the attention ({}), got {}",
        attn_dim,
        options.attn_dim ? "--attn-dim" : "that of the features",
        options.heads));
  }
  if (options.attention_init == trmml::AttentionInit::kIdentity && attn_dim != width) {
    throw program::UsageError(fmt::format(
        "--attn-dim: expected {}, the width of the features, with --attention-init "
        "identity, got {}",
        width,
        attn_dim));
  }
}

// ---------------------------------------------------------------- scores

at::Tensor standardised(const at::Tensor& scores) {
  return trmml::functional::standardise_per_category(scores);
}

double held_out_mAP(const World& world, const at::Tensor& scores) {
  return trmml::training::mean_average_precision(scores, world.held_out.labels).mAP;
}

struct Scores {
  at::Tensor held_out;
  at::Tensor test;
  bool are_logits = true;
};

Scores zero_shot_scores(const World& world, const RunCallbacks& callbacks) {
  const auto scores =
      [text = l2_normalise(world.frozen_text).t()](const ImageFeatures& images) {
        return at::matmul(l2_normalise(images.global), text.to(images.global.device()));
      };
  return {
      collect(world.held_out, callbacks.should_stop, scores),
      collect(world.test, callbacks.should_stop, scores),
      /*are_logits=*/false};
}

Scores linear_scores(
    const World& world,
    const RunOptions& options,
    const trmml::MethodSwitches& switches,
    const RunCallbacks& callbacks,
    const at::Tensor& observed) {
  const auto features = [&](const Part& part) {
    return collect(part, callbacks.should_stop, [&](const ImageFeatures& images) {
      return switches.pooled ? trmml::pooled_features(images) : images.global;
    });
  };
  const at::Tensor train = features(world.train);
  const at::Tensor held_out = features(world.held_out);
  const at::Tensor test = features(world.test);
  // Where no absence is known, the pooled probe has to assume them.
  const bool assume = switches.assume_negative || positives_only(options);
  Scores best;
  double best_mAP = -1.0;
  for (const double decay : {1e-4, 1e-3, 1e-2, 1e-1}) {
    trmml::LinearProbe probe(
        trmml::LinearProbeOptions().assume_negative(assume).weight_decay(decay));
    probe.fit(train, observed);
    const at::Tensor scores = probe.scores(held_out);
    const double mAP = held_out_mAP(world, scores);
    if (!best.held_out.defined() || mAP > best_mAP) {
      best_mAP = mAP;
      best = {scores, probe.scores(test)};
    }
  }
  return best;
}

// The control: CLIP's zero-shot score added to the model's, both standardised; the
// share is chosen on held-out pictures.
Scores
with_zero_shot(World& world, const Scores& scores, const RunCallbacks& callbacks) {
  const auto zero_shot = [&](Part& part) {
    return standardised(zero_shot_of(world, part, callbacks.should_stop));
  };
  const at::Tensor held_out = zero_shot(world.held_out);
  const at::Tensor test = zero_shot(world.test);
  Scores best;
  double best_mAP = -1.0;
  for (const double weight : {1.0, 3.0}) {
    const at::Tensor mixed = weight * standardised(scores.held_out) + held_out;
    const double mAP = held_out_mAP(world, mixed);
    if (!best.held_out.defined() || mAP > best_mAP) {
      best_mAP = mAP;
      best = {mixed, weight * standardised(scores.test) + test, false};
    }
  }
  return best;
}

// ---------------------------------------------------------------- reports

void fill_report(const World& world, const Scores& scores, RunResult& result) {
  using trmml::evaluation::kApDefinitions;
  trmml::report::RunReport& report = result.report;
  const at::Tensor& labels = world.test.labels;
  for (const auto definition : kApDefinitions) {
    const auto value =
        trmml::training::mean_average_precision(scores.test, labels, definition);
    report.mAP_by_definition.emplace_back(
        trmml::evaluation::to_string(definition), value.mAP);
    if (definition == trmml::evaluation::ApDefinition::kPrecisionAtPositives) {
      report.mAP = value.mAP;
      for (size_t c = 0; c < value.per_class.size(); ++c) {
        report.per_class_AP.emplace_back(world.names()[c], value.per_class[c]);
      }
    }
  }
  report.held_out_mAP = held_out_mAP(world, scores.held_out);
  if (scores.are_logits) {
    const at::Tensor probabilities = scores.test.sigmoid().contiguous();
    const auto p = trmml::training::as_matrix(probabilities);
    const auto y = trmml::training::as_label_matrix(labels);
    report.at_threshold = trmml::evaluation::metrics_at_threshold(p, y, 0.5);
    report.top_k = std::min<int64_t>(3, labels.size(1));
    report.at_top_k = trmml::evaluation::metrics_at_top_k(p, y, report.top_k);
    const at::Tensor held_out = scores.held_out.sigmoid().contiguous();
    const auto chosen = trmml::evaluation::choose_thresholds(
        trmml::training::as_matrix(held_out),
        trmml::training::as_label_matrix(world.held_out.labels));
    for (size_t c = 0; c < chosen.values.size(); ++c) {
      report.thresholds.emplace_back(world.names()[c], chosen.values[c]);
    }
    report.at_thresholds =
        trmml::evaluation::metrics_at_thresholds(p, y, chosen.values);
  }
}

trmml::evaluation::PseudoLabelQuality
quality(const at::Tensor& pseudo, const at::Tensor& truth, const at::Tensor& observed) {
  using trmml::training::as_label_matrix;
  return trmml::evaluation::pseudo_label_quality(
      as_label_matrix(pseudo), as_label_matrix(truth), as_label_matrix(observed));
}

// What does not exist, such as the mAP of pictures without a positive, is "-".
std::string in_percent(double mAP) {
  return std::isnan(mAP) ? "-" : fmt::format("{:.2f}", 100 * mAP);
}

std::string epoch_line(
    const trmml::training::EpochReport& epoch,
    const std::optional<trmml::evaluation::PseudoLabelQuality>& pseudo) {
  std::string line = fmt::format(
      "epoch {:2}  loss {:.3f}  held-out mAP {} (raw {})",
      epoch.epoch,
      epoch.losses.empty() ? 0.0 : epoch.losses.back().second,
      in_percent(epoch.held_out_mAP),
      in_percent(epoch.held_out_mAP_raw));
  if (epoch.test_mAP) {
    line += "  test mAP " + in_percent(*epoch.test_mAP);
  }
  if (pseudo) {
    const auto figure = [](double x) {
      return std::isnan(x) ? std::string("-") : fmt::format("{:.3f}", x);
    };
    line += fmt::format(
        "  pseudo-labels: precision of positives {}, of negatives {}, recall {}, "
        "coverage {}",
        figure(pseudo->positive_precision),
        figure(pseudo->negative_precision),
        figure(pseudo->positive_recall),
        figure(pseudo->coverage));
  }
  return line;
}

// "30 epochs; epoch 21 is chosen, with held-out mAP 71.20".
std::string chosen_line(
    const trmml::training::TrainingResult& trained,
    int64_t planned) {
  const std::string epochs =
      trained.epochs < planned
          ? fmt::format(
                "stopped early, after {} of {} epochs, {} of them without gain",
                trained.epochs,
                planned,
                trained.epochs - 1 - trained.best_epoch)
          : fmt::format("{} epochs", trained.epochs);
  return fmt::format(
      "{}; epoch {} is chosen, with held-out mAP {}",
      epochs,
      trained.best_epoch,
      in_percent(trained.best_mAP));
}

Scores train(
    World& world,
    const RunOptions& options,
    const trmml::MethodSwitches& switches,
    const RunCallbacks& callbacks,
    RunResult& result) {
  const at::Tensor& observed = result.observed;
  at::manual_seed(trmml::derive_seed(options.seed, 0, "initial weights"));
  result.score = options.score;
  result.n_ctx = context_length(options, switches, observed);
  result.model =
      build_method(text_side(world, result.n_ctx), options, switches, result.n_ctx);
  const auto training =
      trainer_options(options, switches, observed, world.frozen_text.device());
  trmml::training::Trainer trainer(
      result.model,
      trmml::TrmMlLoss(loss_options(options, switches, observed)),
      training,
      pseudo_label_options(options, switches));
  trmml::training::TrainerCallbacks hooks;
  hooks.should_stop = callbacks.should_stop;
  hooks.epoch_end = [&](const trmml::training::EpochReport& epoch) {
    std::optional<trmml::evaluation::PseudoLabelQuality> pseudo;
    if (epoch.pseudo_labels.defined()) {
      pseudo = quality(epoch.pseudo_labels, world.train.labels, observed);
    }
    if (callbacks.log) {
      callbacks.log(epoch_line(epoch, pseudo));
    }
    result.report.history.push_back(program::epoch_metrics(epoch, pseudo));
    if (callbacks.epoch_end) {
      callbacks.epoch_end(
          result.report.history.back(),
          program::epoch_histograms(epoch, world.held_out.labels, *result.model));
    }
  };
  hooks.step_end = callbacks.step_end;
  const at::Tensor zero_shot =
      switches.pseudo_labels ? zero_shot_of(world, world.train, callbacks.should_stop)
                             : at::Tensor();
  const trmml::training::HeldOutSet test{world.test.features, world.test.labels};
  const auto trained = trainer.fit(
      {world.train.features, observed, zero_shot, world.frozen_text},
      {world.held_out.features, world.held_out.labels},
      hooks,
      options.score_test_every_epoch ? &test : nullptr);
  if (callbacks.log) {
    callbacks.log(chosen_line(trained, training.epochs()));
  }
  result.report.epochs = trained.epochs;
  result.report.best_epoch = trained.best_epoch;
  result.report.stopped_early = trained.epochs < training.epochs();
  result.report.seconds = trained.seconds;
  if (trained.best_test_mAP) {
    result.report.mAP_best_on_test = *trained.best_test_mAP;
  }
  const c10::NoGradGuard no_grad;
  const trmml::EvaluationMode evaluation(result.model->as_module());
  const at::Tensor text = result.model->text_features();
  const auto scored = [&](const Part& part) {
    return collect(part, callbacks.should_stop, [&](const ImageFeatures& images) {
      return score_of(
          result.model->forward(images.to(result.model->device()), text),
          options.score);
    });
  };
  return {scored(world.held_out), scored(world.test)};
}

}  // namespace

TrainingViews training_views(const trmml::MethodSwitches& switches) {
  switch (switches.kind) {
    case Kind::kZeroShot:
      return TrainingViews::kNone;
    case Kind::kLinear:
      return TrainingViews::kPlain;
    default:
      return TrainingViews::kAll;
  }
}

Passes passes_of(const RunOptions& options) {
  const trmml::MethodSwitches switches = trmml::method_switches(options.method);
  if (!switches.has_prompts()) {
    const int64_t n_train = switches.kind == Kind::kZeroShot ? 0 : 1;
    return {n_train, 1, 1, 0};
  }
  const int64_t epochs = options.epochs.value_or(options.defaults.epochs);
  Passes passes;
  passes.train = epochs;
  // The weights and their average after each epoch, the best ones in the end.
  passes.held_out = 2 * epochs + 1;
  passes.test = options.score_test_every_epoch ? epochs + 1 : 1;
  passes.batch = options.trainer.batch_size() / options.trainer.accumulate();
  if (switches.pseudo_labels) {
    ++passes.train;  // for the zero-shot scores
    const trmml::EvidenceOptions& evidence = options.trainer.evidence();
    if (switches.kind == Kind::kRegion && evidence.visual() + evidence.text() > 0) {
      passes.train += epochs - first_pseudo_epoch(options);
    }
  }
  if (switches.zero_shot_at_test) {
    ++passes.held_out;
    ++passes.test;
  }
  return passes;
}

at::Tensor observed_labels(const World& world, const RunOptions& options) {
  return observed_of(world, mask_of(world, options));
}

std::string mask_digest(const World& world, const RunOptions& options) {
  return trmml::data::label_digest(mask_of(world, options));
}

void check_run(const World& world, const RunOptions& options) {
  const trmml::MethodSwitches switches = trmml::method_switches(options.method);
  const at::Tensor observed = observed_labels(world, options);
  check_known(world, options, observed);
  if (!switches.has_prompts()) {
    return;
  }
  const int64_t n_ctx = context_length(options, switches, observed);
  check_prompt_lengths(world, n_ctx);
  if (switches.kind == Kind::kRegion) {
    check_attention(options, world.frozen_text.size(1));
  }
  const trmml::training::Trainer trainer(
      build_method(text_side(world, n_ctx), options, switches, n_ctx),
      trmml::TrmMlLoss(loss_options(options, switches, observed)),
      trainer_options(options, switches, observed, world.frozen_text.device())
          .folder("")
          .resume(false),
      pseudo_label_options(options, switches));
}

RunResult run(
    World& world,
    const RunOptions& options,
    const RunCallbacks& callbacks,
    const RunResult* base) {
  const trmml::MethodSwitches switches = trmml::method_switches(options.method);
  const auto start = std::chrono::steady_clock::now();
  RunResult result;
  const at::Tensor mask = mask_of(world, options);
  result.observed = observed_of(world, mask);
  if (callbacks.log) {
    callbacks.log(labels_line(result.observed));
  }
  check_known(world, options, result.observed);
  const auto settings =
      settings_by_data(options, switches, result.observed, world.frozen_text.size(1));
  if (callbacks.log && !settings.empty()) {
    callbacks.log(settings_line(settings));
  }
  Scores scores;
  if (switches.kind == Kind::kZeroShot) {
    scores = zero_shot_scores(world, callbacks);
  } else if (switches.kind == Kind::kLinear) {
    scores = linear_scores(world, options, switches, callbacks, result.observed);
  } else if (switches.zero_shot_at_test && base != nullptr) {
    result = *base;
    result.report = {};
    result.report.epochs = base->report.epochs;
    result.report.best_epoch = base->report.best_epoch;
    result.report.stopped_early = base->report.stopped_early;
    result.report.history = base->report.history;
    scores = {base->held_out_scores, base->test_scores};
  } else {
    scores = train(world, options, switches, callbacks, result);
  }
  if (switches.zero_shot_at_test) {
    scores = with_zero_shot(world, scores, callbacks);
  }
  result.held_out_scores = scores.held_out;
  result.test_scores = scores.test;
  fill_report(world, scores, result);
  trmml::report::RunReport& report = result.report;
  if (report.seconds == 0.0) {  // nothing that is trained step by step
    const std::chrono::duration<double> seconds =
        std::chrono::steady_clock::now() - start;
    report.seconds = seconds.count();
  }
  report.method = options.method;
  report.dataset = world.dataset;
  report.split = world.test_name;
  report.known_label_proportion = options.protocol.known_label_proportion();
  if (!report.known_label_proportion) {
    report.protocol = options.protocol.description();
    if (const auto seed = seed_of_mask(world, options)) {
      report.protocol += fmt::format(", mask seed {}", *seed);
    }
  }
  report.seed = options.seed;
  report.known_entries = trmml::data::count_labels(result.observed).known;
  report.mask_digest = trmml::data::label_digest(mask);
  report.unreadable = world.unreadable;
  report.settings = settings;
  report.selected_on = "held-out";
  report.torch_version = trmml::torch_version();
  report.trmml_version = TRMML_VERSION;
  report.environment = program::environment();
  if (options.training_precision == "auto" && switches.has_prompts()) {
    const bool is_bfloat16 =
        trainer_options(options, switches, result.observed, world.frozen_text.device())
            .bfloat16();
    report.environment.emplace_back(
        "training precision", is_bfloat16 ? "bf16" : "fp32");
  }
  if (!world.clip_description.empty()) {
    report.environment.emplace_back("CLIP", world.clip_description);
  }
  return result;
}

}  // namespace experiment
