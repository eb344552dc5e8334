#include "trmml/training/feature_cache.hpp"

#include "trmml/core/check.hpp"
#include "trmml/core/error.hpp"
#include "trmml/core/random.hpp"
#include "trmml/io/atomic_file.hpp"
#include "trmml/io/safetensors.hpp"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include <zlib.h>

namespace trmml::training {

namespace fs = std::filesystem;

namespace {

constexpr const char* kFormat = "trmml.features.1";

std::string digest_of(const std::string& key) {
  return fmt::format("{:016x}", derive_seed(0, 0, key));
}

uint32_t crc_of(const clip::ImageFeatures& features) {
  uLong crc = crc32(0, nullptr, 0);
  for (const at::Tensor& tensor : {features.global, features.regions}) {
    crc = crc32_z(crc, static_cast<const Bytef*>(tensor.data_ptr()), tensor.nbytes());
  }
  return static_cast<uint32_t>(crc);
}

std::string grouped_bytes(int64_t bytes) {
  return fmt::format("{:.1f} GB", static_cast<double>(bytes) / 1e9);
}

// The folder's key, or `key` for a new one.
void check_key(const fs::path& folder, const std::string& key) {
  const fs::path path = folder / "key.txt";
  if (!fs::exists(path)) {
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) {
      throw WriteError(fmt::format(
          "{}: expected a folder for features or a place for one, got {}",
          folder.string(),
          error.message()));
    }
    io::write_file_atomically(path, key);
    return;
  }
  std::ifstream file(path, std::ios::binary);
  const std::string found{std::istreambuf_iterator<char>(file), {}};
  if (found != key) {
    throw CheckpointError(fmt::format(
        "{}: expected the key of this cache, got another (was it edited? remove the "
        "folder to compute its features anew)",
        path.string()));
  }
}

// Row `from` of `source` to row `to` of `target`, both contiguous and of one type.
void copy_row(const at::Tensor& source, int64_t from, at::Tensor& target, int64_t to) {
  const size_t bytes = target.nbytes() / static_cast<size_t>(target.size(0));
  std::memcpy(
      static_cast<char*>(target.data_ptr()) + static_cast<size_t>(to) * bytes,
      static_cast<const char*>(source.data_ptr()) + static_cast<size_t>(from) * bytes,
      bytes);
}

// `shards` are in order.
template <typename Shard>
bool is_among(const Shard& shard, const std::vector<Shard>& shards) {
  return std::binary_search(shards.begin(), shards.end(), shard);
}

at::Tensor rows_like(const at::Tensor& tensor, int64_t rows) {
  std::vector<int64_t> shape = tensor.sizes().vec();
  shape.front() = rows;
  return at::empty(shape, tensor.options());
}

}  // namespace

FeatureCache::FeatureCache(const FeatureCacheOptions& options, int64_t n)
    : options_(options), folder_(options.folder() / digest_of(options.key())), n_(n) {
  TORCH_CHECK_VALUE(
      options_.views() >= 0 && options_.shard_size() > 0,
      "FeatureCache: expected views >= 0 and shard_size > 0, got ",
      options_.views(),
      " and ",
      options_.shard_size());
  TORCH_CHECK_VALUE(n_ > 0, "FeatureCache: expected at least one picture, got none");
}

int64_t FeatureCache::size() const {
  return n_;
}

int64_t FeatureCache::shards_per_view() const {
  return (n_ + options_.shard_size() - 1) / options_.shard_size();
}

int64_t FeatureCache::rows_of(int64_t shard) const {
  return std::min(options_.shard_size(), n_ - shard * options_.shard_size());
}

fs::path FeatureCache::shard_path(int64_t view, int64_t shard) const {
  return folder_ / fmt::format("view-{:03}-{:05}.safetensors", view, shard);
}

void FeatureCache::write_shard(
    int64_t view,
    int64_t shard,
    const clip::ImageFeatures& features) const {
  const auto half = [](const at::Tensor& tensor) {
    return tensor.to(at::kCPU, at::kHalf).contiguous();
  };
  const clip::ImageFeatures stored{half(features.global), half(features.regions)};
  io::write_safetensors(
      shard_path(view, shard),
      {{"global", stored.global}, {"regions", stored.regions}},
      {{"format", kFormat},
       {"key", digest_of(options_.key())},
       {"view", std::to_string(view)},
       {"first", std::to_string(shard * options_.shard_size())},
       {"crc32", fmt::format("{:08x}", crc_of(stored))}});
}

clip::ImageFeatures FeatureCache::read_shard(int64_t view, int64_t shard, bool verify)
    const {
  const fs::path path = shard_path(view, shard);
  const io::SafetensorsFile file = io::read_safetensors(path);
  const auto fail = [&path](const std::string& what) {
    throw CheckpointError(fmt::format(
        "{}: {} (remove the file to compute its features anew)", path.string(), what));
  };
  const auto expect = [&](const char* name, const std::string& expected) {
    const auto found = file.metadata.find(name);
    if (found == file.metadata.end() || found->second != expected) {
      fail(fmt::format(
          "expected {} {}, got {}",
          name,
          expected,
          found == file.metadata.end() ? "none" : found->second));
    }
  };
  expect("format", kFormat);
  expect("key", digest_of(options_.key()));
  expect("view", std::to_string(view));
  expect("first", std::to_string(shard * options_.shard_size()));
  const auto tensor = [&](const char* name, int64_t dims) {
    const auto found = file.tensors.find(name);
    if (found == file.tensors.end() || found->second.dim() != dims ||
        found->second.size(0) != rows_of(shard) ||
        found->second.scalar_type() != at::kHalf) {
      fail(fmt::format("expected {} as fp16 of {} pictures", name, rows_of(shard)));
    }
    return found->second;
  };
  const clip::ImageFeatures features{tensor("global", 2), tensor("regions", 3)};
  if (verify) {
    expect("crc32", fmt::format("{:08x}", crc_of(features)));
  }
  return features;
}

std::vector<FeatureCache::Shard> FeatureCache::missing_shards() const {
  std::vector<Shard> missing;
  for (int64_t view = 0; view <= options_.views(); ++view) {
    for (int64_t shard = 0; shard < shards_per_view(); ++shard) {
      if (!fs::exists(shard_path(view, shard))) {
        missing.emplace_back(view, shard);
      }
    }
  }
  return missing;
}

FeatureCachePlan FeatureCache::plan_for(const std::vector<Shard>& missing) const {
  FeatureCachePlan plan;
  plan.folder = folder_;
  plan.pictures = n_;
  plan.views = options_.views() + 1;
  plan.shards = plan.views * shards_per_view();
  plan.shards_ready = plan.shards - static_cast<int64_t>(missing.size());
  for (const auto& [view, shard] : missing) {
    plan.missing += rows_of(shard);
  }
  return plan;
}

FeatureCachePlan FeatureCache::plan(const FeatureCacheOptions& options, int64_t n) {
  const FeatureCache cache(options, n);
  return cache.plan_for(cache.missing_shards());
}

std::shared_ptr<FeatureCache> FeatureCache::open(
    const FeatureCacheOptions& options,
    FeatureSource& source,
    const FeatureCacheCallbacks& callbacks) {
  const std::shared_ptr<FeatureCache> cache(new FeatureCache(options, source.size()));
  check_key(cache->folder_, options.key());
  io::remove_stale_temporaries(cache->folder_);
  const std::vector<Shard> missing = cache->missing_shards();
  FeatureCachePlan plan = cache->plan_for(missing);
  const int64_t per_view = cache->shards_per_view();
  std::optional<Shard> ready;
  for (int64_t i = 0; i < plan.shards && !ready; ++i) {
    const Shard shard{i / per_view, i % per_view};
    if (!is_among(shard, missing)) {
      ready = shard;
    }
  }
  // One picture tells how many bytes each needs.
  const clip::ImageFeatures sample =
      ready ? cache->read_shard(ready->first, ready->second, /*verify=*/false)
            : source.test_views(0, 1);
  const int64_t each =
      2 * (sample.global.size(1) + sample.regions.size(1) * sample.regions.size(2));
  plan.bytes = each * plan.pictures * plan.views;
  if (callbacks.plan) {
    callbacks.plan(plan);
  }
  cache->expect_room(each * plan.missing);
  cache->load(source, sample, missing, callbacks);
  return cache;
}

void FeatureCache::expect_room(int64_t bytes) const {
  std::error_code error;
  const fs::space_info space = fs::space(folder_, error);
  if (!error && static_cast<int64_t>(space.available) < bytes) {
    throw WriteError(fmt::format(
        "{}: expected room for {} of features, got {} (take a folder on another disk, "
        "fewer views, or compute the features on the fly)",
        folder_.string(),
        grouped_bytes(bytes),
        grouped_bytes(static_cast<int64_t>(space.available))));
  }
}

// The files that are there come first: a damaged one is found before anything is
// encoded. All have the sizes of `sample`.
void FeatureCache::load(
    FeatureSource& source,
    const clip::ImageFeatures& sample,
    const std::vector<Shard>& missing,
    const FeatureCacheCallbacks& callbacks) {
  const int64_t per_view = shards_per_view();
  const int64_t total = (options_.views() + 1) * per_view;
  shards_.resize(static_cast<size_t>(total));
  int64_t done = 0;
  const auto read = [&](const Shard& shard, bool verify) {
    const clip::ImageFeatures features = read_shard(shard.first, shard.second, verify);
    if (features.global.size(1) != sample.global.size(1) ||
        features.regions.sizes().slice(1) != sample.regions.sizes().slice(1)) {
      throw CheckpointError(fmt::format(
          "{}: expected regions of shape {}, got {} (do its features come from another "
          "tower? remove the folder to compute them anew)",
          shard_path(shard.first, shard.second).string(),
          format_shape(sample.regions.sizes().slice(1)),
          format_shape(features.regions.sizes().slice(1))));
    }
    shards_[static_cast<size_t>(shard.first * per_view + shard.second)] = features;
    ++done;
    if (callbacks.progress) {
      callbacks.progress(done, total);
    }
    if (callbacks.should_stop && callbacks.should_stop() && done < total) {
      throw Interrupted(fmt::format(
          "stopped after {} of {} files of features; the same command goes on with {}",
          done,
          total,
          folder_.string()));
    }
  };
  for (int64_t i = 0; i < total; ++i) {
    const Shard shard{i / per_view, i % per_view};
    if (!is_among(shard, missing)) {
      read(shard, options_.verify());
    }
  }
  for (const Shard& shard : missing) {
    const auto& [view, place] = shard;
    const int64_t first = place * options_.shard_size();
    const int64_t rows = rows_of(place);
    write_shard(
        view,
        place,
        view == 0 ? source.test_views(first, rows)
                  : source.training_views(at::arange(first, first + rows), view - 1));
    read(shard, /*verify=*/false);
  }
}

int64_t FeatureCache::view_of(int64_t index, int64_t epoch) const {
  if (options_.views() == 0) {
    return 0;
  }
  // Another start for each picture, then one view after the other.
  const uint64_t start =
      derive_seed(options_.seed(), static_cast<uint64_t>(index), "view");
  return 1 + static_cast<int64_t>(
                 (start % static_cast<uint64_t>(options_.views()) +
                  static_cast<uint64_t>(epoch)) %
                 static_cast<uint64_t>(options_.views()));
}

clip::ImageFeatures FeatureCache::training_views(
    const at::Tensor& index,
    int64_t epoch) {
  check_shape(index, {kAnySize}, "FeatureCache::training_views", "index");
  const at::Tensor rows = index.contiguous();
  const auto* which = rows.data_ptr<int64_t>();
  clip::ImageFeatures batch{
      rows_like(shards_.front().global, rows.numel()),
      rows_like(shards_.front().regions, rows.numel())};
  for (int64_t b = 0; b < rows.numel(); ++b) {
    TORCH_CHECK_INDEX(
        which[b] >= 0 && which[b] < n_,
        "FeatureCache: expected a picture in [0, ",
        n_,
        "), got ",
        which[b]);
    const int64_t shard = which[b] / options_.shard_size();
    const clip::ImageFeatures& stored = shards_[static_cast<size_t>(
        view_of(which[b], epoch) * shards_per_view() + shard)];
    copy_row(stored.global, which[b] % options_.shard_size(), batch.global, b);
    copy_row(stored.regions, which[b] % options_.shard_size(), batch.regions, b);
  }
  return {batch.global.to(at::kFloat), batch.regions.to(at::kFloat)};
}

clip::ImageFeatures FeatureCache::test_views(int64_t start, int64_t length) {
  clip::ImageFeatures batch{
      rows_like(shards_.front().global, length),
      rows_like(shards_.front().regions, length)};
  TORCH_CHECK_INDEX(
      start >= 0 && length > 0 && start + length <= n_,
      "FeatureCache: expected pictures of [0, ",
      n_,
      "), got ",
      start,
      " .. ",
      start + length - 1);
  for (int64_t i = 0; i < length; ++i) {
    const clip::ImageFeatures& stored =
        shards_[static_cast<size_t>((start + i) / options_.shard_size())];
    copy_row(stored.global, (start + i) % options_.shard_size(), batch.global, i);
    copy_row(stored.regions, (start + i) % options_.shard_size(), batch.regions, i);
  }
  return {batch.global.to(at::kFloat), batch.regions.to(at::kFloat)};
}

}  // namespace trmml::training
