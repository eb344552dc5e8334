#pragma once

#include "trmml/clip/clip_model.hpp"
#include "trmml/clip/preprocess.hpp"
#include "trmml/clip/tokenizer.hpp"

#include <CLI/CLI.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

// What the programs share that show pictures and texts to a CLIP: encode, zero_shot.

namespace clip_program {

/// Which CLIP, and how it is fed.
struct Options {
  std::string clip;
  std::string vocab;
  std::optional<bool> quick_gelu;
  std::optional<int64_t> image_heads;
  std::optional<int64_t> text_heads;
  std::string images;
  int64_t resolution = 0;  ///< 0: the checkpoint's own
  std::string fit = "crop";
  std::string filter = "bicubic";
  int pillow = 13;
  bool exif_orientation = false;
  bool skip_unreadable = false;
  bool truncate = false;
  int64_t batch = 32;
  int64_t stop_after_batches = 0;  ///< as a signal would; 0: never
  int threads = 0;
  int workers = 2;
  std::string device = "cpu";
  std::string precision = "fp32";
  bool mapped = false;  ///< see `CheckpointOptions`; on a CPU only
};

void add_options(CLI::App& app, Options& options);

/// A CLIP without gradients on its device.
struct Clip {
  trmml::clip::ClipModel model{nullptr};
  std::string description;
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;
  trmml::clip::PreprocessOptions preprocess = 224;
};

/// Loads `options.clip`, sets threads, and prints one line about each to stderr. Throws
/// `program::UsageError` for what the device or the towers have no use for.
Clip load(const Options& options);

/// The tokenizer of `options.vocab`, or of the file that belongs to the checkpoint.
/// Throws `trmml::DataError` when it has not as many tokens as the text tower.
trmml::clip::Tokenizer load_tokenizer(const Options& options, const Clip& clip);

/// Every picture below `folder`, sorted. Throws `trmml::DataError` when there is none.
std::vector<std::string> list_images(const std::filesystem::path& folder);

/// Text features [n, D] in fp32 on the CPU, not normalised. Throws
/// `program::UsageError` for a text that is too long, unless `truncate`.
at::Tensor encode_texts(
    Clip& clip,
    const trmml::clip::Tokenizer& tokenizer,
    const std::vector<std::string>& texts,
    bool truncate);

/// Some pictures that were read, and the tensor of them.
struct Batch {
  std::vector<int64_t> indices;  ///< of the paths; those of bad pictures are missing
  at::Tensor pixels;             ///< [B, 3, S, S] on the device, B of `indices`
  int64_t end = 0;               ///< pictures before this one have been dealt with
};

/// Reads the pictures `options.images`/`paths[first]` and on, in `options.workers`
/// threads, and hands them to `use` batch by batch, in order and in inference mode. A
/// bad picture ends it with its `DataError`, or with `options.skip_unreadable` is told
/// to `log`. Throws `trmml::Interrupted` after a signal, with `interrupted` as its
/// message.
void for_each_batch(
    const Options& options,
    const Clip& clip,
    const std::vector<std::string>& paths,
    int64_t first,
    const std::function<void(const Batch&)>& use,
    const std::function<void(const std::string&)>& log,
    const std::string& interrupted);

}  // namespace clip_program
