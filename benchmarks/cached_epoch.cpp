// What a cache of region features saves from the second epoch on: an epoch whose
// features come from the mapped files against the same epoch whose pictures pass the
// image tower, a picture. RN101 at 448 in fp32, random weights, 80 categories, batches
// of 64, steps with the text tower and AdamW.
//
//   benchmark_cached_epoch [--threads N] [--runs N] [--out FILE] [--only NAME] [--ours]
//
// Both sides are what the trainer runs: `FeatureCache` and `EncodedPictures`. A picture
// of the second costs the same in any number, so that a few are encoded
// ("encoded_pictures") and the rest is arithmetic: the seconds of a batch's step are
// those of the other side. Neither reads or augments pictures (they are random numbers
// in memory): with that the cache saves more. The record is seconds for 64 pictures.

#include "trmml/clip/freeze.hpp"
#include "trmml/clip/frozen_image_tower.hpp"
#include "trmml/clip/text_transformer.hpp"
#include "trmml/training/encoded_pictures.hpp"
#include "trmml/training/feature_cache.hpp"

#include <torch/optim/adamw.h>

#include <fmt/format.h>

#include <filesystem>

#include "support/benchmark.hpp"
#include "support/trm_ml_step.hpp"
#include <unistd.h>

namespace {

using namespace trmml;

constexpr int64_t kBatch = 64;
constexpr int64_t kEncoded = 4;
constexpr int64_t kSide = 448;

/// Random pictures of 448 x 448 that need no reading.
class Noise : public data::Dataset {
 public:
  explicit Noise(int64_t size) : size_(size) {}
  int64_t size() const override { return size_; }
  data::Sample get(int64_t, at::Generator&) const override {
    return {picture_, labels_};
  }

 private:
  int64_t size_;
  at::Tensor picture_ = at::randn({3, kSide, kSide});
  at::Tensor labels_ = at::zeros({80}, at::kChar);
};

/// A folder that goes with the program.
struct TemporaryFolder {
  std::filesystem::path path = std::filesystem::temp_directory_path() /
                               fmt::format("trmml-cached-epoch-{}", ::getpid());
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

clip::ImageFeatures random_features(int64_t n) {
  return {at::randn({n, 512}), at::randn({n, 196, 512})};
}

}  // namespace

int main(int argc, char** argv) {
  const benchmark::Options options = benchmark::parse(argc, argv);
  if (!options.only.empty() && options.only != "cached_epoch") {
    return 0;
  }
  clip::TextTransformer text{clip::TextTransformerOptions(512)};
  clip::freeze(*text);
  clip::ClipModel model(clip::ClipModelOptions(
      clip::ClipModelOptions::rn101().image(),
      clip::TextTransformerOptions(512).layers(1).vocab_size(8)));
  clip::freeze(*model);
  const clip::FrozenImageTower tower(*model, at::kFloat);
  training::EncodedPictures on_the_fly(
      std::make_shared<Noise>(kEncoded),
      std::make_shared<Noise>(kEncoded),
      [&tower](const at::Tensor& images) {
        return tower.image_features(images, clip::DenseForm::kPlain);
      },
      training::EncodedPicturesOptions().workers(1).batch_size(kEncoded));

  const TemporaryFolder folder;
  StoredFeatures known(random_features(4 * kBatch));
  const auto cache = training::FeatureCache::open(
      training::FeatureCacheOptions(folder.path, "random").views(1), known);

  benchmark::TrmMlStep step(80, kBatch, [text](const Prompts& prompts) mutable {
    return text->forward(prompts);
  });
  torch::optim::AdamW optimizer(step.model()->parameters());
  int64_t epoch = 0;
  const auto train = [&](const clip::ImageFeatures& images) {
    optimizer.zero_grad();
    step.run(images);
    optimizer.step();
  };
  const auto cached = [&] {
    const at::Tensor index = at::randperm(cache->size(), at::kLong).slice(0, 0, kBatch);
    train(cache->training_views(index, ++epoch));
  };
  const auto encode = [&] { on_the_fly.training_views(at::arange(kEncoded), ++epoch); };

  std::vector<double> cached_times, step_times, encode_times, ratio;
  const double memory = benchmark::peak_memory_mb(cached);
  if (!options.ours) {
    encode();
  }
  const clip::ImageFeatures images = random_features(kBatch);
  for (int i = 0; i < options.runs; ++i) {
    cached_times.push_back(benchmark::seconds(cached));
    if (options.ours) {
      continue;
    }
    step_times.push_back(benchmark::seconds([&] { train(images); }));
    encode_times.push_back(benchmark::seconds(encode));
    const double peer = encode_times.back() * kBatch / kEncoded + step_times.back();
    ratio.push_back(peer / cached_times.back());
  }
  std::map<std::string, double> numbers = {
      {"ours_seconds", benchmark::median(cached_times)},
      {"spread", benchmark::spread(cached_times)},
      {"peak_memory_mb", memory}};
  if (!options.ours) {
    const double encode_seconds = benchmark::median(encode_times) / kEncoded;
    const double step_seconds = benchmark::median(step_times);
    numbers["peer_seconds"] = encode_seconds * kBatch + step_seconds;
    numbers["ratio"] = benchmark::median(ratio);
    numbers["encode_seconds_per_picture"] = encode_seconds;
    numbers["step_seconds"] = step_seconds;
    numbers["encoded_pictures"] = static_cast<double>(kEncoded);
  }
  benchmark::record(
      "cached_epoch", "features on the fly, RN101 at 448 in fp32", numbers, options);
  return 0;
}
