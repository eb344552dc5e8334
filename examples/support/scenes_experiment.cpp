#include "support/scenes_experiment.hpp"

#include "trmml/clip/freeze.hpp"
#include "trmml/clip/preprocess.hpp"
#include "trmml/core/error.hpp"
#include "trmml/core/random.hpp"
#include "trmml/core/version.hpp"
#include "trmml/data/missing_labels.hpp"
#include "trmml/evaluation/multilabel_metrics.hpp"
#include "trmml/evaluation/pseudo_label_quality.hpp"
#include "trmml/io/module_weights.hpp"
#include "trmml/io/safetensors.hpp"
#include "trmml/method/baselines.hpp"
#include "trmml/method/linear_probe.hpp"
#include "trmml/method/trm_ml.hpp"
#include "trmml/report/heatmap.hpp"
#include "trmml/training/trainer.hpp"

#include <fmt/format.h>

#include <chrono>

#include "support/run_log.hpp"

namespace scenes {
namespace {

using trmml::clip::ImageFeatures;
using trmml::data::FashionMnist;
using trmml::functional::l2_normalise;
using Kind = trmml::MethodSwitches::Kind;

// ---------------------------------------------------------------- the world

// 5000 as "5,000".
std::string grouped(int64_t n) {
  return n < 1000 ? std::to_string(n) : fmt::format("{},{:03}", n / 1000, n % 1000);
}

ImageFeatures encode(
    trmml::clip::ClipModel& clip,
    const at::Tensor& images,
    trmml::clip::DenseForm form,
    const std::function<bool()>& should_stop) {
  const torch::NoGradGuard no_grad;
  constexpr int64_t kBatch = 100;
  std::vector<at::Tensor> global;
  std::vector<at::Tensor> regions;
  for (int64_t i = 0; i < images.size(0); i += kBatch) {
    if (should_stop && should_stop()) {
      throw trmml::Interrupted(
          "stopped while the scenes were being encoded, before any training");
    }
    const int64_t n = std::min(kBatch, images.size(0) - i);
    const ImageFeatures part = clip->image_features(
        trmml::clip::normalize_images(images.narrow(0, i, n), 2), form);
    global.push_back(part.global);
    regions.push_back(part.regions);
  }
  return {at::cat(global), at::cat(regions)};
}

Split load_split(
    World& world,
    const WorldOptions& options,
    const std::shared_ptr<const FashionMnist>& photos,
    FashionMnist::Pool pool,
    int64_t first,
    int64_t count,
    const std::function<bool()>& should_stop) {
  Split split;
  split.scenes = trmml::data::make_scenes(photos, pool, first, count);
  split.features = encode(world.clip, split.scenes.images, options.dense, should_stop);
  split.zero_shot = trmml::functional::zero_shot_scores(
      split.features.global, split.features.regions, world.frozen_text);
  return split;
}

trmml::clip::ClipModelOptions options_of(
    const trmml::io::SafetensorsFile& file,
    const std::string& path) {
  try {
    return trmml::clip::ClipModelOptions::from_metadata(file.metadata);
  } catch (const trmml::CheckpointError& error) {
    throw trmml::CheckpointError(path + ": " + error.what());
  }
}

trmml::clip::ClipModel load_clip(const std::string& path) {
  const trmml::io::SafetensorsFile file = trmml::io::read_safetensors(path);
  trmml::clip::ClipModel clip(options_of(file, path));
  trmml::io::load_module(*clip, file.tensors, path);
  trmml::clip::freeze(*clip);
  return clip;
}

// ---------------------------------------------------------------- a run

at::Tensor observed_labels(
    const trmml::data::SceneSet& scenes,
    const Protocol& protocol,
    uint64_t seed) {
  const auto mask_seed = static_cast<uint32_t>(seed);
  switch (protocol.kind) {
    case Protocol::Kind::kSingleRandom:
      return trmml::data::single_positive(scenes.labels, 1200 + mask_seed);
    case Protocol::Kind::kSingleSalient:
      return trmml::data::keep_one_positive(
          scenes.labels, trmml::data::salient_categories(scenes.items, mask_seed));
    case Protocol::Kind::kProportion:
      break;
  }
  return trmml::data::known_label_proportion(
      scenes.labels, protocol.proportion, mask_seed);
}

double mean_known_positives(const at::Tensor& observed) {
  return observed.gt(0).sum().item<double>() / static_cast<double>(observed.size(1));
}

// Text-pixel prompts with so few known positives a category, and nothing that stands in
// for the hidden ones, learn less when they have more to learn (held-out scenes, 1 %).
bool is_starved(
    const RunOptions& options,
    const trmml::MethodSwitches& switches,
    const at::Tensor& observed) {
  return switches.kind == Kind::kTextPixel && !switches.pseudo_labels &&
         !options.protocol.is_single() && mean_known_positives(observed) < 10;
}

trmml::ClassnameEmbeddings embeddings_of(World& world, int64_t n_ctx) {
  trmml::TokenizedClassnames tokens = world.classnames;
  if (static_cast<int64_t>(tokens.initial_words.size()) != n_ctx) {
    tokens.initial_words.clear();
  }
  return trmml::embed_classnames(world.clip->text, tokens);
}

std::shared_ptr<trmml::Method> build_model(
    World& world,
    const RunOptions& options,
    const trmml::MethodSwitches& switches,
    const at::Tensor& observed) {
  const Kind kind = switches.kind;
  const bool is_long =
      kind == Kind::kTextPixel && !is_starved(options, switches, observed);
  const int64_t n_ctx = options.n_ctx.value_or(is_long ? 16 : 4);
  const trmml::ClassnameEmbeddings names = embeddings_of(world, n_ctx);
  const int64_t n_cls = world.frozen_text.size(0);
  const int64_t embed_dim = world.frozen_text.size(1);
  const int64_t ctx_dim = names.prefix.size(1);
  const auto prompts = trmml::PromptLearnerOptions(n_cls, ctx_dim)
                           .n_ctx(n_ctx)
                           .class_specific(options.class_specific)
                           .class_position(options.class_position)
                           .negative_init_std(names.names.std().item<double>());
  const trmml::TextEncoder encode_text =
      [text = world.clip->text](const trmml::Prompts& p) mutable {
        return text->forward(p);
      };
  if (kind != Kind::kRegion) {
    const auto matching = kind == Kind::kTextImage ? trmml::TextMatching::kImage
                                                   : trmml::TextMatching::kPixel;
    return trmml::TextMatchingBaseline(
               trmml::TextMatchingOptions(matching)
                   .logit_scale_init(options.logit_scale)
                   .sharpness(options.sharpness),
               prompts,
               names,
               encode_text)
        .ptr();
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
  return trmml::TrmMl(
             trmml::TrmMlOptions(prompts, matcher, bank),
             names,
             encode_text,
             world.frozen_text)
      .ptr();
}

// Text-pixel and text-image were tuned on their own, so that the comparison is fair.
trmml::training::TrainerOptions trainer_options(
    const RunOptions& options,
    const trmml::MethodSwitches& switches,
    const at::Tensor& observed) {
  trmml::training::TrainerOptions trainer = options.trainer;
  const bool is_text = switches.kind != Kind::kRegion;
  trainer.seed(options.seed).epochs(options.epochs.value_or(30));
  trainer.prompt_learning_rate(options.prompt_learning_rate.value_or(
      is_starved(options, switches, observed) ? 3e-3
      : is_text                               ? 1e-2
                                              : 5e-3));
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
  const bool is_salient = options.protocol.kind == Protocol::Kind::kSingleSalient;
  if (options.protocol.is_single() &&
      loss.unknown_labels() == trmml::UnknownLabels::kIgnored) {
    loss.unknown_labels(trmml::UnknownLabels::kAssumeAbsent);
  }
  loss.absent_weight(options.absent_weight.value_or(is_text ? 1.0 : 0.3));
  loss.pseudo_positive_weight(is_salient ? 0.3 : 0.5);
  const double reference = options.protocol.is_single() ? 25.0 : 50.0;
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
  const bool is_salient = options.protocol.kind == Protocol::Kind::kSingleSalient;
  trmml::PseudoLabelerOptions labeler;
  labeler.policy(options.policy.value_or(
      is_salient ? PseudoLabelPolicy::kRelationsSoft : PseudoLabelPolicy::kRelations));
  labeler.positive_share(
      options.positive_share.value_or(is_single && !is_salient ? 0.3 : 0.9));
  labeler.negative_share(options.negative_share.value_or(is_single ? 0.0 : 0.9));
  if (is_single) {
    labeler.prior(is_salient ? PositivePrior::kUniform : PositivePrior::kProportional)
        .positives_per_image(options.positives_per_image.value_or(4.6));
  }
  return labeler;
}

// ---------------------------------------------------------------- scores

at::Tensor standardised(const at::Tensor& scores) {
  return trmml::functional::standardise_per_category(scores);
}

double held_out_mAP(const World& world, const at::Tensor& scores) {
  return trmml::training::mean_average_precision(scores, world.held_out.scenes.labels)
      .mAP;
}

struct Scores {
  at::Tensor held_out;
  at::Tensor test;
  bool are_logits = true;
};

Scores zero_shot_scores(const World& world) {
  const at::Tensor text = l2_normalise(world.frozen_text).t();
  return {
      at::matmul(l2_normalise(world.held_out.features.global), text),
      at::matmul(l2_normalise(world.test.features.global), text),
      /*are_logits=*/false};
}

Scores linear_scores(
    const World& world,
    const RunOptions& options,
    const trmml::MethodSwitches& switches,
    const at::Tensor& observed) {
  const auto features = [&switches](const Split& split) {
    return switches.pooled ? trmml::pooled_features(split.features)
                           : split.features.global;
  };
  // Single positives know no absences: the pooled probe then has to assume them.
  const bool assume = switches.assume_negative || options.protocol.is_single();
  Scores best;
  double best_mAP = -1.0;
  for (const double decay : {1e-4, 1e-3, 1e-2, 1e-1}) {
    trmml::LinearProbe probe(
        trmml::LinearProbeOptions().assume_negative(assume).weight_decay(decay));
    probe.fit(features(world.train), observed);
    const at::Tensor scores = probe.scores(features(world.held_out));
    const double mAP = held_out_mAP(world, scores);
    if (mAP > best_mAP) {
      best_mAP = mAP;
      best = {scores, probe.scores(features(world.test))};
    }
  }
  return best;
}

// The control: CLIP's zero-shot score added to the model's, both standardised; the
// share is chosen on held-out scenes.
Scores with_zero_shot(const World& world, const Scores& scores) {
  Scores best;
  double best_mAP = -1.0;
  for (const double weight : {1.0, 3.0}) {
    const at::Tensor mixed =
        weight * standardised(scores.held_out) + standardised(world.held_out.zero_shot);
    const double mAP = held_out_mAP(world, mixed);
    if (mAP > best_mAP) {
      best_mAP = mAP;
      best = {
          mixed,
          weight * standardised(scores.test) + standardised(world.test.zero_shot),
          false};
    }
  }
  return best;
}

// ---------------------------------------------------------------- reports

void fill_report(const World& world, const Scores& scores, RunResult& result) {
  using trmml::evaluation::kApDefinitions;
  trmml::report::RunReport& report = result.report;
  const at::Tensor& labels = world.test.scenes.labels;
  for (const auto definition : kApDefinitions) {
    const auto value =
        trmml::training::mean_average_precision(scores.test, labels, definition);
    report.mAP_by_definition.emplace_back(
        trmml::evaluation::to_string(definition), value.mAP);
    if (definition == trmml::evaluation::ApDefinition::kPrecisionAtPositives) {
      report.mAP = value.mAP;
      for (size_t c = 0; c < value.per_class.size(); ++c) {
        report.per_class_AP.emplace_back(
            trmml::data::scene_classnames()[c], value.per_class[c]);
      }
    }
  }
  result.held_out_mAP = held_out_mAP(world, scores.held_out);
  if (scores.are_logits) {
    const at::Tensor probabilities = scores.test.sigmoid().contiguous();
    const auto p = trmml::training::as_matrix(probabilities);
    const auto y = trmml::training::as_label_matrix(labels);
    report.at_threshold = trmml::evaluation::metrics_at_threshold(p, y, 0.5);
    report.top_k = 3;
    report.at_top_k = trmml::evaluation::metrics_at_top_k(p, y, 3);
  }
}

trmml::evaluation::PseudoLabelQuality
quality(const at::Tensor& pseudo, const at::Tensor& truth, const at::Tensor& observed) {
  using trmml::training::as_label_matrix;
  return trmml::evaluation::pseudo_label_quality(
      as_label_matrix(pseudo), as_label_matrix(truth), as_label_matrix(observed));
}

Scores train(
    World& world,
    const RunOptions& options,
    const trmml::MethodSwitches& switches,
    const RunCallbacks& callbacks,
    RunResult& result) {
  const at::Tensor& observed = result.observed;
  at::manual_seed(trmml::derive_seed(options.seed, 0, "initial weights"));
  result.model = build_model(world, options, switches, observed);
  trmml::training::Trainer trainer(
      result.model,
      trmml::TrmMlLoss(loss_options(options, switches, observed)),
      trainer_options(options, switches, observed),
      pseudo_label_options(options, switches));
  trmml::training::TrainerCallbacks hooks;
  hooks.should_stop = callbacks.should_stop;
  hooks.epoch_end = [&](const trmml::training::EpochReport& epoch) {
    std::optional<trmml::evaluation::PseudoLabelQuality> pseudo;
    std::string line = fmt::format(
        "epoch {:2}  loss {:.3f}  held-out mAP {:.2f} (raw {:.2f})",
        epoch.epoch,
        epoch.losses.empty() ? 0.0 : epoch.losses.back().second,
        100 * epoch.held_out_mAP,
        100 * epoch.held_out_mAP_raw);
    if (epoch.pseudo_labels.defined()) {
      pseudo = quality(epoch.pseudo_labels, world.train.scenes.labels, observed);
      line += fmt::format(
          "  pseudo-labels: precision +{:.3f} -{:.3f}, recall {:.3f}, coverage {:.3f}",
          pseudo->positive_precision,
          pseudo->negative_precision,
          pseudo->positive_recall,
          pseudo->coverage);
    }
    if (callbacks.log) {
      callbacks.log(line);
    }
    result.report.history.push_back(program::epoch_metrics(epoch, pseudo));
    if (callbacks.epoch_end) {
      callbacks.epoch_end(result.report.history.back());
    }
  };
  const auto trained = trainer.fit(
      {world.train.features, observed, world.train.zero_shot, world.frozen_text},
      {world.held_out.features, world.held_out.scenes.labels},
      hooks);
  result.report.epochs = trained.epochs;
  const auto scored = [&](const Split& split) {
    return trmml::training::predict(*result.model, split.features, options.score);
  };
  return {scored(world.held_out), scored(world.test)};
}

}  // namespace

std::string Protocol::description() const {
  switch (kind) {
    case Kind::kSingleRandom:
      return "single positive (random)";
    case Kind::kSingleSalient:
      return "single positive (salient)";
    case Kind::kProportion:
      break;
  }
  return proportion >= 1.0 ? "all labels"
                           : fmt::format("{:g} % known labels", 100 * proportion);
}

Paths default_paths() {
  const std::string data = TRMML_EXAMPLES_DATA;
  return {
      trmml::data::kFashionMnistFolder,
      data + "/scenes_clip.safetensors",
      data + "/scenes_merges.txt"};
}

World load_world(
    const WorldOptions& options,
    const std::function<void(const std::string&)>& log,
    const std::function<bool()>& should_stop) {
  const torch::NoGradGuard no_grad;
  const Paths& paths = options.paths;
  World world;
  world.clip = load_clip(paths.clip);
  const auto tokenizer = trmml::clip::Tokenizer::from_merges(paths.merges);
  const auto& names = trmml::data::scene_classnames();
  world.classnames = trmml::tokenize_classnames(tokenizer, names, "a photo of a");
  std::vector<std::string> texts;
  for (const auto& name : names) {
    texts.push_back("a photo of a " + name + ".");
  }
  const int64_t length = world.clip->text->options.context_length();
  world.frozen_text =
      l2_normalise(world.clip->encode_text(tokenizer.tokenize(texts, length)));
  const auto limited = [&options](int64_t all) {
    return options.limit_scenes > 0 ? std::min(options.limit_scenes, all) : all;
  };
  log(fmt::format(
      "composing {} scenes of photographs and encoding them",
      grouped(limited(2000) + limited(1000) + limited(2000))));
  const auto start = std::chrono::steady_clock::now();
  const auto photos =
      std::make_shared<const FashionMnist>(FashionMnist::load(paths.fashion_mnist));
  using Pool = FashionMnist::Pool;
  const auto load = [&](Pool pool, int64_t first, int64_t count) {
    return load_split(world, options, photos, pool, first, limited(count), should_stop);
  };
  world.train = load(Pool::kTrain, 0, 2000);
  world.held_out = load(Pool::kTrain, 2000, 1000);
  world.test = load(Pool::kTest, 0, 2000);
  const std::chrono::duration<double> seconds =
      std::chrono::steady_clock::now() - start;
  log(fmt::format("encoded in {:.1f} s", seconds.count()));
  return world;
}

bool is_defined(const std::string& method, const Protocol& protocol) {
  return !(method == "linear" && protocol.is_single());
}

RunResult run(
    World& world,
    const RunOptions& options,
    const RunCallbacks& callbacks,
    const RunResult* base) {
  const trmml::MethodSwitches switches = trmml::method_switches(options.method);
  const auto start = std::chrono::steady_clock::now();
  RunResult result;
  result.observed = observed_labels(world.train.scenes, options.protocol, options.seed);
  Scores scores;
  if (switches.kind == Kind::kZeroShot) {
    scores = zero_shot_scores(world);
  } else if (switches.kind == Kind::kLinear) {
    scores = linear_scores(world, options, switches, result.observed);
  } else if (switches.zero_shot_at_test && base != nullptr) {
    result = *base;
    result.report = {};
    result.report.epochs = base->report.epochs;
    result.report.history = base->report.history;
    scores = {base->held_out_scores, base->test_scores};
  } else {
    scores = train(world, options, switches, callbacks, result);
  }
  if (switches.zero_shot_at_test) {
    scores = with_zero_shot(world, scores);
  }
  result.held_out_scores = scores.held_out;
  result.test_scores = scores.test;
  fill_report(world, scores, result);
  const std::chrono::duration<double> seconds =
      std::chrono::steady_clock::now() - start;
  trmml::report::RunReport& report = result.report;
  report.method = options.method;
  report.dataset = "FashionScenes";
  report.split =
      fmt::format("test: {} scenes", grouped(world.test.scenes.labels.size(0)));
  if (options.protocol.kind == Protocol::Kind::kProportion) {
    report.known_label_proportion = options.protocol.proportion;
  } else {
    report.protocol = options.protocol.description();
  }
  report.seed = options.seed;
  report.known_entries = trmml::data::count_labels(result.observed).known;
  report.mask_digest = trmml::data::label_digest(result.observed);
  report.selected_on = "held-out";
  report.seconds = seconds.count();
  report.torch_version = trmml::torch_version();
  report.trmml_version = TRMML_VERSION;
  report.environment = program::environment();
  return result;
}

std::vector<trmml::report::LabelPanel>
panels(World& world, const RunResult& result, int64_t count) {
  const torch::NoGradGuard no_grad;
  std::vector<trmml::report::LabelPanel> all;
  const auto& names = trmml::data::scene_classnames();
  const auto& scenes = world.train.scenes;
  count = std::min(count, scenes.labels.size(0));
  const trmml::TrmMlOutput output = result.model->forward(
      trmml::narrow_features(world.train.features, 0, count));
  const at::Tensor probabilities = score_of(output).sigmoid().contiguous();
  for (int64_t i = 0; i < count; ++i) {
    const at::Tensor image = scenes.images[i].contiguous();
    const auto* pixels = image.data_ptr<uint8_t>();
    trmml::report::Picture picture{
        static_cast<int>(image.size(1)),
        static_cast<int>(image.size(0)),
        {pixels, pixels + image.numel()}};
    const at::Tensor known = result.observed[i].contiguous();
    const at::Tensor truth = scenes.labels[i].contiguous();
    const at::Tensor p = probabilities[i].contiguous();
    all.push_back(trmml::report::make_label_panel(
        fmt::format("scene {}", i),
        picture,
        names,
        {known.data_ptr<int8_t>(), names.size()},
        {truth.data_ptr<int8_t>(), names.size()},
        {p.data_ptr<float>(), names.size()}));
    if (!output.saliency.defined()) {
      continue;
    }
    const at::Tensor strongest =
        std::get<1>(at::where(truth.gt(0), p, at::zeros_like(p)).sort(0, true));
    for (int64_t k = 0; k < 3; ++k) {
      const int64_t c = strongest[k].item<int64_t>();
      if (truth[c].item<int64_t>() <= 0) {
        continue;
      }
      const at::Tensor map = output.saliency[i][c].contiguous();
      const auto side = static_cast<int>(std::lround(std::sqrt(map.numel())));
      all.back().saliency.push_back(
          {names[static_cast<size_t>(c)],
           trmml::report::heatmap(
               picture,
               {map.data_ptr<float>(), static_cast<size_t>(map.numel())},
               side,
               side)});
    }
  }
  return all;
}

}  // namespace scenes
