// Metrics of scores against labels, from files or from a trained method.
//
//   evaluate --scores scores.csv --labels labels.csv
//   evaluate --scores scores.safetensors --labels labels.safetensors --scale logits
//     --names names.txt --out report.json
//   evaluate --checkpoint RUN/best.safetensors --dataset voc2007 --data VOCdevkit
//     --out report.json --save-scores scores.safetensors
//   evaluate --checkpoint RUN/best.safetensors --dataset scenes
//
// Files are matrices [pictures, categories]: CSV, .npy or safetensors. Labels are -1
// absent, 0 unknown (left out), +1 present; --code reads what others write. --mask
// leaves out further entries: those where it is 1. Prints mAP in three definitions with
// a bootstrap interval, CP CR CF1 OP OR OF1 at a threshold and top-k, the calibration,
// and a line a category; --out holds all of it under the keys of report.json
// (docs/metrics.md). --checkpoint scores every picture of the data set's part
// (docs/prediction.md).
//
// Exit status: 0 done, 2 wrong options, 3 files that cannot be read or do not fit, 4 a
// safetensors file that is none, a checkpoint that does not fit, 5 stopped by a signal.

#include "trmml/evaluation/average_precision.hpp"

#include <fmt/format.h>

#include <string>

#include "support/checkpoint_scores.hpp"
#include "support/evaluation.hpp"
#include "support/program.hpp"
#include "support/score_files.hpp"

namespace {

using evaluation_program::MetricOptions;
using evaluation_program::Scale;

struct Options {
  evaluation_program::ScoreFiles files;
  evaluation_program::CheckpointSource checkpoint;
  std::string scale = "probabilities";
  std::string ap = "precision_at_positives";
  MetricOptions metrics;  // but for these two
  std::string out;
  bool quiet = false;
};

MetricOptions metric_options(const Options& options) {
  MetricOptions metrics = options.metrics;
  metrics.definition = trmml::evaluation::parse_ap_definition(options.ap);
  const bool has_checkpoint = !options.checkpoint.predictor.checkpoint.empty();
  metrics.scale = has_checkpoint || options.scale == "logits" ? Scale::kLogits
                  : options.scale == "ranking"                ? Scale::kRanking
                                                              : Scale::kProbabilities;
  return metrics;
}

evaluation_program::Scored scored_by(const CLI::App& app, const Options& options) {
  const bool has_files = !options.files.scores.empty() && !options.files.labels.empty();
  const bool has_checkpoint = !options.checkpoint.predictor.checkpoint.empty();
  if (has_files == has_checkpoint) {
    throw program::UsageError("expected either --scores and --labels, or --checkpoint");
  }
  return has_files ? evaluation_program::read_score_files(options.files)
                   : evaluation_program::score_checkpoint(app, options.checkpoint);
}

void evaluate(const CLI::App& app, const Options& options) {
  evaluation_program::Scored scored = scored_by(app, options);
  const auto report = evaluation_program::evaluate(scored, metric_options(options));
  fmt::print("{}", evaluation_program::summary(report));
  if (!options.quiet) {
    fmt::print("\n{}", evaluation_program::category_table(report));
  }
  if (!options.out.empty()) {
    trmml::report::write_json(options.out, report);
  }
}

// Either files, or a checkpoint and a data set.
void add_sources(CLI::App& app, Options& options) {
  evaluation_program::add_options(app, options.files);
  evaluation_program::add_options(app, options.checkpoint);
  CLI::Option* checkpoint = app.get_option("--checkpoint");
  for (const char* flag :
       {"--scores", "--labels", "--mask", "--names", "--code", "--scale", "--logits"}) {
    checkpoint->excludes(app.get_option(flag));
  }
  for (const char* flag : {"--dataset", "--data", "--part", "--save-scores"}) {
    app.get_option(flag)->needs(checkpoint);
  }
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
  CLI::App app{"Metrics of scores against labels."};
  Options options;
  app.option_defaults()->always_capture_default();
  add_metrics(app, options);
  add_sources(app, options);
  app.add_option("--out", options.out, "File for the report, in JSON");
  app.add_flag("--quiet", options.quiet, "Print no line a category");
  program::parse(app, argc, argv);
  return program::run("evaluate", [&] { evaluate(app, options); });
}
