#pragma once

#include "trmml/clip/clip_model.hpp"
#include "trmml/clip/tokenizer.hpp"
#include "trmml/data/scenes.hpp"
#include "trmml/method/ablation.hpp"
#include "trmml/method/classnames.hpp"
#include "trmml/method/method.hpp"
#include "trmml/method/trm_ml_loss.hpp"
#include "trmml/modules/pseudo_labeler.hpp"
#include "trmml/modules/region_matcher.hpp"
#include "trmml/report/html_report.hpp"
#include "trmml/report/run_report.hpp"
#include "trmml/training/trainer.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

// Experiments on FashionScenes: what quickstart and train_scenes share.

namespace scenes {

/// Which labels training is shown.
struct Protocol {
  enum class Kind { kProportion, kSingleRandom, kSingleSalient };
  Kind kind = Kind::kProportion;
  double proportion = 0.1;  ///< kProportion; 1: all labels

  bool is_single() const { return kind != Kind::kProportion; }
  /// "10 % known labels", "single positive (salient)".
  std::string description() const;
};

/// Where things are.
struct Paths {
  std::string fashion_mnist;
  std::string clip;
  std::string merges;
};
Paths default_paths();

/// What of FashionScenes is used, and how it is encoded.
struct WorldOptions {
  Paths paths = default_paths();
  trmml::clip::DenseForm dense = trmml::clip::DenseForm::kDualCoOp;
  int64_t limit_scenes = 0;  ///< the first ones of each split only; 0: all
};

/// One split with its frozen features, encoded once.
struct Split {
  trmml::data::SceneSet scenes;
  trmml::clip::ImageFeatures features;
  at::Tensor zero_shot;  ///< [N, 18] score with cells, for pseudo-labels and a control
};

/// Everything that does not depend on method, protocol or seed; with all scenes:
struct World {
  trmml::clip::ClipModel clip{nullptr};
  trmml::TokenizedClassnames classnames;
  at::Tensor frozen_text;  ///< [18, D] text features of "a photo of a {name}."
  Split train;             ///< scenes 0..1999 of the training pool
  Split held_out;          ///< scenes 2000..2999 of the training pool
  Split test;              ///< scenes 0..1999 of the test pool
};

/// Paints the scenes and encodes them with the small CLIP; `log` is told what happens.
/// Throws `trmml::Interrupted` soon after `should_stop` says so.
World load_world(
    const WorldOptions& options,
    const std::function<void(const std::string&)>& log,
    const std::function<bool()>& should_stop);

/// All that can be chosen for one run. What is not set follows from method and protocol
/// (see docs/method.md).
struct RunOptions {
  std::string method = "trm-ml";
  Protocol protocol;
  uint64_t seed = 0;

  std::optional<int64_t> epochs;
  std::optional<double> prompt_learning_rate;
  /// Visual prototypes count 0.3 as evidence, chosen on held-out scenes.
  trmml::training::TrainerOptions trainer =
      trmml::training::TrainerOptions().evidence(trmml::EvidenceOptions().visual(0.3));
  trmml::Score score = trmml::Score::kMean;

  std::optional<int64_t> n_ctx;  ///< 4 starts from "a photo of a", others at random
  bool class_specific = true;
  trmml::ClassPosition class_position = trmml::ClassPosition::kEnd;
  double logit_scale = 20.0;
  double sharpness = 0.5;  ///< text-pixel

  int64_t heads = 1;
  int64_t layers = 0;
  std::optional<int64_t> attn_dim;
  std::optional<int64_t> mlp_hidden;
  double dropout = 0.0;
  bool query_residual = false;
  trmml::QueryInit query_init = trmml::QueryInit::kText;
  trmml::AttentionInit attention_init = trmml::AttentionInit::kRandom;

  /// Chosen on held-out scenes: with this CLIP l_kd = 1 cost 0.4 mAP at 10 %.
  trmml::TrmMlLossOptions loss = trmml::TrmMlLossOptions().distillation_weight(0.25);
  std::optional<double> absent_weight;
  std::optional<double> pseudo_weight;
  double prototype_momentum = 0.9;

  std::optional<trmml::PseudoLabelPolicy> policy;
  std::optional<double> positive_share;
  std::optional<double> negative_share;
  std::optional<double> positives_per_image;  ///< prior for single positives; 4.6
  std::optional<int64_t> pseudo_from_epoch;
  bool sets_evidence = false;  ///< `trainer.evidence()` is not the default
};

/// One run, trained and scored once on test.
struct RunResult {
  trmml::report::RunReport report;
  double held_out_mAP = 0.0;             ///< of what was chosen
  std::shared_ptr<trmml::Method> model;  ///< null without prompts
  at::Tensor observed;                   ///< labels that training saw
  at::Tensor held_out_scores;            ///< [n, 18]
  at::Tensor test_scores;                ///< [n, 18]
};

/// What a run is told and asked.
struct RunCallbacks {
  std::function<void(const std::string&)> log;  ///< a line an epoch
  std::function<void(const trmml::report::EpochMetrics&)> epoch_end;
  std::function<bool()> should_stop;
};

/// False for the linear probe on known labels with single positives: no absence is
/// known, so it is not defined.
bool is_defined(const std::string& method, const Protocol& protocol);

/// `base`, if given, is the run of "region+distillation+contrastive" with the same
/// options: the control that adds the zero-shot score to it then need not train again.
RunResult run(
    World& world,
    const RunOptions& options,
    const RunCallbacks& callbacks = {},
    const RunResult* base = nullptr);

/// Pictures of the training split with known, hidden and predicted labels and the
/// saliency of what is present.
std::vector<trmml::report::LabelPanel>
panels(World& world, const RunResult& result, int64_t count);

}  // namespace scenes
