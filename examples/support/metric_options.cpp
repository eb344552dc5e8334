#include "support/metric_options.hpp"

#include "trmml/evaluation/average_precision.hpp"

#include <fmt/format.h>

#include "support/program.hpp"

namespace evaluation_program {

void add_options(CLI::App& app, MetricWords& words) {
  auto& metrics = words.metrics;
  CLI::Option* scale =
      app.add_option(
             "--scale",
             words.scale,
             "What scores are. logits: the sigmoid makes them probabilities; ranking: "
             "of "
             "any kind, no threshold and no calibration")
          ->check(CLI::IsMember({"probabilities", "logits", "ranking"}));
  app.add_flag_callback(
         "--logits", [&words] { words.scale = "logits"; }, "As --scale logits")
      ->excludes(scale);
  app.add_option(
         "--ap",
         words.ap,
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

MetricOptions
metric_options(const CLI::App& app, const MetricWords& words, bool has_checkpoint) {
  using program::expect_effect;
  MetricOptions metrics = words.metrics;
  metrics.definition = trmml::evaluation::parse_ap_definition(words.ap);
  metrics.scale = has_checkpoint || words.scale == "logits" ? Scale::kLogits
                  : words.scale == "ranking"                ? Scale::kRanking
                                                            : Scale::kProbabilities;
  expect_effect(
      app,
      metrics.scale != Scale::kRanking,
      {"--threshold", "--bins"},
      "another --scale than ranking");
  expect_effect(
      app,
      metrics.bootstrap.replicates > 0,
      {"--confidence", "--seed"},
      "--bootstrap above 0");
  return metrics;
}

void check_top_k(const CLI::App& app, size_t categories) {
  const CLI::Option* option = app.get_option("--top-k");
  if (option->count() > 0 && option->as<size_t>() >= categories) {
    throw program::UsageError(fmt::format(
        "--top-k: expected less than the {} categories, got {} (it would have no "
        "effect)",
        categories,
        option->as<size_t>()));
  }
}

}  // namespace evaluation_program
