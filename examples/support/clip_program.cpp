#include "support/clip_program.hpp"

#include "trmml/clip/checkpoint.hpp"
#include "trmml/core/device.hpp"
#include "trmml/core/error.hpp"
#include "trmml/data/image.hpp"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>

#include "support/picture_stream.hpp"
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
         "--image-heads",
         options.image_heads,
         "Attention heads of a vision transformer (not set: what the weights say)")
      ->check(CLI::PositiveNumber);
  app.add_option(
         "--text-heads",
         options.text_heads,
         "Attention heads of the text tower (not set: what the weights say)")
      ->check(CLI::PositiveNumber);
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
      "--skip-unreadable",
      options.skip_unreadable,
      "Leave out pictures that cannot be read instead of stopping");
  app.add_flag("--truncate", options.truncate, "Cut texts that are too long");
  app.add_option("--batch", options.batch, "Pictures or texts at a time")
      ->check(CLI::PositiveNumber);
  app.add_option("--threads", options.threads, "0: every core")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--workers", options.workers, "Threads that read pictures ahead")
      ->check(CLI::PositiveNumber);
  app.add_option("--device", options.device, "cpu, cuda, cuda:1, ...");
  app.add_option(
         "--precision", options.precision, "Of the towers' numbers; fp16: not on a CPU")
      ->check(CLI::IsMember({"fp32", "bf16", "fp16"}));
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

at::ScalarType dtype_of(const std::string& precision, at::Device device) {
  if (precision == "fp16" && device.is_cpu()) {
    throw program::UsageError(
        "--precision: expected fp32 or bf16 on a CPU, got fp16 (weights in fp16 are "
        "up-cast; --device cuda keeps them)");
  }
  return precision == "fp16" ? at::kHalf
                             : (precision == "bf16" ? at::kBFloat16 : at::kFloat);
}

}  // namespace

Clip load(const Options& options) {
  trmml::set_threads(options.threads);
  Clip clip;
  clip.device = device_of(options.device);
  clip.dtype = dtype_of(options.precision, clip.device);
  trmml::clip::LoadedClip loaded = trmml::clip::load_clip(
      options.clip,
      trmml::clip::CheckpointOptions()
          .quick_gelu(options.quick_gelu)
          .image_heads(options.image_heads)
          .text_heads(options.text_heads)
          .device(clip.device)
          .dtype(clip.dtype)
          .mapped(options.mapped && clip.device.is_cpu()));
  clip.model = loaded.model;
  clip.description = loaded.description;
  if (options.image_heads && !clip.model->visual_resnet.is_empty()) {
    throw program::UsageError(fmt::format(
        "--image-heads: expected a CLIP with a vision transformer, got the ResNet {} "
        "(it would have no effect)",
        options.clip));
  }
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

trmml::clip::Tokenizer load_tokenizer(const Options& options, const Clip& clip) {
  std::optional<fs::path> given;
  if (!options.vocab.empty()) {
    given = options.vocab;
  }
  const fs::path path = program::with_flag<trmml::DataError>(
      "--vocab", [&] { return trmml::clip::find_vocabulary(options.clip, given); });
  auto tokenizer = trmml::clip::Tokenizer::load(path);
  const int64_t expected = clip.model->options.text().vocab_size();
  if (tokenizer.vocab_size() != expected) {
    throw trmml::DataError(fmt::format(
        "{}: expected {} tokens, as the text tower of {} has, got {} (--vocab names "
        "another vocabulary)",
        path.string(),
        expected,
        options.clip,
        tokenizer.vocab_size()));
  }
  return tokenizer;
}

std::vector<std::string> list_images(const fs::path& folder) {
  std::vector<std::string> paths = trmml::data::list_images(folder);
  if (paths.empty()) {
    throw trmml::DataError(fmt::format(
        "{}: expected a picture below it, got none that ends with {}",
        folder.string(),
        fmt::join(trmml::data::kImageExtensions, ", ")));
  }
  return paths;
}

at::Tensor encode_texts(
    Clip& clip,
    const trmml::clip::Tokenizer& tokenizer,
    const std::vector<std::string>& texts,
    bool truncate) {
  const c10::InferenceMode inference;
  at::Tensor ids;  // [n, L]
  try {
    ids = tokenizer.tokenize(
        texts, clip.model->options.text().context_length(), truncate);
  } catch (const c10::ValueError& error) {
    throw program::UsageError(
        fmt::format("{}; see --truncate", error.what_without_backtrace()));
  }
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
  const c10::InferenceMode inference;
  program::stream_pictures<at::Tensor>(
      first,
      static_cast<int64_t>(paths.size()),
      {options.workers,
       options.batch,
       options.skip_unreadable,
       options.stop_after_batches,
       "--skip-unreadable"},
      [&](int64_t i) {
        const fs::path path = fs::path(options.images) / paths[static_cast<size_t>(i)];
        return trmml::clip::preprocess(
            trmml::data::read_image(path, image_options), clip.preprocess);
      },
      [&](const program::PictureBatch<at::Tensor>& pictures) {
        Batch batch{pictures.indices, {}, pictures.end};
        if (!pictures.items.empty()) {
          batch.pixels =
              at::stack(pictures.items).to(clip.device, clip.dtype);  // [B, 3, S, S]
        }
        use(batch);
      },
      [&](int64_t, const trmml::DataError& error) {
        log(std::string("left out: ") + error.what());
      },
      interrupted);
}

}  // namespace clip_program
