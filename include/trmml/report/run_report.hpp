#pragma once

#include "trmml/evaluation/average_precision.hpp"
#include "trmml/evaluation/bootstrap.hpp"
#include "trmml/evaluation/calibration.hpp"
#include "trmml/evaluation/multilabel_metrics.hpp"
#include "trmml/report/html_report.hpp"
#include "trmml/report/metrics_log.hpp"

#include <array>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace trmml::report {

/// One category of an evaluation.
struct CategoryRecord {
  static constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

  std::string name;
  std::int64_t positives = 0;  ///< entries present, known and counted
  std::int64_t negatives = 0;  ///< entries absent, known and counted
  std::array<double, 3> AP = {kNone, kNone, kNone};  ///< by `kApDefinitions`
  double precision = kNone;                          ///< at the threshold
  double recall = kNone;                             ///< at the threshold
  double F1 = kNone;                                 ///< at the threshold
};

/// What a run reports, as `report.json` holds it under the same names. Metrics are
/// fractions in [0, 1]; NaN (nothing to compute it from) is written as null.
struct RunReport {
  static constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

  /// E.g. "trm-ml". Empty where scores are evaluated that come from elsewhere: what
  /// only a training has (method, seed, mask, epochs ...) is then left out.
  std::string method;
  std::vector<std::pair<std::string, std::string>> files;  ///< evaluated, by role
  std::string dataset;                                     ///< e.g. "FashionScenes"
  std::string split;  ///< e.g. "test: 2,000 scenes"; splits must never be mixed

  std::optional<double> known_label_proportion;  ///< in (0, 1]; or else
  std::string protocol;                          ///< e.g. "single-positive-random"
  std::uint64_t seed = 0;
  std::int64_t known_entries = 0;  ///< labels that training saw
  std::string mask_digest;         ///< checksum of which labels those were

  /// Pictures that could not be read and were left out, by part: "training", "test".
  std::vector<std::pair<std::string, std::int64_t>> unreadable;

  /// What was not chosen but follows from other choices or from the data, by the name
  /// of the option: "pseudo-weight".
  std::vector<std::pair<std::string, double>> settings;

  double mAP = kNone;
  std::string average_precision_definition = "precision_at_positives";
  std::vector<std::pair<std::string, double>> mAP_by_definition;
  std::vector<std::pair<std::string, double>> per_class_AP;  ///< by category, in order
  std::int64_t skipped_without_positive = 0;  ///< categories left out of `mAP`
  std::int64_t skipped_without_negative = 0;  ///< categories left out of `mAP`
  std::optional<evaluation::BootstrapInterval> mAP_interval;
  std::int64_t runs = 1;  ///< number of seeds over which `mAP` is a mean
  double mAP_sd = kNone;  ///< their standard deviation; written when `runs` > 1

  double threshold = 0.5;                      ///< on probabilities
  evaluation::MultilabelMetrics at_threshold;  ///< written as CF1, OF1 and in full
  /// By category, in order: chosen on held-out pictures (`choose_thresholds`).
  std::vector<std::pair<std::string, double>> thresholds;
  evaluation::MultilabelMetrics at_thresholds;  ///< of these, where there are some
  std::int64_t top_k = 0;                       ///< 0: not evaluated
  evaluation::MultilabelMetrics at_top_k;
  std::optional<evaluation::Calibration> calibration;
  std::vector<CategoryRecord> categories;

  std::string selected_on;                 ///< "held-out" or "test"
  std::optional<double> held_out_mAP;      ///< of what was chosen
  std::optional<std::int64_t> best_epoch;  ///< the one chosen, from 0
  double mAP_best_on_test =
      kNone;                   ///< what selection on test would have shown, if known
  std::int64_t epochs = 0;     ///< that were done
  bool stopped_early = false;  ///< before the last one; written with `best_epoch`
  double seconds = 0.0;

  std::string torch_version;
  std::string trmml_version;
  std::vector<std::pair<std::string, std::string>> environment;  ///< threads, BLAS, ...

  /// What `metrics.jsonl` holds, in order. `report.json` repeats the quality of the
  /// pseudo-labels only, under "pseudo_labels".
  std::vector<EpochMetrics> history;
  std::vector<RunReport> rows;  ///< where a program runs several methods: one each
};

/// The text of `report.json`. Keys always stand in the same order.
std::string to_json(const RunReport& report);

/// Writes `report.json`, atomically. Throws `trmml::WriteError` if that fails.
void write_json(const std::filesystem::path& path, const RunReport& report);

/// A table of methods: a row each of `rows`, the best mAP in bold.
Table ablation_table(const std::vector<RunReport>& rows);

/// The common part of `report.html`: facts, table of methods, curves of the training,
/// AP per category, quality of the pseudo-labels, environment; what a report does not
/// have is left out. Programs add their pictures and write it.
///
/// Example:
/// ```
/// html_report(report).add_section("Pictures").add_panels(panels).write(out /
/// "report.html");
/// ```
HtmlReport html_report(const RunReport& report);

}  // namespace trmml::report
