#include "support/checkpoint_scores.hpp"

#include "trmml/core/error.hpp"
#include "trmml/core/version.hpp"
#include "trmml/data/image.hpp"
#include "trmml/io/safetensors.hpp"
#include "trmml/report/progress.hpp"

#include <ATen/ops/cat.h>

#include <fmt/format.h>

#include <algorithm>

#include "support/program.hpp"

namespace evaluation_program {

void add_options(CLI::App& app, CheckpointSource& source) {
  experiment::add_options(app, source.predictor);
  data_set::add_options(app, source.data, data_set::names(), /*required=*/false);
  app.add_option("--part", source.part, "Of the data set: train, test")
      ->check(CLI::IsMember({"train", "test"}));
  app.add_option(
      "--save-scores",
      source.save_scores,
      "File (.safetensors) for scores and labels, which --scores and --labels read");
}

namespace {

// The columns of labels and scores are the same categories.
void check_names(const experiment::Trained& trained, const trmml::data::Split& split) {
  const auto& got = split.table.classnames;
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
      split.name,
      trained.names.size(),
      trained.file.string(),
      got.size(),
      shown(other, got),
      shown(expected, trained.names)));
}

at::Tensor logits_of(
    experiment::Predictor& predictor,
    const trmml::data::Split& split,
    const program::StreamOptions& options) {
  const auto& images = split.table.images;
  const auto count = static_cast<int64_t>(images.size());
  trmml::report::Progress progress("evaluate", count, stderr, {.unit = "pictures"});
  std::vector<at::Tensor> rows;
  program::stream_pictures<at::Tensor>(
      0,
      count,
      options,
      [&](int64_t i) {
        return predictor.pixels(
            trmml::data::read_image(split.root / images[static_cast<size_t>(i)]));
      },
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
      {{"scale", "logits"},
       {"split", scored.split},
       {"checkpoint", source.predictor.checkpoint},
       {"trmml_version", TRMML_VERSION}});
}

}  // namespace

Scored score_checkpoint(const CLI::App& app, const CheckpointSource& source) {
  if (source.data.name.empty() || source.data.data.empty()) {
    throw program::UsageError(
        "--checkpoint: expected the pictures to score, --dataset and --data");
  }
  data_set::check(app, source.data);
  program::catch_signals();
  const experiment::Trained trained =
      experiment::read_trained(source.predictor.checkpoint);
  const trmml::data::Split split = data_set::read(
      source.data,
      source.part == "test" ? data_set::Part::kTest : data_set::Part::kTrain);
  check_names(trained, split);
  experiment::Predictor predictor(trained, source.predictor);
  Scored scored;
  scored.scores = logits_of(predictor, split, source.predictor.stream);
  scored.labels = split.table.labels.contiguous();
  if (split.ignore.defined()) {
    scored.ignore = split.ignore.contiguous();
  }
  scored.names = split.table.classnames;
  scored.dataset = source.data.name;
  scored.split = split.name;
  scored.files = {
      {"checkpoint", source.predictor.checkpoint}, {"data", source.data.data}};
  if (!source.save_scores.empty()) {
    save(scored, source);
  }
  return scored;
}

}  // namespace evaluation_program
