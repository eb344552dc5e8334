#pragma once

#include "trmml/report/event_log.hpp"
#include "trmml/report/metrics_log.hpp"
#include "trmml/training/trainer.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// What a training program writes into its folder while it runs, and on what it runs.

namespace program {

/// The numbers of an epoch, with the quality of its pseudo-labels if it had any.
trmml::report::EpochMetrics epoch_metrics(
    const trmml::training::EpochReport& epoch,
    std::optional<trmml::evaluation::PseudoLabelQuality> pseudo_labels);

/// Values of an epoch whose distribution TensorBoard shows.
struct EpochHistogram {
  std::string tag;
  std::vector<float> values;
};

/// How far the averaged weights tell present from absent ("held_out_logits/present",
/// ".../absent": of the known entries of `held_out_labels` [n, C]), and how far the
/// prompts have moved ("prompts/context_norm": of each vector, not averaged).
std::vector<EpochHistogram> epoch_histograms(
    const trmml::training::EpochReport& epoch,
    const at::Tensor& held_out_labels,
    trmml::Method& method);

/// Writes `metrics.jsonl` and TensorBoard's event files, a step an epoch. Touches the
/// files only when the first epoch is done: a state that the trainer refuses, and a run
/// with nothing left to train, leave them as they were.
class RunLog {
 public:
  /// With `resume`, goes on behind the epochs that the state `last.safetensors` in
  /// `folder` has done; what the files hold of later ones is dropped. `config` is the
  /// text of `config.toml`, shown under TensorBoard's "Text". Throws
  /// `trmml::CheckpointError` when the state cannot be read.
  RunLog(std::filesystem::path folder, bool resume, std::string config);

  void epoch(
      const trmml::report::EpochMetrics& metrics,
      const std::vector<EpochHistogram>& histograms);

  /// Every epoch of the run, those before a break too.
  std::vector<trmml::report::EpochMetrics> history() const;

 private:
  void open();

  std::filesystem::path folder_;
  std::string config_;
  std::optional<int64_t> resume_epoch_;
  std::optional<trmml::report::MetricsLog> metrics_;
  std::optional<trmml::report::EventLog> events_;
};

/// Threads, BLAS, compiler and the revision of the sources, for `RunReport`. Call it
/// after `trmml::set_threads`.
std::vector<std::pair<std::string, std::string>> environment();

/// `git describe` of the sources that were built; empty outside of a repository.
std::string_view git_revision();

}  // namespace program
