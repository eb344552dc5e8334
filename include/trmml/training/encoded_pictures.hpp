#pragma once

#include "trmml/data/dataset.hpp"
#include "trmml/method/feature_source.hpp"

#include <torch/arg.h>

#include <cstdint>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <vector>

namespace trmml::training {

/// Pictures [B, 3, S, S], as a `data::Dataset` gives them, to features: a frozen image
/// tower on any device. Called without gradients.
using ImageEncoder = std::function<clip::ImageFeatures(const at::Tensor& images)>;

/// Options for `EncodedPictures`. All ours.
struct EncodedPicturesOptions {
  /// Threads that read and augment pictures, > 0.
  TORCH_ARG(int64_t, workers) = 2;

  /// Pictures that the encoder sees at a time, > 0; twice as many are in memory.
  TORCH_ARG(int64_t, batch_size) = 32;

  /// Of the augmentations: picture i of epoch e is augmented by
  /// `data::augmentation_generator(seed, e, i)`, whatever the threads.
  TORCH_ARG(uint64_t, seed) = 0;
};

/// Features computed on the fly: pictures are read (by several threads, and ahead where
/// the trainer announces them) and encoded whenever they are asked for. Ours.
///
/// `training` and `test` are the same pictures, augmented and not. Whatever reading a
/// picture throws arrives as it was thrown.
/// ```
/// EncodedPictures source(augmented, plain, [&clip](const at::Tensor& images) {
///   return clip->image_features(images, DenseForm::kDualCoOp);
/// });
/// ```
class EncodedPictures : public FeatureSource {
 public:
  /// Throws `c10::ValueError` for options out of range and data sets of different size.
  EncodedPictures(
      std::shared_ptr<const data::Dataset> training,
      std::shared_ptr<const data::Dataset> test,
      ImageEncoder encoder,
      const EncodedPicturesOptions& options = {});
  ~EncodedPictures() override;

  int64_t size() const override;
  clip::ImageFeatures training_views(const at::Tensor& index, int64_t epoch) override;
  clip::ImageFeatures test_views(int64_t start, int64_t length) override;
  void prefetch(const at::Tensor& index, int64_t epoch) override;

 private:
  // Which pictures in which view; epoch -1 is the test's.
  struct Request {
    std::vector<int64_t> index;
    int64_t epoch = -1;
    bool operator==(const Request&) const = default;
  };
  // Some pictures [3, S, S], or what was thrown instead of them. A future would carry
  // exceptions, too, but lets go of them in the worker after the reader has them, which
  // the thread sanitizer cannot see to be safe (see `detail::EpochSource`).
  struct Piece {
    std::vector<at::Tensor> images;
    std::exception_ptr error;
  };
  // Those of one batch of the encoder, in pieces that are being read.
  using Pictures = std::vector<std::future<Piece>>;

  Pictures start(const Request& request, int64_t first) const;
  clip::ImageFeatures encode(const Request& request);

  std::shared_ptr<const data::Dataset> training_;
  std::shared_ptr<const data::Dataset> test_;
  ImageEncoder encoder_;
  EncodedPicturesOptions options_;
  std::optional<Request> announced_;
  Pictures ahead_;
};

}  // namespace trmml::training
