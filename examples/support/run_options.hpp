#pragma once

#include "trmml/method/ablation.hpp"
#include "trmml/method/trm_ml.hpp"
#include "trmml/method/trm_ml_loss.hpp"
#include "trmml/modules/prompt_learner.hpp"
#include "trmml/modules/pseudo_labeler.hpp"
#include "trmml/modules/region_matcher.hpp"
#include "trmml/training/options.hpp"

#include <CLI/CLI.hpp>

#include <cstdint>
#include <optional>
#include <string>

#include "support/protocol.hpp"

// All that can be chosen for one run.

namespace experiment {

/// What is taken where an option is not given. The values here are starting points for
/// real data (docs/training.md, "What happens"); FashionScenes has its own.
struct Defaults {
  int64_t epochs = 30;
  int64_t batch_size = 64;
  double prompt_learning_rate = 1e-3;
  double text_learning_rate = 1e-3;  ///< text-image, text-pixel
  double matcher_learning_rate = 1e-4;
  double weight_decay = 5e-3;
  bool class_specific = false;  ///< generic contexts cost a fraction
  int64_t n_ctx = 16;
  int64_t text_n_ctx = 16;  ///< text-pixel
  double logit_scale = 50.0;
  double distillation_weight = 1.0;
  double evidence_visual = 1.0;
  double share = 0.6;              ///< of the expected entries that pseudo-labels take
  double pseudo_reference = 25.0;  ///< known positives a category where they count 1
  double known_label_proportion = 0.1;        ///< 1: nothing is hidden
  std::optional<double> positives_per_image;  ///< prior where no absence is known

  /// text-pixel: fewer context tokens and a smaller rate where a category has fewer
  /// than ten known positives (chosen on FashionScenes).
  bool spares_starved = false;
};

/// What is not set follows from method, protocol and defaults.
struct RunOptions {
  explicit RunOptions(const Defaults& defaults);

  Defaults defaults;
  std::string method = "trm-ml";
  Protocol protocol;
  uint64_t seed = 0;

  std::optional<int64_t> epochs;
  std::optional<double> prompt_learning_rate;
  trmml::training::TrainerOptions trainer;
  std::string training_precision = "fp32";  ///< or "bf16", "auto"
  trmml::Score score = trmml::Score::kMean;
  bool score_test_every_epoch = false;

  std::optional<int64_t> n_ctx;
  bool class_specific = true;
  trmml::ClassPosition class_position = trmml::ClassPosition::kEnd;
  double logit_scale = 50.0;
  double sharpness = 0.5;  ///< text-pixel

  int64_t heads = 1;
  int64_t layers = 0;
  std::optional<int64_t> attn_dim;
  std::optional<int64_t> mlp_hidden;
  double dropout = 0.0;
  bool query_residual = false;
  trmml::QueryInit query_init = trmml::QueryInit::kText;
  trmml::AttentionInit attention_init = trmml::AttentionInit::kRandom;

  trmml::TrmMlLossOptions loss;
  std::optional<double> absent_weight;
  std::optional<double> pseudo_weight;
  double prototype_momentum = 0.9;
  trmml::PrototypeLevel prototype_level = trmml::PrototypeLevel::kQuery;

  std::optional<trmml::PseudoLabelPolicy> policy;
  std::optional<double> positive_share;
  std::optional<double> negative_share;
  std::optional<double> positives_per_image;
  std::optional<int64_t> pseudo_from_epoch;
};

/// Whether no absence is known: the protocol hides them all, or `positives_per_image`
/// is given for labels that come from a file.
bool positives_only(const RunOptions& options);

/// What an unknown label counts as: what is chosen; where no absence is known, they are
/// assumed.
trmml::UnknownLabels unknown_labels(const RunOptions& options);

/// The switches of the method. Throws `program::UsageError` when it is unknown.
trmml::MethodSwitches switches_of(const RunOptions& options);

/// Everything of one run; `all_protocols` as in `add_protocol`.
void add_options(CLI::App& app, RunOptions& options, bool all_protocols);

/// False for the linear probe on known labels with single positives: no absence is
/// known, so it is not defined.
bool is_defined(const std::string& method, const Protocol& protocol);

/// Throws `program::UsageError` for an unknown method, for options that contradict each
/// other, and for options that have no effect with the others.
void check(const CLI::App& app, const RunOptions& options);

}  // namespace experiment
