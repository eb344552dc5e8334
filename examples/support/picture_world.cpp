#include "support/picture_world.hpp"

#include "trmml/core/error.hpp"
#include "trmml/core/random.hpp"
#include "trmml/core/version.hpp"
#include "trmml/data/image_dataset.hpp"
#include "trmml/data/transforms.hpp"
#include "trmml/functional/similarity.hpp"
#include "trmml/method/ablation.hpp"
#include "trmml/training/encoded_pictures.hpp"
#include "trmml/training/feature_cache.hpp"

#include <ATen/ops/arange.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>
#include <c10/core/GradMode.h>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <memory>
#include <utility>

#include "support/clip_program.hpp"
#include "support/picture_check.hpp"
#include "support/picture_tower.hpp"
#include "support/program.hpp"

namespace experiment {

namespace data = trmml::data;
namespace fs = std::filesystem;
using trmml::clip::ImageFeatures;
using trmml::training::EncodedPictures;
using trmml::training::EncodedPicturesOptions;
using trmml::training::FeatureCache;
using trmml::training::FeatureCacheCallbacks;
using trmml::training::FeatureCacheOptions;
using trmml::training::FeatureCachePlan;

void add_options(CLI::App& app, PictureOptions& o) {
  app.add_option("--clip", o.clip, "File or folder of a CLIP")->required();
  app.add_option(
      "--vocab", o.vocab, "Vocabulary of its tokenizer (not set: looked for)");
  app.add_option(
      "--quick-gelu", o.quick_gelu, "true, false (not set: what the weights say)");
  app.add_option("--dense", o.dense, "Form of the dense map")
      ->check(CLI::IsMember({"dualcoop", "plain"}));
  app.add_option("--resolution", o.resolution, "Pixels a side that the tower sees")
      ->check(program::at_least(32));
  app.add_option("--precision", o.precision, "Of the image tower: fp32, bf16")
      ->check(CLI::IsMember({"fp32", "bf16"}));
  app.add_option("--device", o.device, "cpu, cuda, cuda:1, ...");
  app.add_option("--threads", o.threads, "0: every core")->check(program::at_least(0));
  app.add_option("--features", o.features, "cache: compute them once; or on-the-fly")
      ->check(CLI::IsMember({"cache", "on-the-fly"}));
  app.add_option(
      "--cache", o.cache, "Folder of cached features, for any number of runs");
  app.add_option(
         "--views", o.views, "Augmented views of a picture in the cache; 0: none")
      ->check(CLI::Range(0, 1000));
  app.add_option(
         "--augmentation",
         o.augmentation,
         "strong: crop or cutout, RandAugment, flip; weak: crop, flip; none")
      ->check(CLI::IsMember({"strong", "weak", "none"}));
  app.add_option("--augmentation-seed", o.augmentation_seed, "Of the views");
  app.add_option("--workers", o.workers, "Threads that read pictures")
      ->check(program::at_least(1));
  app.add_flag(
      "--skip-unreadable",
      o.skip_unreadable,
      "Read every picture first and leave out those that cannot be read");
  app.add_option(
         "--encode-batch", o.encode_batch, "Pictures that the tower sees at a time")
      ->check(program::at_least(1));
  app.add_option(
         "--held-out",
         o.held_out,
         "Share of the training pictures that choose the epoch")
      ->check(program::expects(
          "a number in (0, 1)", [](double value) { return value > 0 && value < 1; }));
  app.add_option("--held-out-seed", o.held_out_seed, "Of their choice");
}

void check(const CLI::App& app, const PictureOptions& o, const std::string& method) {
  using Kind = trmml::MethodSwitches::Kind;
  using program::expect_effect;
  const bool is_cached = o.features == "cache";
  const Kind kind = trmml::method_switches(method).kind;
  const bool is_trained = kind != Kind::kZeroShot && kind != Kind::kLinear;
  expect_effect(
      app,
      is_trained,
      {"--views", "--augmentation", "--augmentation-seed"},
      "a method with prompts, got " + method);
  expect_effect(app, is_cached, {"--cache", "--views"}, "--features cache");
  expect_effect(
      app, o.augmentation != "none", {"--views"}, "another --augmentation than none");
  expect_effect(
      app,
      !is_cached || o.views > 0,
      {"--augmentation", "--augmentation-seed"},
      "--views above 0");
  expect_effect(
      app,
      o.augmentation != "none",
      {"--augmentation-seed"},
      "another --augmentation than none");
}

namespace {

// ---------------------------------------------------------------- rows

at::Tensor first_rows(at::Tensor rows, int64_t limit) {
  return limit > 0 && limit < rows.size(0) ? rows.narrow(0, 0, limit) : rows;
}

data::Split rows_of(const data::Split& split, const at::Tensor& rows) {
  data::Split part;
  part.name = split.name;
  part.root = split.root;
  part.names_for_clip = split.names_for_clip;
  part.table.classnames = split.table.classnames;
  part.table.labels = split.table.labels.index_select(0, rows);
  if (split.ignore.defined()) {
    part.ignore = split.ignore.index_select(0, rows);
  }
  for (int64_t i = 0; i < rows.size(0); ++i) {
    const auto row = static_cast<size_t>(rows[i].item<int64_t>());
    part.table.images.push_back(split.table.images[row]);
  }
  return part;
}

// Which training pictures are held out: the first of a seeded order, in row order.
struct HeldOut {
  at::Tensor train;
  at::Tensor held_out;
};

HeldOut hold_out(int64_t n, const PictureOptions& options) {
  const auto size = static_cast<int64_t>(std::llround(options.held_out * double(n)));
  if (size < 1 || size >= n) {
    throw program::UsageError(fmt::format(
        "--held-out: expected pictures on both sides, got {} of {}", size, n));
  }
  const at::Tensor order = at::tensor(trmml::epoch_order(n, options.held_out_seed, 0));
  return {
      std::get<0>(order.narrow(0, size, n - size).sort()),
      std::get<0>(order.narrow(0, 0, size).sort())};
}

// ---------------------------------------------------------------- pictures

data::TrainTransformOptions augmentation(const PictureOptions& options) {
  data::TrainTransformOptions transform;
  transform.side = static_cast<int>(options.resolution);
  if (options.augmentation != "strong") {
    transform.rand_augment.count = 0;
    transform.crop_probability = 1.0;
    transform.cutout_ratio = 0.0;
  }
  return transform;
}

std::shared_ptr<data::ImageDataset>
dataset_of(const data::Split& split, const PictureOptions& options, bool augmented) {
  data::Transform transform;
  if (augmented && options.augmentation != "none") {
    transform = data::TrainTransform(augmentation(options));
  } else {
    transform = test_transform(options);
  }
  return std::make_shared<data::ImageDataset>(
      split, split.table.labels, std::move(transform));
}

// All that features depend on; of a checkpoint, size and time stand for the content.
std::string key_of(
    const data::Split& split,
    const clip_program::Clip& clip,
    const PictureOptions& options,
    bool augmented) {
  std::string names;
  for (const std::string& name : split.table.images) {
    names += name + '\n';
  }
  const fs::path weights = fs::absolute(options.clip);
  const bool is_folder = fs::is_directory(weights);
  std::string key = fmt::format(
      "trmml {}\nclip: {}, {} bytes, changed {}\n{}\ndense: {}\nresolution: "
      "{}\nprecision: {}\n"
      "split: {}\npictures: {}, digest {:016x}, below {}\n",
      TRMML_VERSION,
      weights.string(),
      is_folder ? 0 : fs::file_size(weights),
      fs::last_write_time(weights).time_since_epoch().count(),
      clip.description,
      options.dense,
      options.resolution,
      options.precision,
      split.name,
      split.table.images.size(),
      trmml::derive_seed(0, 0, names),
      fs::absolute(split.root).string());
  if (augmented) {
    key += fmt::format(
        "augmentation: {}, seed {}\n", options.augmentation, options.augmentation_seed);
  }
  return key;
}

// ---------------------------------------------------------------- features

class Loading {
 public:
  Loading(
      const PictureOptions& options,
      const WorldCallbacks& callbacks,
      const clip_program::Clip& clip)
      : options_(options),
        callbacks_(callbacks),
        clip_(clip),
        encoder_(encoder_of(clip, options)) {}

  Part part(const data::Split& split, const std::string& name, bool is_training) const {
    const auto plain = dataset_of(split, options_, false);
    const auto source = std::make_shared<EncodedPictures>(
        is_training ? dataset_of(split, options_, true) : plain,
        plain,
        encoder_,
        EncodedPicturesOptions()
            .workers(options_.workers)
            .batch_size(options_.encode_batch)
            .seed(options_.augmentation_seed));
    Part part;
    part.labels = split.table.labels;
    if (split.ignore.defined() && !is_training) {
      part.labels = part.labels.masked_fill(split.ignore, 0);
    }
    part.picture = [plain](int64_t i) {
      constexpr int kShown = 224;
      data::TestTransformOptions shown;
      shown.side = kShown;
      std::mt19937 none(0);
      data::Image image =
          data::TestTransform(shown)(data::read_image(plain->path(i)), none);
      return trmml::report::Picture{image.width, image.height, std::move(image.rgb)};
    };
    if (options_.features == "cache") {
      part.features = open_cache(split, name, is_training, *source);
    } else {
      part.features = source;
    }
    return part;
  }

 private:
  std::shared_ptr<FeatureCache> open_cache(
      const data::Split& split,
      const std::string& name,
      bool is_training,
      EncodedPictures& source) const {
    const bool augmented =
        is_training && options_.views > 0 && options_.augmentation != "none";
    FeatureCacheCallbacks hooks;
    hooks.should_stop = callbacks_.should_stop;
    hooks.plan = [&](const FeatureCachePlan& plan) {
      callbacks_.log(fmt::format(
          "features of {}: {} pictures x {} view{}, {:.2f} GB in {} ({} of {} files "
          "there)",
          name,
          plan.pictures,
          plan.views,
          plan.views == 1 ? "" : "s",
          static_cast<double>(plan.bytes) / 1e9,
          plan.folder.string(),
          plan.shards_ready,
          plan.shards));
    };
    hooks.progress = [&](int64_t done, int64_t total) {
      callbacks_.log(fmt::format("features of {}: {} of {} files", name, done, total));
    };
    return FeatureCache::open(
        FeatureCacheOptions(options_.cache, key_of(split, clip_, options_, augmented))
            .views(augmented ? options_.views : 0)
            .shard_size(128),
        source,
        hooks);
  }

  const PictureOptions& options_;
  const WorldCallbacks& callbacks_;
  const clip_program::Clip& clip_;
  trmml::training::ImageEncoder encoder_;
};

void tell_expectations(
    const World& world,
    const std::vector<const data::Split*>& parts,
    const clip_program::Clip& clip,
    const PictureOptions& options,
    const WorldCallbacks& callbacks) {
  const auto plain = dataset_of(*parts.front(), options, false);
  EncodedPictures source(plain, plain, encoder_of(clip, options));
  source.test_views(0, 1);  // the first picture pays for starting
  const auto begin = std::chrono::steady_clock::now();
  const ImageFeatures sample = source.test_views(0, 1);
  const std::chrono::duration<double> seconds =
      std::chrono::steady_clock::now() - begin;
  int64_t views = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const bool is_augmented = i == 0 && options.augmentation != "none";
    const auto n = static_cast<int64_t>(parts[i]->table.images.size());
    views += n * (1 + (is_augmented ? options.views : 0));
  }
  const int64_t bytes = 2 * (sample.global.numel() + sample.regions.numel());  // fp16
  callbacks.log(fmt::format(
      "{} categories, {} regions of width {}",
      world.frozen_text.size(0),
      sample.regions.size(1),
      sample.regions.size(2)));
  callbacks.log(fmt::format(
      "all features: {:.2f} GB on disk, about {:.1f} h to compute ({:.2f} s a picture)",
      static_cast<double>(bytes * views) / 1e9,
      seconds.count() * static_cast<double>(views) / 3600,
      seconds.count()));
}

void log_labels(const data::Split& split, const WorldCallbacks& callbacks) {
  const data::LabelCounts counts = data::count_labels(split.table.labels);
  callbacks.log(fmt::format(
      "{}: {} pictures, {} present, {} absent, {} unknown",
      split.name,
      split.table.images.size(),
      counts.present,
      counts.absent,
      split.table.labels.numel() - counts.known));
}

}  // namespace

World load_world(
    const data_set::Options& data,
    const PictureOptions& options,
    const WorldCallbacks& callbacks,
    bool dry_run) {
  const c10::NoGradGuard no_grad;
  World world;
  world.dataset = data.name;
  world.all_train = data_set::read(data, data_set::Part::kTrain);
  log_labels(world.all_train, callbacks);
  data::Split test = data_set::read(data, data_set::Part::kTest);
  log_labels(test, callbacks);
  if (test.table.classnames != world.all_train.table.classnames) {
    throw trmml::DataError(fmt::format(
        "{}: expected the categories of {}, got others (name them in one order: "
        "--category-names, or list them in both files)",
        test.name,
        world.all_train.name));
  }
  world.test_name = test.name;

  clip_program::Clip clip = clip_program::load(clip_options(options));
  const trmml::clip::Tokenizer tokenizer =
      clip_program::load_tokenizer(clip_options(options), clip);
  world.clip = clip.model;
  world.clip_description = clip.description;
  const auto& names = world.all_train.names_for_clip;
  world.classnames = trmml::tokenize_classnames(tokenizer, names, "a photo of a");
  std::vector<std::string> texts;
  for (const std::string& name : names) {
    texts.push_back("a photo of a " + name + ".");
  }
  world.frozen_text = trmml::functional::l2_normalise(
                          clip_program::encode_texts(clip, tokenizer, texts, false))
                          .to(clip.device);

  const auto rows_for = [&](const data::Split& split, const at::Tensor& rows) {
    const at::Tensor first = first_rows(rows, options.limit_pictures);
    return options.skip_unreadable
               ? picture_check::readable_rows(
                     split, first, static_cast<int>(options.workers), callbacks.log)
               : first;
  };
  const HeldOut rows = hold_out(world.all_train.table.labels.size(0), options);
  world.train_rows = rows_for(world.all_train, rows.train);
  const data::Split train = rows_of(world.all_train, world.train_rows);
  const data::Split held_out =
      rows_of(world.all_train, rows_for(world.all_train, rows.held_out));
  const at::Tensor all =
      first_rows(at::arange(test.table.labels.size(0)), options.limit_pictures);
  const at::Tensor test_rows = rows_for(test, all);
  if (test_rows.size(0) < all.size(0)) {
    world.test_name += fmt::format(
        ", {} of {} pictures unreadable and left out",
        all.size(0) - test_rows.size(0),
        all.size(0));
  }
  test = rows_of(test, test_rows);
  if (dry_run) {
    tell_expectations(world, {&train, &held_out, &test}, clip, options, callbacks);
    return world;
  }
  const Loading loading(options, callbacks, clip);
  world.train = loading.part(train, "training pictures", true);
  world.held_out = loading.part(held_out, "held-out pictures", false);
  world.test = loading.part(test, "test pictures", false);
  return world;
}

}  // namespace experiment
