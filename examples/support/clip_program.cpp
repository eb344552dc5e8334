#include "support/clip_program.hpp"

#include "trmml/clip/checkpoint.hpp"
#include "trmml/core/device.hpp"
#include "trmml/core/error.hpp"
#include "trmml/data/image.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "support/ordered_stream.hpp"
#include "support/program.hpp"

namespace clip_program {

namespace fs = std::filesystem;
using trmml::clip::PreprocessOptions;

void add_options(CLI::App& app, Options& options) {
  app.add_option("--clip", options.clip, "File or folder of a CLIP")->required();
  app.add_option(
      "--vocab", options.vocab, "Vocabulary of the tokenizer (not set: looked for)");
  app.add_option(
      "--quick-gelu",
      options.quick_gelu,
      "true, false (not set: what the weights say)");
  app.add_option(
         "--resolution", options.resolution, "Pixels a side, 0: the weights' own")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--fit", options.fit, "crop: CLIP's; squash: nothing is cut off")
      ->check(CLI::IsMember({"crop", "squash"}));
  app.add_option("--filter", options.filter, "Resizing")
      ->check(CLI::IsMember({"bicubic", "bilinear"}));
  app.add_option(
         "--pillow", options.pillow, "Resize as this Pillow does: 12 (and before), 13")
      ->check(CLI::IsMember({12, 13}));
  app.add_flag("--exif-orientation", options.exif_orientation, "Turn pictures upright");
  app.add_flag(
      "--skip-bad", options.skip_bad, "Leave bad pictures out instead of stopping");
  app.add_flag("--truncate", options.truncate, "Cut texts that are too long");
  app.add_option("--batch", options.batch, "Pictures or texts at a time")
      ->check(CLI::PositiveNumber);
  app.add_option(
         "--limit-batches", options.limit_batches, "Stop after so many, 0: never")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--threads", options.threads, "0: every core")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--workers", options.workers, "Threads that read pictures ahead")
      ->check(CLI::PositiveNumber);
  app.add_option("--device", options.device, "cpu, cuda, cuda:1, ...");
}

namespace {

at::Device device_of(const std::string& name) {
  try {
    const at::Device device(name);
    if (device.is_cpu() || at::hasCUDA()) {
      return device;
    }
  } catch (const c10::Error&) {
    throw program::UsageError(
        fmt::format("--device: expected cpu or cuda, got '{}'", name));
  }
  throw program::UsageError(fmt::format("--device: there is no {} here", name));
}

}  // namespace

Clip load(const Options& options) {
  trmml::set_threads(options.threads);
  Clip clip;
  clip.device = device_of(options.device);
  trmml::clip::LoadedClip loaded = trmml::clip::load_clip(
      options.clip,
      trmml::clip::CheckpointOptions()
          .quick_gelu(options.quick_gelu)
          .device(clip.device));
  clip.model = loaded.model;
  clip.description = loaded.description;
  const int64_t resolution = options.resolution > 0
                                 ? options.resolution
                                 : clip.model->options.input_resolution();
  using trmml::clip::Fit;
  using trmml::data::Filter;
  using trmml::data::PassOrder;
  clip.preprocess =
      PreprocessOptions(resolution)
          .fit(options.fit == "crop" ? Fit::kCrop : Fit::kSquash)
          .filter(options.filter == "bicubic" ? Filter::kBicubic : Filter::kBilinear)
          .pass_order(
              options.pillow == 13 ? PassOrder::kPillow13 : PassOrder::kRowsFirst);
  fmt::print(stderr, "{}\n{}\n", trmml::describe_backend(), clip.description);
  return clip;
}

trmml::clip::Tokenizer load_tokenizer(const Options& options) {
  std::optional<fs::path> given;
  if (!options.vocab.empty()) {
    given = options.vocab;
  }
  return trmml::clip::Tokenizer::load(
      trmml::clip::find_vocabulary(options.clip, given));
}

std::vector<std::string> read_lines(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line.back() == '\r') {
      line.pop_back();
    }
    lines.push_back(line);
  }
  if (!file.eof() || fs::is_directory(path)) {
    throw trmml::DataError(path + ": cannot read the file");
  }
  if (lines.empty()) {
    throw trmml::DataError(path + ": expected a line or more, got an empty file");
  }
  return lines;
}

at::Tensor encode_texts(
    Clip& clip,
    const trmml::clip::Tokenizer& tokenizer,
    const std::vector<std::string>& texts,
    bool truncate) {
  const c10::InferenceMode inference;
  const at::Tensor ids = tokenizer.tokenize(
      texts, clip.model->options.text().context_length(), truncate);  // [n, L]
  return clip.model->encode_text(ids.to(clip.device)).to(at::kCPU, at::kFloat);
}

void for_each_batch(
    const Options& options,
    const Clip& clip,
    const std::vector<std::string>& paths,
    int64_t first,
    const std::function<void(const Batch&)>& use,
    const std::function<void(const std::string&)>& log,
    const std::string& interrupted) {
  trmml::data::ImageOptions image_options;
  image_options.exif_orientation = options.exif_orientation;
  const auto end = static_cast<int64_t>(paths.size());
  program::OrderedStream<at::Tensor> pictures(
      first, end, options.workers, options.batch + 2 * options.workers, [&](int64_t i) {
        const fs::path path = fs::path(options.images) / paths[static_cast<size_t>(i)];
        return trmml::clip::preprocess(
            trmml::data::read_image(path, image_options), clip.preprocess);
      });
  const c10::InferenceMode inference;
  Batch batch;
  std::vector<at::Tensor> pixels;
  int64_t batches = 0;
  for (int64_t i = first; i < end; ++i) {
    try {
      pixels.push_back(pictures.next());
      batch.indices.push_back(i);
    } catch (const trmml::DataError& error) {
      if (!options.skip_bad) {
        throw;
      }
      log(std::string("left out: ") + error.what());
    }
    const bool is_full = static_cast<int64_t>(pixels.size()) == options.batch;
    if (is_full || i + 1 == end) {
      batch.end = i + 1;
      if (!pixels.empty()) {
        batch.pixels = at::stack(pixels).to(clip.device);  // [B, 3, S, S]
      }
      use(batch);
      batch = {};
      pixels.clear();
      ++batches;
    }
    const bool is_enough =
        options.limit_batches > 0 && batches == options.limit_batches;
    if ((is_enough || program::stop_flag()) && i + 1 < end) {
      throw trmml::Interrupted(interrupted);
    }
  }
}

}  // namespace clip_program
