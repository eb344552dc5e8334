#pragma once

#include "trmml/core/error.hpp"

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace trmml::data {

/// One picture with its labels.
struct Sample {
  at::Tensor image;   ///< [3, H, W], of any type
  at::Tensor labels;  ///< [C] in {-1, 0, +1}
  int64_t index = 0;  ///< of the picture; what `Batch::indices` will hold
};

/// Some pictures of one size with their labels.
struct Batch {
  at::Tensor images;   ///< [B, 3, H, W]
  at::Tensor labels;   ///< [B, C]
  at::Tensor indices;  ///< int64 [B]

  /// B.
  int64_t size() const { return indices.size(0); }
};

/// A picture that cannot be read. The message begins with its path.
class UnreadablePicture : public DataError {
 public:
  UnreadablePicture(int64_t index, const std::string& message)
      : DataError(message), index_(index) {}

  /// Of the picture in its data set.
  int64_t index() const { return index_; }

 private:
  int64_t index_;
};

/// Pictures that can be reached by their index; what `Loader` makes batches of. Ours.
///
/// Several threads call `get` at once, on one object: it must not change anything that
/// they share. What it draws at random (a flip, a crop) it draws from `augmentation`,
/// a generator of this picture in this epoch, and from nothing else; then the batches
/// are the same for any number of threads. It is called without gradients.
///
/// A picture that cannot be read is an `UnreadablePicture`; whoever loops over the
/// loader receives it as it was thrown, or asks the loader to leave such pictures out
/// (`LoaderOptions::skip_unreadable`). Other exceptions always arrive.
/// ```
/// struct Folder : trmml::data::Dataset {
///   int64_t size() const override { return labels.size(0); }
///   Sample get(int64_t i, at::Generator& augmentation) const override { ... }
/// };
/// ```
class Dataset {
 public:
  Dataset() = default;
  Dataset(const Dataset&) = delete;
  Dataset& operator=(const Dataset&) = delete;
  virtual ~Dataset() = default;

  /// N; does not change.
  virtual int64_t size() const = 0;

  /// Picture `index` in [0, N).
  virtual Sample get(int64_t index, at::Generator& augmentation) const = 0;
};

}  // namespace trmml::data
