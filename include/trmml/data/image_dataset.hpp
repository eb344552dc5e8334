#pragma once

#include "trmml/data/dataset.hpp"
#include "trmml/data/image.hpp"
#include "trmml/data/split.hpp"

#include <ATen/core/Tensor.h>
#include <torch/arg.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <random>
#include <string>
#include <vector>

namespace trmml::data {

/// What becomes of a picture that was read: `TrainTransform`, `TestTransform`, or
/// anything that draws from the engine and from nothing else and may be called by
/// several threads at once. All pictures of a batch must come out in one size.
using Transform = std::function<Image(const Image&, std::mt19937&)>;

/// Options for `ImageDataset`. All ours.
struct ImageDatasetOptions {
  /// false: images are uint8, and `data::normalize` makes numbers of a batch, on the
  /// device. That is the faster way: a quarter of the bytes is written, gathered and
  /// moved. true: float, normalised by the worker that reads the picture.
  TORCH_ARG(bool, normalized) = false;

  /// Mean and standard deviation (> 0) of red, green, blue, of values in [0, 1], for
  /// `normalized`; CLIP's are `clip::kPixelMean` and `clip::kPixelStd`.
  using Channels = std::array<float, 3>;
  TORCH_ARG(Channels, mean) = {0.0F, 0.0F, 0.0F};
  TORCH_ARG(Channels, std) = {1.0F, 1.0F, 1.0F};

  /// How files are read.
  TORCH_ARG(ImageOptions, reading) = {};
};

/// Pictures in files, with the labels that are shown, as a `Dataset`. Ours.
///
/// Samples hold uint8 [3, H, W] (or float, see the options) of the size that the
/// transform makes, and one row of the labels. All draws come from the generator of the
/// picture, so batches are the same for any number of workers; for K views of each
/// picture, loop over K epochs. A file that cannot be read is an `UnreadablePicture`.
///
/// Throws `c10::ValueError` when labels are not [N, C] in {-1, 0, +1}, when the
/// transform is empty, or for options out of their range.
/// ```
/// auto labels = known_label_proportion(split.table.labels, 0.1);
/// auto pictures = std::make_shared<ImageDataset>(split, labels, TrainTransform({}));
/// Loader loader(pictures, LoaderOptions(64).workers(4));
/// ```
class ImageDataset : public Dataset {
 public:
  /// `images` [N] are paths relative to `root`.
  ImageDataset(
      std::filesystem::path root,
      std::vector<std::string> images,
      at::Tensor labels,
      Transform transform,
      const ImageDatasetOptions& options = {});

  /// The pictures of a split with `labels` in place of its complete ones.
  ImageDataset(
      const Split& split,
      at::Tensor labels,
      Transform transform,
      const ImageDatasetOptions& options = {});

  int64_t size() const override { return static_cast<int64_t>(images_.size()); }

  Sample get(int64_t index, at::Generator& augmentation) const override;

  /// Where picture `index` in [0, N) lies.
  std::filesystem::path path(int64_t index) const;

 private:
  std::filesystem::path root_;
  std::vector<std::string> images_;
  at::Tensor labels_;
  Transform transform_;
  ImageDatasetOptions options_;
  ByteTables tables_;
};

}  // namespace trmml::data
