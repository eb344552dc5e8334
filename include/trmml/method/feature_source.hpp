#pragma once

#include "trmml/clip/image_features.hpp"
#include "trmml/core/check.hpp"

#include <ATen/ops/index_select.h>
#include <c10/util/Exception.h>

#include <cstdint>
#include <memory>
#include <utility>

namespace trmml {

/// Rows `start` .. `start + length - 1` of stored features, as float.
inline clip::ImageFeatures
narrow_features(const clip::ImageFeatures& images, int64_t start, int64_t length) {
  return {
      images.global.narrow(0, start, length).to(at::kFloat),
      images.regions.narrow(0, start, length).to(at::kFloat)};
}

/// Where the frozen features of N pictures come from: memory, a cache on disk, or the
/// image tower itself. What is returned is float, [B, D] and [B, R, D], on any device.
/// Ours.
class FeatureSource {
 public:
  FeatureSource() = default;
  FeatureSource(const FeatureSource&) = delete;
  FeatureSource& operator=(const FeatureSource&) = delete;
  virtual ~FeatureSource() = default;

  /// N; does not change.
  virtual int64_t size() const = 0;

  /// Pictures `index` (int64 [B], on the CPU) as training sees them in `epoch` >= 0:
  /// augmented, where the source augments. Depends on nothing but its arguments.
  virtual clip::ImageFeatures training_views(
      const at::Tensor& index,
      int64_t epoch) = 0;

  /// Pictures `start` .. `start + length - 1` as a test sees them.
  virtual clip::ImageFeatures test_views(int64_t start, int64_t length) = 0;

  /// These will be asked for next: a source that is slow may begin with them.
  virtual void prefetch(const at::Tensor& /*index*/, int64_t /*epoch*/) {}
};

/// Features that were computed once, of any floating-point type; one view for training
/// and test. Throws `c10::ValueError` when the two tensors disagree.
class StoredFeatures : public FeatureSource {
 public:
  explicit StoredFeatures(clip::ImageFeatures features)
      : features_(std::move(features)) {
    constexpr auto kWhere = "StoredFeatures";
    check_shape(features_.global, {kAnySize, kAnySize}, kWhere, "global features");
    check_shape(
        features_.regions, {size(), kAnySize, kAnySize}, kWhere, "region features");
  }

  int64_t size() const override { return features_.global.size(0); }

  clip::ImageFeatures training_views(const at::Tensor& index, int64_t) override {
    const at::Tensor rows = index.to(features_.global.device());
    return {
        features_.global.index_select(0, rows).to(at::kFloat),
        features_.regions.index_select(0, rows).to(at::kFloat)};
  }

  clip::ImageFeatures test_views(int64_t start, int64_t length) override {
    return narrow_features(features_, start, length);
  }

 private:
  clip::ImageFeatures features_;
};

/// A handle of a `FeatureSource`, which features in memory turn into by themselves.
///
/// Example:
/// ```
/// TrainingSet train{clip->image_features(images, clip::DenseForm::kDualCoOp), labels};
/// // in memory TrainingSet other{std::make_shared<MyFeatures>(folder), labels};
/// ```
class Features {
 public:
  Features() = default;
  /* implicit */ Features(clip::ImageFeatures features)
      : source_(std::make_shared<StoredFeatures>(std::move(features))) {}
  template <typename Source>
  /* implicit */ Features(std::shared_ptr<Source> source)
      : source_(std::move(source)) {}

  bool defined() const { return source_ != nullptr; }

  /// Throws `c10::ValueError` when there is no source.
  FeatureSource* operator->() const {
    TORCH_CHECK_VALUE(
        source_ != nullptr, "Features: expected a source of features, got none");
    return source_.get();
  }

 private:
  std::shared_ptr<FeatureSource> source_;
};

}  // namespace trmml
