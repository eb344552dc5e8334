#pragma once

#include "trmml/data/image.hpp"
#include "trmml/data/transforms.hpp"
#include "trmml/training/encoded_pictures.hpp"

#include <CLI/CLI.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "support/clip_program.hpp"
#include "support/picture_stream.hpp"
#include "support/trained.hpp"

// A trained method and its CLIP at work on pictures.

namespace experiment {

/// What every program with --checkpoint takes.
struct PredictorOptions {
  std::string checkpoint;
  std::string clip;  ///< empty: where the training had it
  std::string device = "cpu";
  std::string precision;  ///< empty: as in training
  int threads = 0;
  program::StreamOptions stream;
};

/// Adds --checkpoint (the caller says whether it is required) and what belongs to it.
CLI::Option* add_options(CLI::App& app, PredictorOptions& options);

/// Adds --skip-unreadable, for programs that can leave pictures out.
void add_skip_unreadable(CLI::App& app, PredictorOptions& options);

/// A `Trained` with the image tower of its CLIP. One thread may use it, but for
/// `pixels`.
class Predictor {
 public:
  /// Loads the CLIP. Throws `trmml::CheckpointError` when it is not there, damaged, or
  /// another one than that of the training.
  Predictor(const Trained& trained, const PredictorOptions& options);

  /// A picture, turned upright if those of the training were. For several threads at
  /// once. Throws `trmml::DataError`.
  trmml::data::Image read(const std::filesystem::path& file) const;

  /// uint8 [3, S, S] as the tower sees it. For several threads at once.
  at::Tensor pixels(const trmml::data::Image& image) const;

  /// Of B >= 1 pictures, without gradients.
  trmml::TrmMlOutput forward(const std::vector<at::Tensor>& pixels);

  /// Logits [B, C] in fp32 on the CPU. Throws `trmml::CheckpointError` when there is a
  /// NaN among them.
  at::Tensor logits(const trmml::TrmMlOutput& output) const;

  const Trained& trained() const { return trained_; }
  const std::string& clip() const { return description_; }

 private:
  const Trained& trained_;
  trmml::data::TestTransform transform_;
  std::string description_;
  at::Device device_ = at::kCPU;
  trmml::training::ImageEncoder encode_;
  at::Tensor text_features_;  // on the device
};

/// Pictures by their names.
struct PictureList {
  std::filesystem::path root;
  std::vector<std::string> paths;  ///< relative to `root`

  std::filesystem::path file(int64_t i) const {
    return root / paths[static_cast<size_t>(i)];
  }
};

/// Pictures below the folders and the files of `arguments`. One folder is the root;
/// else names begin with their argument. Throws `trmml::DataError` for a folder without
/// pictures.
PictureList list_pictures(const std::vector<std::string>& arguments);

}  // namespace experiment
