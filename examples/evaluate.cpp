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
// safetensors file that is none, a checkpoint that does not fit, 5 stopped by a signal,
// 6 an output that cannot be written.

#include <fmt/format.h>

#include <string>

#include "support/checkpoint_scores.hpp"
#include "support/evaluation.hpp"
#include "support/metric_options.hpp"
#include "support/program.hpp"
#include "support/score_reader.hpp"

namespace {

struct Options {
  evaluation_program::ScoreFiles files;
  evaluation_program::CheckpointSource checkpoint;
  evaluation_program::MetricWords metrics;
  std::string out;
  bool quiet = false;
};

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
  const std::string& save_scores = options.checkpoint.save_scores;
  const auto metrics = evaluation_program::metric_options(
      app, options.metrics, !options.checkpoint.predictor.checkpoint.empty());
  program::check_output("--out", options.out, {".json"});
  program::check_output("--save-scores", save_scores, {".safetensors"});
  evaluation_program::Scored scored = scored_by(app, options);
  evaluation_program::check_top_k(app, scored.names.size());
  const auto report = evaluation_program::evaluate(scored, metrics);
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
  const size_t others = app.get_options().size();
  evaluation_program::add_options(app, options.checkpoint);
  CLI::Option* checkpoint = app.get_option("--checkpoint");
  for (const char* flag :
       {"--scores", "--labels", "--mask", "--names", "--code", "--scale", "--logits"}) {
    checkpoint->excludes(app.get_option(flag));
  }
  const auto all = app.get_options();
  for (size_t i = others; i < all.size(); ++i) {
    if (all[i] != checkpoint) {
      all[i]->needs(checkpoint);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Metrics of scores against labels."};
  Options options;
  app.option_defaults()->always_capture_default();
  evaluation_program::add_options(app, options.metrics);
  add_sources(app, options);
  app.add_option("--out", options.out, "File for the report, in JSON");
  app.add_flag("--quiet", options.quiet, "Print no line a category");
  program::parse(app, argc, argv);
  return program::run("evaluate", [&] { evaluate(app, options); });
}
