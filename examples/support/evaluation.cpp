#include "support/evaluation.hpp"

#include "trmml/core/error.hpp"
#include "trmml/core/torch_version.hpp"
#include "trmml/core/version.hpp"
#include "trmml/evaluation/matrix.hpp"

#include <ATen/ATen.h>

#include <fmt/format.h>

#include <cmath>
#include <iterator>
#include <stdexcept>
#include <tuple>

namespace evaluation_program {

namespace {

namespace evaluation = trmml::evaluation;
using trmml::report::CategoryRecord;
using trmml::report::RunReport;

template <typename T>
Eigen::Map<const evaluation::ScoreMatrix<T>> scores_of(const Scored& scored) {
  return {scored.scores.data_ptr<T>(), scored.scores.size(0), scored.scores.size(1)};
}

Eigen::Map<const evaluation::LabelMatrix> labels_of(const Scored& scored) {
  return {
      scored.labels.data_ptr<int8_t>(), scored.labels.size(0), scored.labels.size(1)};
}

Eigen::Map<const evaluation::IgnoreMask> ignore_of(const Scored& scored) {
  if (!scored.ignore.defined()) {
    return {nullptr, 0, 0};
  }
  return {scored.ignore.data_ptr<bool>(), scored.ignore.size(0), scored.ignore.size(1)};
}

void count_labels(const Scored& scored, RunReport& report) {
  const auto labels = labels_of(scored);
  const auto ignore = ignore_of(scored);
  for (Eigen::Index n = 0; n < labels.rows(); ++n) {
    for (Eigen::Index c = 0; c < labels.cols(); ++c) {
      const bool is_counted = ignore.size() == 0 || !ignore(n, c);
      CategoryRecord& category = report.categories[static_cast<size_t>(c)];
      category.positives += is_counted && labels(n, c) > 0;
      category.negatives += is_counted && labels(n, c) < 0;
    }
  }
}

template <typename T>
void add_ranking_metrics(
    const Scored& scored,
    const MetricOptions& options,
    RunReport& report) {
  const auto scores = scores_of<T>(scored);
  const auto labels = labels_of(scored);
  const auto ignore = ignore_of(scored);
  const auto results =
      evaluation::mean_average_precision_by_definition(scores, labels, ignore);
  for (size_t i = 0; i < results.size(); ++i) {
    const auto& result = results[i];
    report.mAP_by_definition.emplace_back(to_string(result.definition), result.mAP);
    for (size_t c = 0; c < result.per_class.size(); ++c) {
      report.categories[c].AP[i] = result.per_class[c];
    }
    if (result.definition == options.definition) {
      report.mAP = result.mAP;
      report.skipped_without_positive = result.skipped_without_positive;
      report.skipped_without_negative = result.skipped_without_negative;
      for (size_t c = 0; c < result.per_class.size(); ++c) {
        report.per_class_AP.emplace_back(scored.names[c], result.per_class[c]);
      }
    }
  }
  if (options.bootstrap.replicates > 0) {
    report.mAP_interval = evaluation::bootstrap_mean_average_precision(
        scores, labels, options.definition, options.bootstrap, ignore);
  }
  if (options.top_k < scores.cols()) {
    report.top_k = options.top_k;
    report.at_top_k =
        evaluation::metrics_at_top_k(scores, labels, options.top_k, ignore);
  }
}

template <typename T>
void add_probability_metrics(
    const Scored& scored,
    const MetricOptions& options,
    RunReport& report) {
  const auto probabilities = scores_of<T>(scored);
  const auto labels = labels_of(scored);
  const auto ignore = ignore_of(scored);
  report.threshold = options.threshold;
  report.at_threshold = evaluation::metrics_at_threshold(
      probabilities, labels, options.threshold, ignore);
  report.calibration =
      evaluation::calibration(probabilities, labels, options.bins, ignore);
  for (size_t c = 0; c < report.categories.size(); ++c) {
    CategoryRecord& category = report.categories[c];
    category.precision = report.at_threshold.per_class_precision[c];
    category.recall = report.at_threshold.per_class_recall[c];
    category.F1 = report.at_threshold.per_class_F1[c];
  }
}

void check_probabilities(const at::Tensor& scores) {
  const double low = scores.min().item<double>();
  const double high = scores.max().item<double>();
  if (low < 0.0 || high > 1.0) {
    throw trmml::DataError(fmt::format(
        "scores: expected probabilities in [0, 1], got values from {:g} to {:g} "
        "(--scale logits applies the sigmoid; --scale ranking leaves out what needs "
        "probabilities)",
        low,
        high));
  }
}

template <typename T>
void add_metrics(Scored& scored, const MetricOptions& options, RunReport& report) {
  add_ranking_metrics<T>(scored, options, report);
  if (options.scale == Scale::kRanking) {
    report.threshold = RunReport::kNone;
    return;
  }
  if (options.scale == Scale::kLogits) {
    scored.scores.sigmoid_();
  }
  check_probabilities(scored.scores);
  add_probability_metrics<T>(scored, options, report);
}

std::string percent(double fraction) {
  return std::isnan(fraction) ? "-" : fmt::format("{:.2f}", 100.0 * fraction);
}

std::string metrics_text(const evaluation::MultilabelMetrics& metrics) {
  return fmt::format(
      "CP {}  CR {}  CF1 of means {}  CF1 mean of classes {}  OP {}  OR {}  OF1 {}",
      percent(metrics.CP),
      percent(metrics.CR),
      percent(metrics.CF1_of_means),
      percent(metrics.CF1_mean_of_classes),
      percent(metrics.OP),
      percent(metrics.OR),
      percent(metrics.OF1));
}

}  // namespace

RunReport evaluate(Scored& scored, const MetricOptions& options) {
  RunReport report;
  report.files = scored.files;
  report.dataset = scored.dataset;
  report.split = scored.split;
  report.average_precision_definition = to_string(options.definition);
  report.torch_version = trmml::torch_version();
  report.trmml_version = TRMML_VERSION;
  for (const std::string& name : scored.names) {
    report.categories.emplace_back().name = name;
  }
  count_labels(scored, report);
  try {
    if (scored.scores.scalar_type() == at::kDouble) {
      add_metrics<double>(scored, options, report);
    } else {
      add_metrics<float>(scored, options, report);
    }
  } catch (const std::invalid_argument& error) {  // of metrics: the files are to blame
    throw trmml::DataError(error.what());
  }
  return report;
}

std::string summary(const RunReport& report) {
  int64_t present = 0;
  int64_t absent = 0;
  for (const CategoryRecord& category : report.categories) {
    present += category.positives;
    absent += category.negatives;
  }
  std::string text = fmt::format(
      "{} categories, {} labels present, {} absent; all in percent\n",
      report.categories.size(),
      present,
      absent);
  const auto out = std::back_inserter(text);
  for (const auto& [name, value] : report.mAP_by_definition) {
    fmt::format_to(out, "mAP {:<23}{:>6}", name, percent(value));
    if (report.mAP_interval && name == report.average_precision_definition) {
      const auto& interval = *report.mAP_interval;
      fmt::format_to(
          out,
          "   {:g} % interval {} to {} ({} resamples of the pictures, seed {})",
          100.0 * interval.options.confidence,
          percent(interval.low),
          percent(interval.high),
          interval.options.replicates,
          interval.options.seed);
    }
    text += '\n';
  }
  const auto skipped =
      report.skipped_without_positive + report.skipped_without_negative;
  fmt::format_to(
      out,
      "mAP over {} of {} categories; left out: {} without a known positive, {} without "
      "a known negative\n",
      static_cast<int64_t>(report.categories.size()) - skipped,
      report.categories.size(),
      report.skipped_without_positive,
      report.skipped_without_negative);
  if (report.calibration) {
    fmt::format_to(
        out,
        "probability > {:g}: {}\n",
        report.threshold,
        metrics_text(report.at_threshold));
  }
  if (report.top_k > 0) {
    fmt::format_to(out, "top {}: {}\n", report.top_k, metrics_text(report.at_top_k));
  }
  if (report.calibration) {
    fmt::format_to(
        out,
        "ECE {} ({} bins)\n  probability       entries    mean  present\n",
        percent(report.calibration->ECE),
        report.calibration->bins.size());
    for (const auto& bin : report.calibration->bins) {
      fmt::format_to(
          out,
          "  {:.3f} to {:.3f} {:>9} {:>7} {:>8}\n",
          bin.low,
          bin.high,
          bin.entries,
          percent(bin.mean_probability),
          percent(bin.fraction_present));
    }
  }
  return text;
}

std::string category_table(const RunReport& report) {
  std::string text = fmt::format(
      "{:<24} {:>8} {:>9} {:>7} {:>9} {:>7} {:>7}\n",
      "category",
      "present",
      "absent",
      "AP",
      "precision",
      "recall",
      "F1");
  const auto definition =
      evaluation::parse_ap_definition(report.average_precision_definition);
  for (const CategoryRecord& category : report.categories) {
    fmt::format_to(
        std::back_inserter(text),
        "{:<24} {:>8} {:>9} {:>7} {:>9} {:>7} {:>7}\n",
        category.name,
        category.positives,
        category.negatives,
        percent(category.AP[static_cast<size_t>(definition)]),
        percent(category.precision),
        percent(category.recall),
        percent(category.F1));
  }
  return text;
}

}  // namespace evaluation_program
