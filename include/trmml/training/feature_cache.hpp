#pragma once

#include "trmml/method/feature_source.hpp"

#include <torch/arg.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace trmml::training {

/// Options for `FeatureCache`. All ours.
struct FeatureCacheOptions {
  /// `folder` holds any number of caches, one for each key.
  FeatureCacheOptions(std::filesystem::path folder, std::string key)
      : folder_(std::move(folder)), key_(std::move(key)) {}

  TORCH_ARG(std::filesystem::path, folder);

  /// Everything that the features depend on, as text: weights, form, size, pictures,
  /// augmentations, seed, precision. Another key is another cache.
  TORCH_ARG(std::string, key);

  /// Augmented views of each picture, >= 0, besides the one that a test sees; 0:
  /// training sees that one, too.
  TORCH_ARG(int64_t, views) = 1;

  /// Which of its views a picture shows in an epoch.
  TORCH_ARG(uint64_t, seed) = 0;

  /// Pictures a file, > 0.
  TORCH_ARG(int64_t, shard_size) = 512;

  /// Compare the checksum of every file that was there before.
  TORCH_ARG(bool, verify) = true;
};

/// What a cache is about to do.
struct FeatureCachePlan {
  std::filesystem::path folder;  ///< of this key
  int64_t pictures = 0;
  int64_t views = 0;         ///< with that of the test
  int64_t bytes = 0;         ///< of the whole cache; 0: not known yet
  int64_t shards = 0;        ///< files
  int64_t shards_ready = 0;  ///< of them, already there
  int64_t missing = 0;       ///< views of pictures that are to be computed
};

/// What `FeatureCache::open` tells and asks; each may be empty.
struct FeatureCacheCallbacks {
  std::function<void(const FeatureCachePlan&)> plan;  ///< before anything is encoded

  /// In files: first those that were there are read, then the others computed.
  std::function<void(int64_t done, int64_t total)> progress;
  std::function<bool()> should_stop;  ///< after every file, read or computed
};

/// Features of K augmented views and of the test's view, as fp16 in files that are
/// mapped into memory: an image tower that is frozen need not see a picture twice.
///
/// One cache is a folder `<folder>/<digest of the key>` with `key.txt` and files
/// `view-000-00000.safetensors` (view 0 is the test's), each with `global` [n, D],
/// `regions` [n, R, D] and the CRC-32 of their bytes. Files appear complete or not at
/// all; a cache that was not finished is continued, one that is complete is opened
/// without the tower; what killed programs left half written is removed. A picture
/// shows its views one after the other, epoch by epoch, beginning with one that depends
/// on (seed, picture).
///
/// Memory: pages of the files, which the system takes back when it needs them. Several
/// processes may share a cache, also while it is being filled.
/// ```
/// auto cache = FeatureCache::open(FeatureCacheOptions("cache", key).views(4), source);
/// TrainingSet train{cache, labels};
/// ```
class FeatureCache : public FeatureSource {
 public:
  /// Opens the cache of a key, checks what is there and fills what is missing from
  /// `source`: its test views, and its training views of epochs 0 .. K - 1.
  ///
  /// Throws `trmml::WriteError` when the disk has no room for what is missing (before
  /// anything is encoded) or cannot be written, `CheckpointError` for a file that is
  /// damaged or of another cache (with a hint to remove it), `Interrupted` when asked
  /// to stop: what is done is kept.
  static std::shared_ptr<FeatureCache> open(
      const FeatureCacheOptions& options,
      FeatureSource& source,
      const FeatureCacheCallbacks& callbacks = {});

  /// What `open` would do for `n` pictures. Reads names of files only.
  static FeatureCachePlan plan(const FeatureCacheOptions& options, int64_t n);

  int64_t size() const override;
  clip::ImageFeatures training_views(const at::Tensor& index, int64_t epoch) override;
  clip::ImageFeatures test_views(int64_t start, int64_t length) override;

  /// Folder of this key.
  const std::filesystem::path& folder() const { return folder_; }

 private:
  FeatureCache(const FeatureCacheOptions& options, int64_t n);

  std::filesystem::path shard_path(int64_t view, int64_t shard) const;
  clip::ImageFeatures read_shard(int64_t view, int64_t shard, bool verify) const;
  void write_shard(int64_t view, int64_t shard, const clip::ImageFeatures& features)
      const;
  int64_t view_of(int64_t index, int64_t epoch) const;
  int64_t rows_of(int64_t shard) const;
  int64_t shards_per_view() const;

  using Shard = std::pair<int64_t, int64_t>;  // its view, its place in it
  std::vector<Shard> missing_shards() const;
  FeatureCachePlan plan_for(const std::vector<Shard>& missing) const;
  void expect_room(int64_t bytes) const;
  void load(
      FeatureSource& source,
      const clip::ImageFeatures& sample,
      const std::vector<Shard>& missing,
      const FeatureCacheCallbacks& callbacks);

  FeatureCacheOptions options_;
  std::filesystem::path folder_;
  int64_t n_;
  std::vector<clip::ImageFeatures> shards_;  // [views + 1][shards_per_view], mapped
};

}  // namespace trmml::training
