#include "support/checkpoint_scores.hpp"

#include "trmml/core/error.hpp"
#include "trmml/core/version.hpp"
#include "trmml/data/scenes.hpp"
#include "trmml/io/safetensors.hpp"
#include "trmml/report/progress.hpp"

#include <ATen/ops/cat.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/repeat_interleave.h>
#include <ATen/ops/tensor.h>

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <numeric>

#include "support/metric_options.hpp"
#include "support/picture_check.hpp"
#include "support/program.hpp"
#include "support/scenes_world.hpp"
#include "support/utf8.hpp"

namespace evaluation_program {

void add_options(CLI::App& app, CheckpointSource& source) {
  experiment::add_options(app, source.predictor);
  experiment::add_skip_unreadable(app, source.predictor);
  std::vector<std::string> choices = data_set::names();
  choices.emplace_back(data_set::kScenes);
  data_set::add_options(app, source.data, choices, /*required=*/false);
  app.add_option("--part", source.part, "Of the data set: train, test")
      ->check(CLI::IsMember({"train", "test"}));
  app.add_option(
      "--save-scores",
      source.save_scores,
      "File (.safetensors) for scores and labels, which --scores and --labels read");
}

namespace {

// What is scored, wherever it comes from.
struct Pictures {
  std::string name;                ///< "COCO 2014 val"
  std::vector<std::string> names;  ///< [C] categories
  at::Tensor labels;               ///< int8 [N, C]
  at::Tensor ignore;               ///< bool [N, C] or undefined
  /// uint8 [3, S, S], as the tower sees it.
  std::function<at::Tensor(const experiment::Predictor&, int64_t)> pixels;
};

// The rows of `split` that are scored: those that cannot be read are left out.
std::vector<int64_t> rows_of(
    const trmml::data::Split& split,
    const program::StreamOptions& options) {
  std::vector<int64_t> rows(split.table.images.size());
  std::iota(rows.begin(), rows.end(), 0);
  return options.skip_unreadable
             ? picture_check::readable_rows(
                   split,
                   rows,
                   options.workers,
                   [](const std::string& line) { fmt::print(stderr, "{}\n", line); })
             : rows;
}

Pictures read_pictures(const CheckpointSource& source) {
  const trmml::data::Split split = data_set::read(
      source.data,
      source.part == "test" ? data_set::Part::kTest : data_set::Part::kTrain);
  const std::vector<int64_t> rows = rows_of(split, source.predictor.stream);
  const auto picked = [index = at::tensor(rows, at::kLong)](const at::Tensor& matrix) {
    return matrix.defined() ? matrix.index_select(0, index) : matrix;
  };
  return {
      split.name,
      split.table.classnames,
      picked(split.table.labels),
      picked(split.ignore),
      [root = split.root, files = split.table.images, rows](
          const auto& predictor, int64_t i) {
        const auto row = static_cast<size_t>(rows[static_cast<size_t>(i)]);
        return predictor.pixels(predictor.read(root / files[row]));
      }};
}

// As train_scenes sees them: every pixel repeated, nothing interpolated.
Pictures paint_scenes(const CheckpointSource& source, int64_t resolution) {
  using trmml::data::FashionMnist;
  const auto photos = std::make_shared<const FashionMnist>(FashionMnist::load(
      source.data.data.empty() ? trmml::data::kFashionMnistFolder : source.data.data));
  using Pool = FashionMnist::Pool;
  const trmml::data::SceneSet painted =
      source.part == "test"
          ? trmml::data::make_scenes(photos, Pool::kTest, 0, scenes::kTestScenes)
          : trmml::data::make_scenes(photos, Pool::kTrain, 0, scenes::kTrainScenes);
  const int64_t side = painted.images.size(1);
  if (resolution % side != 0) {
    throw program::UsageError(fmt::format(
        "--dataset scenes: expected a method that was trained at {} times a whole "
        "number of pixels, got {}",
        side,
        resolution));
  }
  return {
      "FashionScenes " + source.part,
      trmml::data::scene_classnames(),
      painted.labels,
      {},
      [images = painted.images, upscale = resolution / side](const auto&, int64_t i) {
        return images[i]
            .permute({2, 0, 1})
            .repeat_interleave(upscale, 1)
            .repeat_interleave(upscale, 2)
            .contiguous();  // [3, S, S]
      }};
}

// The columns of labels and scores are the same categories.
void check_names(const experiment::Trained& trained, const Pictures& pictures) {
  const auto& got = pictures.names;
  const auto [expected, other] =
      std::mismatch(trained.names.begin(), trained.names.end(), got.begin(), got.end());
  if (expected == trained.names.end() && other == got.end()) {
    return;
  }
  const auto shown = [](auto name, const std::vector<std::string>& names) {
    return name == names.end() ? std::string("none") : "\"" + *name + "\"";
  };
  throw trmml::DataError(fmt::format(
      "{}: expected the {} categories of {} in their order, got {}; the first that "
      "differs is {}, expected {}",
      pictures.name,
      trained.names.size(),
      trained.file.string(),
      got.size(),
      shown(other, got),
      shown(expected, trained.names)));
}

at::Tensor logits_of(
    experiment::Predictor& predictor,
    const Pictures& pictures,
    program::StreamOptions options) {
  options.skip_unreadable = false;  // they are left out already
  const int64_t count = pictures.labels.size(0);
  trmml::report::Progress progress("evaluate", count, stderr, {.unit = "pictures"});
  std::vector<at::Tensor> rows;
  program::stream_pictures<at::Tensor>(
      0,
      count,
      options,
      [&](int64_t i) { return pictures.pixels(predictor, i); },
      [&](const program::PictureBatch<at::Tensor>& batch) {
        rows.push_back(predictor.logits(predictor.forward(batch.items)));
        progress.update(batch.end);
      },
      {},
      "stopped; nothing was written");
  progress.finish();
  return at::cat(rows);  // [N, C]
}

void save(const Scored& scored, const CheckpointSource& source) {
  trmml::io::TensorMap tensors = {{"scores", scored.scores}, {"labels", scored.labels}};
  if (scored.ignore.defined()) {
    tensors["mask"] = scored.ignore;
  }
  trmml::io::write_safetensors(
      source.save_scores,
      tensors,
      program::as_utf8(
          {{"scale", "logits"},
           {"split", scored.split},
           {"checkpoint", source.predictor.checkpoint},
           {"trmml_version", TRMML_VERSION}}));
}

}  // namespace

Scored score_checkpoint(const CLI::App& app, const CheckpointSource& source) {
  const bool is_painted = source.data.name == data_set::kScenes;
  if (source.data.name.empty() || (source.data.data.empty() && !is_painted)) {
    throw program::UsageError(
        "--checkpoint: expected the pictures to score, --dataset and --data");
  }
  data_set::check(app, source.data);
  program::expect_effect(
      app, !is_painted, {"--skip-unreadable"}, "another --dataset than scenes");
  program::catch_signals();
  const experiment::Trained trained =
      experiment::read_trained(source.predictor.checkpoint);
  check_top_k(app, trained.names.size());  // before all the work
  const Pictures pictures = is_painted
                                ? paint_scenes(source, trained.pictures.resolution)
                                : read_pictures(source);
  check_names(trained, pictures);
  experiment::Predictor predictor(trained, source.predictor);
  Scored scored;
  scored.scores = logits_of(predictor, pictures, source.predictor.stream);
  scored.labels = pictures.labels.contiguous();
  if (pictures.ignore.defined()) {
    scored.ignore = pictures.ignore.contiguous();
  }
  scored.names = pictures.names;
  scored.dataset = source.data.name;
  scored.split = pictures.name;
  scored.files = {{"checkpoint", source.predictor.checkpoint}};
  if (!source.data.data.empty()) {
    scored.files.emplace_back("data", source.data.data);
  }
  if (!source.save_scores.empty()) {
    save(scored, source);
  }
  return scored;
}

}  // namespace evaluation_program
