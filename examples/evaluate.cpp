// Metrics of scores against labels, from files.
//
//   evaluate --scores scores.csv --labels labels.csv
//   evaluate --scores scores.safetensors --labels labels.safetensors --scale logits
//     --names names.txt --out report.json
//
// Files are matrices [pictures, categories]: CSV, .npy or safetensors. Labels are -1
// absent, 0 unknown (left out), +1 present; --code reads what others write. --mask
// leaves out further entries: those where it is 1. Prints mAP in three definitions with
// a bootstrap interval, CP CR CF1 OP OR OF1 at a threshold and top-k, the calibration,
// and a line a category; --out holds all of it under the keys of report.json
// (docs/metrics.md).
//
// Exit status: 0 done, 2 wrong options, 3 files that cannot be read or do not fit, 4 a
// safetensors file that is none.

#include "trmml/evaluation/average_precision.hpp"

#include <fmt/format.h>

#include <string>

#include "support/evaluation.hpp"
#include "support/program.hpp"
#include "support/score_files.hpp"

namespace {

using evaluation_program::MetricOptions;
using evaluation_program::Scale;

struct Options {
  evaluation_program::ScoreFiles files;
  std::string scale = "probabilities";
  std::string ap = "precision_at_positives";
  MetricOptions metrics;  // but for these two
  std::string out;
  bool quiet = false;
};

MetricOptions metric_options(const Options& options) {
  MetricOptions metrics = options.metrics;
  metrics.definition = trmml::evaluation::parse_ap_definition(options.ap);
  metrics.scale = options.scale == "logits"    ? Scale::kLogits
                  : options.scale == "ranking" ? Scale::kRanking
                                               : Scale::kProbabilities;
  return metrics;
}

void evaluate(const Options& options) {
  evaluation_program::Scored scored =
      evaluation_program::read_score_files(options.files);
  const auto report = evaluation_program::evaluate(scored, metric_options(options));
  fmt::print("{}", evaluation_program::summary(report));
  if (!options.quiet) {
    fmt::print("\n{}", evaluation_program::category_table(report));
  }
  if (!options.out.empty()) {
    trmml::report::write_json(options.out, report);
  }
}

void add_files(CLI::App& app, Options& options) {
  auto& files = options.files;
  const char* const kKinds = ": .csv, .npy or .safetensors";
  app.add_option("--scores", files.scores, std::string("Scores") + kKinds)->required();
  app.add_option(
         "--labels",
         files.labels,
         std::string("Labels: -1 absent, 0 unknown, +1 present") + kKinds)
      ->required();
  app.add_option(
      "--mask",
      files.mask,
      std::string("Entries to leave out: 1 is left out, 0 is counted") + kKinds);
  app.add_option("--names", files.names, "File with the name of a category a line");
  app.add_option(
      "--code",
      files.code,
      "How labels are written: hcp (as above), dualcoop, cole, cole-complete, splc");
  app.add_option("--out", options.out, "File for the report, in JSON");
  app.add_flag("--quiet", options.quiet, "Print no line a category");
}

void add_metrics(CLI::App& app, Options& options) {
  auto& metrics = options.metrics;
  app.add_option(
         "--scale",
         options.scale,
         "What scores are. logits: the sigmoid makes them probabilities; ranking: of "
         "any kind, no threshold and no calibration")
      ->check(CLI::IsMember({"probabilities", "logits", "ranking"}));
  app.add_flag_callback(
      "--logits", [&options] { options.scale = "logits"; }, "As --scale logits");
  app.add_option(
         "--ap",
         options.ap,
         "The definition that is called mAP; the others are reported beside it")
      ->check(CLI::IsMember({"precision_at_positives", "interpolated", "tie_grouped"}));
  app.add_option(
         "--threshold",
         metrics.threshold,
         "A category is predicted when its probability is greater")
      ->check(program::expects(
          "a number from 0 to 1", [](double t) { return t >= 0.0 && t <= 1.0; }));
  app.add_option("--top-k", metrics.top_k, "Categories predicted a picture")
      ->check(program::at_least(1));
  app.add_option("--bins", metrics.bins, "Bins of the calibration, of equal width")
      ->check(CLI::Range(1, 10000));
  app.add_option(
         "--bootstrap",
         metrics.bootstrap.replicates,
         "Resamples of the pictures for the interval of the mAP; 0: none")
      ->check(CLI::Range(0, 1000000));
  app.add_option("--confidence", metrics.bootstrap.confidence, "Of that interval")
      ->check(program::expects(
          "a number between 0 and 1", [](double c) { return c > 0.0 && c < 1.0; }));
  app.add_option("--seed", metrics.bootstrap.seed, "Of the resamples");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Metrics of scores against labels, from files."};
  Options options;
  app.option_defaults()->always_capture_default();
  add_files(app, options);
  add_metrics(app, options);
  program::parse(app, argc, argv);
  return program::run("evaluate", [&] { evaluate(options); });
}
