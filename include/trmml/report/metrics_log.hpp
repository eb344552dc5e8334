#pragma once

#include "trmml/evaluation/pseudo_label_quality.hpp"

#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace trmml::io {
class AppendFile;
}

namespace trmml::report {

/// What the evaluation at the end of an epoch has shown: a line of `metrics.jsonl`,
/// which holds it under the same names. Metrics are fractions in [0, 1].
struct EpochMetrics {
  static constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

  std::int64_t epoch = 0;           ///< from 0
  double held_out_mAP = kNone;      ///< of the averaged weights
  double held_out_mAP_raw = kNone;  ///< of the weights themselves
  std::optional<double> test_mAP;   ///< of the averaged weights, if it was scored
  double learning_rate = kNone;     ///< at the epoch's last step
  double seconds = kNone;           ///< for training and evaluating the epoch
  std::vector<std::pair<std::string, double>> losses;  ///< mean of each term, by name
  std::optional<evaluation::PseudoLabelQuality> pseudo_labels;  ///< used in the epoch
};

/// Writes `metrics.jsonl`: an object a line and a line an epoch, keys always in the
/// same order, NaN as null. A line is in the file as a whole or not at all, as soon as
/// `append` returns.
///
/// Throws `trmml::WriteError` (path, reason) when the file cannot be written.
///
/// Example:
/// ```
/// MetricsLog log("runs/a/metrics.jsonl");
/// log.append({.epoch = 0, .held_out_mAP = 0.5});
/// ```
class MetricsLog {
 public:
  /// Begins a file, or with `resume_epoch` goes on with one: lines of this epoch and
  /// later ones, which the resumed run does again, are cut off, and so is a last line
  /// that a killed run left incomplete. Then also throws what `read_metrics` throws,
  /// unless there is no file yet.
  explicit MetricsLog(
      const std::filesystem::path& path,
      std::optional<std::int64_t> resume_epoch = std::nullopt);
  ~MetricsLog();
  MetricsLog(const MetricsLog&) = delete;
  MetricsLog& operator=(const MetricsLog&) = delete;

  void append(const EpochMetrics& metrics);

  /// What the file holds: every epoch, those before a break too.
  const std::vector<EpochMetrics>& history() const { return history_; }

 private:
  std::vector<EpochMetrics> history_;
  std::unique_ptr<io::AppendFile> file_;
};

/// The lines of a `metrics.jsonl`. Keys that are missing or null leave the default,
/// keys that are unknown are passed over, and so is a last line without its end. Throws
/// `trmml::DataError` (path, line, expected, got) for anything else.
std::vector<EpochMetrics> read_metrics(const std::filesystem::path& path);

}  // namespace trmml::report
