#include "support/scenes_world.hpp"

#include "trmml/clip/checkpoint.hpp"
#include "trmml/clip/preprocess.hpp"
#include "trmml/clip/tokenizer.hpp"
#include "trmml/core/error.hpp"
#include "trmml/data/scenes.hpp"
#include "trmml/functional/similarity.hpp"

#include <ATen/ops/cat.h>
#include <c10/core/GradMode.h>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <numeric>

#include "support/program.hpp"

namespace scenes {
namespace {

using trmml::clip::ImageFeatures;
using trmml::data::FashionMnist;

// ---------------------------------------------------------------- the world

// 5000 as "5,000".
std::string grouped(int64_t n) {
  return n < 1000 ? std::to_string(n) : fmt::format("{},{:03}", n / 1000, n % 1000);
}

ImageFeatures encode(
    trmml::clip::ClipModel& clip,
    const at::Tensor& images,
    const WorldOptions& options,
    const std::function<bool()>& should_stop) {
  const c10::NoGradGuard no_grad;
  constexpr int64_t kBatch = 100;
  const int64_t upscale = options.resolution / images.size(1);
  std::vector<at::Tensor> global;
  std::vector<at::Tensor> regions;
  for (int64_t i = 0; i < images.size(0); i += kBatch) {
    if (should_stop && should_stop()) {
      throw trmml::Interrupted(
          "stopped while the scenes were being encoded, before any training");
    }
    const int64_t n = std::min(kBatch, images.size(0) - i);
    const ImageFeatures part = clip->image_features(
        trmml::clip::normalize_images(images.narrow(0, i, n), upscale), options.dense);
    global.push_back(part.global);
    regions.push_back(part.regions);
  }
  return {at::cat(global), at::cat(regions)};
}

// What the features of `count` scenes take, by those of a few `images`, which it
// returns.
ImageFeatures tell_expectations(
    trmml::clip::ClipModel& clip,
    const at::Tensor& images,
    int64_t count,
    const WorldOptions& options,
    const experiment::WorldCallbacks& callbacks) {
  const at::Tensor some = images.narrow(0, 0, std::min<int64_t>(32, images.size(0)));
  // The first ones pay for starting.
  encode(clip, some, options, callbacks.should_stop);
  const auto begin = std::chrono::steady_clock::now();
  const ImageFeatures sample = encode(clip, some, options, callbacks.should_stop);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  const double share = static_cast<double>(count) / static_cast<double>(some.size(0));
  const auto floats =
      static_cast<double>(sample.global.numel() + sample.regions.numel());
  callbacks.log(fmt::format(
      "{} regions of width {}; all features: {:.2f} GB in memory, about {:.0f} s to "
      "compute",
      sample.regions.size(1),
      sample.regions.size(2),
      4e-9 * share * floats,
      share * took.count()));
  return sample;
}

experiment::Part load_part(
    experiment::World& world,
    const WorldOptions& options,
    const trmml::data::SceneSet& scenes,
    const std::function<bool()>& should_stop) {
  const ImageFeatures features =
      encode(world.clip, scenes.images, options, should_stop);
  experiment::Part part;
  part.features = features;
  part.labels = scenes.labels;
  part.zero_shot = trmml::functional::zero_shot_scores(
      features.global, features.regions, world.frozen_text);
  part.picture = [images = scenes.images](int64_t i) {
    const at::Tensor image = images[i].contiguous();
    const auto* pixels = image.data_ptr<uint8_t>();
    return trmml::report::Picture{
        static_cast<int>(image.size(1)),
        static_cast<int>(image.size(0)),
        {pixels, pixels + image.numel()}};
  };
  return part;
}

}  // namespace

experiment::Defaults defaults() {
  experiment::Defaults d;
  d.epochs = 30;
  d.batch_size = 128;
  d.prompt_learning_rate = 5e-3;
  d.text_learning_rate = 1e-2;
  d.matcher_learning_rate = 1e-3;
  d.weight_decay = 1e-3;
  d.class_specific = true;
  d.n_ctx = 4;
  d.logit_scale = 20.0;
  d.distillation_weight = 0.25;
  d.evidence_visual = 0.3;
  d.share = 0.9;
  d.pseudo_reference = 50.0;
  d.positives_per_image = 4.6;
  d.spares_starved = true;
  return d;
}

void add_paths(CLI::App& app, Paths& paths) {
  app.add_option(
      "--fashion-mnist", paths.fashion_mnist, "Folder of the four IDX files");
  app.add_option("--clip", paths.clip, "Weights of the small CLIP");
  app.add_option("--merges", paths.merges, "Its byte-pair merges");
}

Paths default_paths() {
  const std::string data = TRMML_EXAMPLES_DATA;
  return {
      trmml::data::kFashionMnistFolder,
      data + "/scenes_clip.safetensors",
      data + "/scenes_merges.txt"};
}

experiment::World load_world(
    const WorldOptions& options,
    const experiment::WorldCallbacks& callbacks,
    bool dry_run) {
  const c10::NoGradGuard no_grad;
  const Paths& paths = options.paths;
  experiment::World world;
  world.clip = trmml::clip::load_clip(paths.clip).model;
  const auto tokenizer = trmml::clip::Tokenizer::from_merges(paths.merges);
  const auto& names = trmml::data::scene_classnames();
  world.classnames = trmml::tokenize_classnames(tokenizer, names, "a photo of a");
  world.frozen_text = trmml::frozen_text_features(world.clip->text, tokenizer, names);
  const auto limited = [&options](int64_t all) {
    return options.limit_scenes > 0 ? std::min(options.limit_scenes, all) : all;
  };
  const int64_t n_scenes =
      limited(kTrainScenes) + limited(kHeldOutScenes) + limited(kTestScenes);
  const auto photos = program::with_flag<trmml::DataError>("--fashion-mnist", [&paths] {
    return std::make_shared<const FashionMnist>(
        FashionMnist::load(paths.fashion_mnist));
  });
  const auto start = std::chrono::steady_clock::now();
  callbacks.log(
      dry_run ? fmt::format(
                    "FashionScenes: {} training, {} held-out and {} test scenes, {} "
                    "categories",
                    grouped(limited(kTrainScenes)),
                    grouped(limited(kHeldOutScenes)),
                    grouped(limited(kTestScenes)),
                    names.size())
              : fmt::format(
                    "composing {} scenes of photographs and encoding them",
                    grouped(n_scenes)));
  using Pool = FashionMnist::Pool;
  const auto scenes = [&](Pool pool, int64_t first, int64_t count) {
    return trmml::data::make_scenes(photos, pool, first, limited(count));
  };
  const trmml::data::SceneSet train = scenes(Pool::kTrain, 0, kTrainScenes);
  world.dataset = "FashionScenes";
  world.all_train.name = "FashionScenes train";
  world.all_train.table = train.table(Pool::kTrain, 0);
  world.all_train.names_for_clip = names;
  world.train_rows.resize(world.all_train.table.images.size());
  std::iota(world.train_rows.begin(), world.train_rows.end(), 0);
  world.salient = [items = train.items](uint32_t seed) {
    return trmml::data::salient_categories(items, seed);
  };
  if (callbacks.check) {
    callbacks.check(world);
  }
  if (dry_run) {
    world.sample =
        tell_expectations(world.clip, train.images, n_scenes, options, callbacks);
    return world;
  }
  const auto load = [&](const trmml::data::SceneSet& set) {
    return load_part(world, options, set, callbacks.should_stop);
  };
  world.train = load(train);
  world.held_out = load(scenes(Pool::kTrain, kTrainScenes, kHeldOutScenes));
  world.test = load(scenes(Pool::kTest, 0, kTestScenes));
  world.test_name = fmt::format("test: {} scenes", grouped(world.test.labels.size(0)));
  const std::chrono::duration<double> seconds =
      std::chrono::steady_clock::now() - start;
  callbacks.log(fmt::format("encoded in {:.1f} s", seconds.count()));
  return world;
}

}  // namespace scenes
