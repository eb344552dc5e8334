#pragma once

#include "trmml/method/method.hpp"
#include "trmml/report/run_report.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "support/run_log.hpp"
#include "support/run_options.hpp"
#include "support/world.hpp"

// One run of one method: what every training program shares.

namespace experiment {

/// One run, trained and scored once on test.
struct RunResult {
  trmml::report::RunReport report;
  std::shared_ptr<trmml::Method> model;      ///< null without prompts
  trmml::Score score = trmml::Score::kMean;  ///< that of its outputs
  int64_t n_ctx = 0;                         ///< context tokens of its prompts
  at::Tensor observed;                       ///< labels [n, C] that training saw
  at::Tensor held_out_scores;                ///< [n, C]
  at::Tensor test_scores;                    ///< [n, C]
};

/// What a run is told and asked.
struct RunCallbacks {
  std::function<void(const std::string&)> log;  ///< what is trained on, a line an epoch
  std::function<void(const trmml::training::StepReport&)> step_end;
  std::function<void(
      const trmml::report::EpochMetrics&,
      const std::vector<program::EpochHistogram>&)>
      epoch_end;
  std::function<bool()> should_stop;
};

/// What a run of a method looks at of the training pictures.
TrainingViews training_views(const trmml::MethodSwitches& switches);

/// Those of a run that does not stop early, but for the few pictures that its report
/// shows.
Passes passes_of(const RunOptions& options);

/// The labels [n, C] of the pictures that are trained on, as training sees them.
at::Tensor observed_labels(const World& world, const RunOptions& options);

/// Throws what `run` would throw before its first step, as far as labels, texts and
/// options tell it: a mask that does not fit, labels of which none stays known, prompts
/// that are too long, a method that cannot be built. `world` needs no features yet.
void check_run(const World& world, const RunOptions& options);

/// Checksum of the labels that stay known in a run, as its report has it.
std::string mask_digest(const World& world, const RunOptions& options);

/// `base`, if given, is the run of "region+distillation+contrastive" with the same
/// options: the control that adds the zero-shot score to it then need not train again.
RunResult run(
    World& world,
    const RunOptions& options,
    const RunCallbacks& callbacks = {},
    const RunResult* base = nullptr);

}  // namespace experiment
