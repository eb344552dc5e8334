#include "trmml/training/feature_cache.hpp"

#include "trmml/core/error.hpp"
#include "trmml/io/safetensors.hpp"

#include <ATen/ATen.h>

#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/temporary_folder.hpp"
#include "support/tensors.hpp"
#include <sys/wait.h>
#include <unistd.h>

namespace fs = std::filesystem;
using support::error_of;
using support::TemporaryFolder;
using trmml::clip::ImageFeatures;
using trmml::training::FeatureCache;
using trmml::training::FeatureCacheCallbacks;
using trmml::training::FeatureCacheOptions;
using trmml::training::FeatureCachePlan;

namespace {

constexpr int64_t kN = 7;

/// Features that say whose they are: [picture, view], view -1 for the test's.
class Numbered : public trmml::FeatureSource {
 public:
  int64_t size() const override { return kN; }
  ImageFeatures training_views(const at::Tensor& index, int64_t epoch) override {
    std::vector<ImageFeatures> rows;
    for (int64_t i = 0; i < index.numel(); ++i) {
      rows.push_back(make(index[i].item<int64_t>(), epoch));
    }
    return join(rows);
  }
  ImageFeatures test_views(int64_t start, int64_t length) override {
    std::vector<ImageFeatures> rows;
    for (int64_t i = start; i < start + length; ++i) {
      rows.push_back(make(i, -1));
    }
    return join(rows);
  }
  int64_t computed = 0;
  int64_t n_regions = 3;

 private:
  ImageFeatures make(int64_t picture, int64_t view) {
    ++computed;
    const at::Tensor global = at::tensor({picture, view}).to(at::kFloat).unsqueeze(0);
    std::vector<at::Tensor> regions;
    for (int64_t r = 0; r < n_regions; ++r) {
      regions.push_back(global + 100 * r);
    }
    return {global, at::stack(regions, 1)};  // [1, R, 2]
  }
  static ImageFeatures join(const std::vector<ImageFeatures>& rows) {
    std::vector<at::Tensor> global;
    std::vector<at::Tensor> regions;
    for (const auto& row : rows) {
      global.push_back(row.global);
      regions.push_back(row.regions);
    }
    return {at::cat(global), at::cat(regions)};
  }
};

FeatureCacheOptions options_in(const TemporaryFolder& folder, int64_t views = 2) {
  return FeatureCacheOptions(folder.path(), "weights and views")
      .views(views)
      .shard_size(3);
}

std::set<std::string> files_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    names.insert(entry.path().filename().string());
  }
  return names;
}

}  // namespace

TEST_CASE("FeatureCache: gives what its source gave, without asking again") {
  const TemporaryFolder folder;
  Numbered source;
  FeatureCachePlan plan;
  std::vector<std::pair<int64_t, int64_t>> progress;
  FeatureCacheCallbacks callbacks;
  callbacks.plan = [&plan](const FeatureCachePlan& p) { plan = p; };
  callbacks.progress = [&](int64_t done, int64_t total) {
    progress.emplace_back(done, total);
  };
  const FeatureCachePlan before = FeatureCache::plan(options_in(folder), 7);
  CHECK(before.missing == 7 * 3);
  CHECK(!std::filesystem::exists(before.folder));
  const auto cache = FeatureCache::open(options_in(folder), source, callbacks);
  CHECK(FeatureCache::plan(options_in(folder), 7).missing == 0);
  CHECK(plan.missing == 7 * 3);
  CHECK(plan.folder == before.folder);
  CHECK(plan.pictures == 7);
  CHECK(plan.views == 3);
  CHECK(plan.shards == 9);
  CHECK(plan.shards_ready == 0);
  CHECK(plan.bytes == 7 * 3 * (2 + 3 * 2) * 2);
  CHECK(progress.size() == 9);
  CHECK(progress.back() == std::pair<int64_t, int64_t>{9, 9});
  CHECK(source.computed == 7 * 3 + 1);  // one picture told the size
  CHECK(cache->size() == 7);

  const ImageFeatures test = cache->test_views(1, 5);
  CHECK(test.global.equal(source.test_views(1, 5).global));
  CHECK(test.regions.equal(source.test_views(1, 5).regions));
  CHECK(test.global.scalar_type() == at::kFloat);

  // Every picture shows each of its two views in two epochs, and not all the same.
  const at::Tensor index = at::tensor({6, 0, 3, 3, 5}, at::kLong);
  std::vector<at::Tensor> shown;
  for (int64_t epoch = 0; epoch < 4; ++epoch) {
    const ImageFeatures views = cache->training_views(index, epoch);
    CHECK(views.global.select(1, 0).equal(index.to(at::kFloat)));
    CHECK(views.regions.select(1, 2).equal(views.global + 200));
    shown.push_back(views.global.select(1, 1));
  }
  CHECK((shown[0] + shown[1]).equal(at::ones({5})));  // views 0 and 1
  CHECK(shown[2].equal(shown[0]));
  CHECK(shown[0].min().item<float>() < shown[0].max().item<float>());

  // A second run needs the source only for its size.
  Numbered unused;
  const auto again = FeatureCache::open(options_in(folder), unused);
  CHECK(unused.computed == 0);
  CHECK(again->training_views(index, 3).global.equal(
      cache->training_views(index, 3).global));
}

TEST_CASE("FeatureCache: no views of its own, other seeds, other keys") {
  const TemporaryFolder folder;
  Numbered source;
  const auto plain = FeatureCache::open(options_in(folder, 0), source);
  CHECK(plain->training_views(at::tensor({2, 4}, at::kLong), 5)
            .global.equal(at::tensor({2.F, -1.F, 4.F, -1.F}).reshape({2, 2})));

  const at::Tensor all = at::arange(kN);
  const auto first = FeatureCache::open(options_in(folder, 2).seed(1), source);
  const auto second = FeatureCache::open(options_in(folder, 2).seed(2), source);
  CHECK_FALSE(first->training_views(all, 0).global.equal(
      second->training_views(all, 0).global));
  CHECK(first->folder() == second->folder());

  const auto other = FeatureCache::open(
      FeatureCacheOptions(folder.path(), "other weights").views(0), source);
  CHECK(other->folder() != first->folder());
}

TEST_CASE("FeatureCache: goes on where it was stopped") {
  const TemporaryFolder folder;
  Numbered source;
  FeatureCacheCallbacks callbacks;
  int64_t files = 0;
  callbacks.progress = [&files](int64_t done, int64_t) { files = done; };
  callbacks.should_stop = [&files] { return files == 4; };
  const std::string message = error_of<trmml::Interrupted>(
      [&] { FeatureCache::open(options_in(folder), source, callbacks); });
  CHECK(
      message.find("stopped after 4 of 9 files of features; the same command goes on "
                   "with ") == 0);
  Numbered rest;
  const auto cache = FeatureCache::open(options_in(folder), rest);
  CHECK(rest.computed == 3 * 7 - (3 + 3 + 1 + 3));
  CHECK(cache->test_views(0, kN).global.equal(source.test_views(0, kN).global));
}

TEST_CASE(
    "FeatureCache: counts its files where nobody watches, and the last one ends it") {
  const TemporaryFolder folder;
  Numbered source;
  FeatureCacheCallbacks callbacks;
  int asked = 0;
  callbacks.should_stop = [&asked] { return ++asked == 2; };
  const std::string message = error_of<trmml::Interrupted>(
      [&] { FeatureCache::open(options_in(folder), source, callbacks); });
  CHECK(message.find("stopped after 2 of 9 files of features") == 0);
  callbacks.should_stop = [&asked] { return ++asked == 2 + 9; };  // behind the last
  CHECK(FeatureCache::open(options_in(folder), source, callbacks)->size() == kN);
  CHECK(asked == 2 + 9);
}

TEST_CASE("FeatureCache: what is there is read first, and may be stopped, too") {
  const TemporaryFolder folder;
  Numbered source;
  const fs::path of_key = FeatureCache::open(options_in(folder), source)->folder();
  fs::remove(of_key / "view-000-00001.safetensors");
  Numbered unused;
  FeatureCacheCallbacks callbacks;
  std::vector<int64_t> progress;
  callbacks.progress = [&](int64_t done, int64_t total) {
    CHECK(total == 9);
    CHECK(unused.computed == (done < 9 ? 0 : 3));
    progress.push_back(done);
  };
  callbacks.should_stop = [&progress] { return progress.back() == 8; };
  CHECK(
      error_of<trmml::Interrupted>([&] {
        FeatureCache::open(options_in(folder), unused, callbacks);
      }).find("stopped after 8 of 9 files of features; the same command goes on") == 0);
  CHECK(unused.computed == 0);
  progress.clear();
  callbacks.should_stop = {};
  const auto cache = FeatureCache::open(options_in(folder), unused, callbacks);
  CHECK(progress == std::vector<int64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9});
  CHECK(cache->test_views(0, kN).global.equal(source.test_views(0, kN).global));
}

TEST_CASE("FeatureCache: what a killed program left half written is removed") {
  const TemporaryFolder folder;
  Numbered source;
  const fs::path of_key = FeatureCache::open(options_in(folder), source)->folder();
  const pid_t gone = ::fork();
  if (gone == 0) {
    ::_exit(0);
  }
  REQUIRE(::waitpid(gone, nullptr, 0) == gone);
  const std::string left =
      ".view-000-00000.safetensors.tmp-" + std::to_string(gone) + "-0";
  support::write_bytes(of_key / left, "half");
  FeatureCache::open(options_in(folder), source);
  CHECK(files_in(of_key).count(left) == 0);
  CHECK(files_in(of_key).size() == 10);
}

TEST_CASE("FeatureCache: a file that is gone is computed anew, a damaged one refused") {
  const TemporaryFolder folder;
  Numbered source;
  const auto options = options_in(folder);
  const fs::path of_key = FeatureCache::open(options, source)->folder();
  const fs::path shard = of_key / "view-001-00002.safetensors";
  CHECK(files_in(of_key).size() == 10);  // and key.txt

  fs::remove(of_key / "view-000-00000.safetensors");
  Numbered one;
  FeatureCache::open(options, one);
  CHECK(one.computed == 3);

  std::string bytes = support::read_bytes(shard);
  const std::string good = bytes;
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  support::write_bytes(shard, bytes);
  const auto refusal = [&](const FeatureCacheOptions& o) {
    return error_of<trmml::CheckpointError>([&] { FeatureCache::open(o, source); });
  };
  CHECK(refusal(options).find(shard.string() + ": expected crc32 ") == 0);
  CHECK(
      refusal(options).find("(remove the file to compute its features anew)") !=
      std::string::npos);
  CHECK(refusal(FeatureCacheOptions(options).verify(false)) == "no error");

  support::write_bytes(shard, good.substr(0, good.size() / 2));
  CHECK(refusal(options).find(shard.string()) == 0);

  fs::copy_file(
      of_key / "view-002-00002.safetensors",
      shard,
      fs::copy_options::overwrite_existing);
  CHECK(refusal(options).find(shard.string() + ": expected view 1, got 2") == 0);

  support::write_bytes(shard, good);
  support::write_bytes(of_key / "key.txt", "edited");
  CHECK(
      refusal(options).find("expected the key of this cache, got another") !=
      std::string::npos);
}

TEST_CASE("FeatureCache: features of another size are refused") {
  const TemporaryFolder folder;
  Numbered source, larger;
  larger.n_regions = 4;
  const fs::path of_key = FeatureCache::open(options_in(folder), source)->folder();
  const fs::path gone = of_key / "view-001-00001.safetensors";
  fs::remove(gone);
  CHECK(error_of<trmml::CheckpointError>([&] {
          FeatureCache::open(options_in(folder), larger);
        }).find(gone.string() + ": expected regions of shape [3, 2], got [4, 2]") == 0);
}

TEST_CASE("FeatureCache: arguments out of range") {
  const TemporaryFolder folder;
  Numbered source;
  const auto message = [&](const FeatureCacheOptions& options) {
    return error_of<c10::ValueError>([&] { FeatureCache::open(options, source); });
  };
  CHECK(
      message(options_in(folder, -1)) ==
      "FeatureCache: expected views >= 0 and shard_size > 0, got -1 and 3");
  CHECK(
      message(options_in(folder).shard_size(0)) ==
      "FeatureCache: expected views >= 0 and shard_size > 0, got 2 and 0");
  const auto cache = FeatureCache::open(options_in(folder), source);
  CHECK(error_of<c10::IndexError>([&] {
          cache->training_views(at::tensor({0, 7}, at::kLong), 0);
        }) == "FeatureCache: expected a picture in [0, 7), got 7");
  CHECK(error_of<c10::IndexError>([&] {
          cache->test_views(5, 3);
        }) == "FeatureCache: expected pictures of [0, 7), got 5 .. 7");
  const TemporaryFolder file;
  support::write_bytes(file / "taken", "");
  CHECK(
      error_of<trmml::Error>([&] {
        FeatureCache::open(FeatureCacheOptions(file / "taken", "key"), source);
      }).find("expected a folder for features or a place for one") !=
      std::string::npos);
}
