// Which categories pictures show, by a method that was trained.
//
//   predict --checkpoint RUN/best.safetensors --images photos --out photos.csv
//   predict --checkpoint RUN/best.safetensors --images a.jpg b.jpg --predicted
//   predict --checkpoint RUN/best.safetensors --images photos --top-k 5 --out top.json
//
// gives a probability for each category and picture: by default all of them, a line a
// picture; with --predicted those above their threshold, with --top-k the most probable
// ones. Thresholds are those that the training chose on held-out pictures, one a
// category, or --threshold for all. Files: docs/prediction.md.
//
// Exit status: 0 done, 2 wrong options, 3 a picture that cannot be read, 4 a checkpoint
// or a CLIP that cannot be read or does not fit, 5 stopped by a signal, 6 an output
// that cannot be written.

#include "trmml/report/progress.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "support/prediction_file.hpp"
#include "support/predictor.hpp"
#include "support/program.hpp"

namespace {

struct Options {
  experiment::PredictorOptions predictor;
  std::vector<std::string> images;
  std::string out;
  std::optional<double> threshold;
  bool predicted_only = false;
  int64_t top_k = 0;
};

program::PredictionFormat format_of(
    const Options& options,
    const experiment::Trained& trained,
    const experiment::Predictor& predictor) {
  program::PredictionFormat format;
  format.names = trained.names;
  format.thresholds = trained.thresholds;
  if (options.threshold) {
    format.thresholds.assign(trained.names.size(), *options.threshold);
  }
  format.predicted_only = options.predicted_only;
  format.top_k = options.top_k;
  format.origin = {
      {"checkpoint", options.predictor.checkpoint},
      {"method", trained.options.method},
      {"dataset", trained.dataset},
      {"clip", predictor.clip()},
      {"thresholds_from", options.threshold ? "--threshold" : "held-out pictures"}};
  return format;
}

void predict(const CLI::App& app, const Options& options) {
  const bool is_json = std::filesystem::path(options.out).extension() == ".json";
  program::expect_effect(
      app,
      is_json || options.predicted_only || options.top_k > 0,
      {"--threshold"},
      "--predicted, --top-k or --out F.json");
  program::check_output("--out", options.out, {".csv", ".json"});
  program::catch_signals();
  const experiment::Trained trained =
      experiment::read_trained(options.predictor.checkpoint);
  const experiment::PictureList pictures = experiment::list_pictures(options.images);
  experiment::Predictor predictor(trained, options.predictor);
  program::PredictionFile file(options.out, format_of(options, trained, predictor));
  const auto count = static_cast<int64_t>(pictures.paths.size());
  trmml::report::Progress progress("predict", count, stderr, {.unit = "pictures"});
  int64_t left_out = 0;
  program::stream_pictures<at::Tensor>(
      0,
      count,
      options.predictor.stream,
      [&](int64_t i) { return predictor.pixels(predictor.read(pictures.file(i))); },
      [&](const program::PictureBatch<at::Tensor>& batch) {
        if (!batch.items.empty()) {
          const at::Tensor probabilities =
              predictor.logits(predictor.forward(batch.items)).sigmoid();  // [B, C]
          for (size_t i = 0; i < batch.indices.size(); ++i) {
            file.add(
                pictures.paths[static_cast<size_t>(batch.indices[i])],
                probabilities[static_cast<int64_t>(i)]);
          }
        }
        progress.update(batch.end);
      },
      [&](int64_t i, const trmml::DataError& error) {
        ++left_out;
        file.left_out(pictures.paths[static_cast<size_t>(i)], error.what());
        progress.message(std::string("left out: ") + error.what());
      },
      "stopped; nothing was written to --out");
  file.finish();
  progress.finish();
  if (left_out > 0) {
    fmt::print(stderr, "left out {} of {} pictures\n", left_out, count);
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Which categories pictures show, by a method that was trained."};
  Options options;
  app.option_defaults()->always_capture_default();
  app.add_option("--images", options.images, "Folders (at any depth) and files")
      ->required();
  app.add_option("--out", options.out, "File .csv or .json instead of printing CSV");
  app.add_option(
         "--threshold",
         options.threshold,
         "For every category (not set: those chosen on held-out pictures)")
      ->check(program::expects(
          "a number from 0 to 1", [](double t) { return t >= 0.0 && t <= 1.0; }));
  app.add_flag(
      "--predicted", options.predicted_only, "Categories above their threshold only");
  app.add_option("--top-k", options.top_k, "Most probable categories only; 0: all")
      ->check(program::at_least(0));
  experiment::add_skip_unreadable(app, options.predictor);
  experiment::add_options(app, options.predictor)->required();
  program::parse(app, argc, argv);
  return program::run("predict", [&] { predict(app, options); });
}
