#include "support/picture_world.hpp"

#include "trmml/core/error.hpp"
#include "trmml/core/random.hpp"
#include "trmml/data/image_dataset.hpp"
#include "trmml/data/missing_labels.hpp"
#include "trmml/data/transforms.hpp"
#include "trmml/method/ablation.hpp"
#include "trmml/method/evidence.hpp"
#include "trmml/report/progress.hpp"
#include "trmml/training/encoded_pictures.hpp"
#include "trmml/training/feature_cache.hpp"

#include <c10/core/GradMode.h>
#include <torch/nn/module.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "support/clip_program.hpp"
#include "support/picture_check.hpp"
#include "support/picture_tower.hpp"
#include "support/program.hpp"
#include "support/trained.hpp"

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
  app.add_flag("--exif-orientation", o.exif_orientation, "Turn pictures upright");
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
  app.add_option("--augmentation-seed", o.augmentation_seed, "Of the views")
      ->check(program::at_least(0));
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
  app.add_option("--held-out-seed", o.held_out_seed, "Of their choice")
      ->check(program::at_least(0));
}

void check(const CLI::App& app, const PictureOptions& o, const std::string& method) {
  using program::expect_effect;
  const bool is_cached = o.features == "cache";
  expect_effect(
      app,
      trmml::method_switches(method).has_prompts(),
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

using Rows = std::vector<int64_t>;

Rows all_rows(const data::Split& split) {
  Rows rows(split.table.images.size());
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

Rows first_rows(Rows rows, int64_t limit) {
  if (limit > 0 && limit < static_cast<int64_t>(rows.size())) {
    rows.resize(static_cast<size_t>(limit));
  }
  return rows;
}

// A vision transformer has one dense map.
void check_dense(const PictureOptions& options, const clip_program::Clip& clip) {
  if (options.dense != PictureOptions().dense && clip.model->visual_resnet.is_empty()) {
    throw program::UsageError(fmt::format(
        "--dense: expected a CLIP with a ResNet, got the vision transformer {} (it "
        "would have no effect)",
        options.clip));
  }
}

data::HeldOutRows hold_out(int64_t n, const PictureOptions& options) {
  try {
    return data::hold_out(n, options.held_out, options.held_out_seed);
  } catch (const c10::ValueError& error) {
    throw program::UsageError(
        std::string("--held-out: ") + error.what_without_backtrace());
  }
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
      split,
      split.table.labels,
      std::move(transform),
      data::ImageDatasetOptions().reading(
          {.exif_orientation = options.exif_orientation}));
}

// Names, sizes and times of change, which tell that a picture was replaced without
// reading it. Where the folder is does not matter.
std::string files_of(const data::Split& split) {
  std::string files;
  for (const std::string& name : split.table.images) {
    const fs::path path = split.root / name;
    std::error_code error;  // a picture that is missing is told when it is read
    const auto size = fs::file_size(path, error);
    const auto changed = fs::last_write_time(path, error).time_since_epoch().count();
    files += fmt::format("{}\n{} {}\n", name, size, changed);
  }
  return files;
}

// All that features depend on; `weights`: the fingerprint of the image tower. Another
// number in its first line is for features that are computed in another way.
std::string key_of(
    const data::Split& split,
    const std::string& weights,
    const PictureOptions& options,
    bool augmented) {
  std::string key = fmt::format(
      "feature cache 1\nweights: {}\ndense: {}\nresolution: {}\nprecision: {}\n"
      "pictures: {}, digest of names, sizes and times {:016x}\n",
      weights,
      options.dense,
      options.resolution,
      options.precision,
      split.table.images.size(),
      trmml::derive_seed(0, 0, files_of(split)));
  if (options.exif_orientation) {
    key += "exif orientation\n";
  }
  if (augmented) {
    key += fmt::format(
        "augmentation: {}, seed {}\n", options.augmentation, options.augmentation_seed);
  }
  return key;
}

// ---------------------------------------------------------------- features

int64_t bytes_of(const torch::nn::Module& module) {
  int64_t bytes = 0;
  for (const at::Tensor& parameter : module.parameters()) {
    bytes += static_cast<int64_t>(parameter.nbytes());
  }
  return bytes;
}

double in_gigabytes(int64_t bytes) {
  return static_cast<double>(bytes) / 1e9;
}

// The pictures that the tower has seen, where that is shown.
using Bar = std::optional<trmml::report::Progress>;

class Loading {
 public:
  Loading(
      const PictureOptions& options,
      const WorldCallbacks& callbacks,
      const clip_program::Clip& clip)
      : options_(options), callbacks_(callbacks) {
    trmml::clip::ClipModel model = clip.model;
    weights_ = fingerprint(*model);
    // The frozen tower is a copy.
    weight_bytes_ = bytes_of(*model) +
                    bytes_of(model->visual()) / (options.precision == "bf16" ? 2 : 1);
    encoder_ = [encode = encoder_of(clip, options),
                bar = bar_](const at::Tensor& images) {
      ImageFeatures features = encode(images);
      if (*bar) {
        (*bar)->advance(images.size(0));
      }
      return features;
    };
  }

  Part part(const data::Split& split, const std::string& name, bool is_training) const {
    const auto plain = dataset_of(split, options_, false);
    const auto source =
        source_of(is_training ? dataset_of(split, options_, true) : plain, plain);
    Part part;
    part.labels = split.table.labels;
    if (split.ignore.defined() && !is_training) {
      part.labels = part.labels.masked_fill(split.ignore, 0);
    }
    const data::ImageOptions reading{.exif_orientation = options_.exif_orientation};
    part.picture = [plain, reading](int64_t i) {
      constexpr int kShown = 224;
      data::TestTransformOptions shown;
      shown.side = kShown;
      std::mt19937 none(0);
      return data::TestTransform(shown)(
          data::read_image(plain->path(i), reading), none);
    };
    if (options_.features == "cache") {
      part.features = open_cache(split, name, is_training, *source);
    } else {
      part.features = source;
    }
    return part;
  }

  // What the features of all parts would take, by those of a few pictures, which it
  // returns: memory, and time and disk as far as they are not in the cache.
  ImageFeatures tell_expectations(
      const data::Split& train,
      const data::Split& held_out,
      const data::Split& test,
      int64_t n_cls) const {
    const auto plain = dataset_of(train, options_, false);
    const auto source = source_of(plain, plain);
    const int64_t n = std::min<int64_t>({4, options_.encode_batch, plain->size()});
    source->test_views(0, n);  // the first ones pay for starting
    const auto begin = std::chrono::steady_clock::now();
    const ImageFeatures sample = source->test_views(0, n);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    const double seconds = took.count() / static_cast<double>(n);
    const auto hours = [seconds](int64_t views) {
      return seconds * static_cast<double>(views) / 3600;
    };
    callbacks_.log(fmt::format(
        "{} categories, {} regions of width {}",
        n_cls,
        sample.regions.size(1),
        sample.regions.size(2)));
    const Passes& passes = callbacks_.passes;
    const int64_t floats = (sample.global.numel() + sample.regions.numel()) / n;
    const int64_t scored = passes.batch == 0
                               ? kCollected
                               : trmml::pictures_at_once(n_cls, sample.global.size(1));
    tell_memory(
        floats,
        std::min(
            std::max(passes.batch, scored),
            std::max({size_of(train), size_of(held_out), size_of(test)})));
    if (options_.features != "cache") {
      const int64_t pictures = passes.train * size_of(train) +
                               passes.held_out * size_of(held_out) +
                               passes.test * size_of(test);
      callbacks_.log(fmt::format(
          "features on the fly: {} pictures to encode in all, at most about {:.1f} h "
          "({:.2f} s a picture)",
          pictures,
          hours(pictures),
          seconds));
      return sample;
    }
    int64_t views = 0;
    int64_t missing = 0;
    for (const data::Split* split : {&train, &held_out, &test}) {
      if (split == &train && callbacks_.training_views == TrainingViews::kNone) {
        continue;
      }
      const FeatureCachePlan plan =
          FeatureCache::plan(cache_of(*split, split == &train), size_of(*split));
      views += plan.pictures * plan.views;
      missing += plan.missing;
    }
    callbacks_.log(fmt::format(
        "all features: {:.2f} GB on disk, {} of {} views are there, about {:.1f} h to "
        "compute the others ({:.2f} s a picture and view)",
        in_gigabytes(2 * floats * views),  // fp16
        views - missing,
        views,
        hours(missing),
        seconds));
    return sample;
  }

 private:
  // `floats`: of a picture's features.
  void tell_memory(int64_t floats, int64_t pictures) const {
    const int64_t feature_bytes = 4 * floats * pictures;
    callbacks_.log(fmt::format(
        "memory: at least {:.2f} GB, {:.2f} of them CLIP's weights and {:.2f} the "
        "features of {} pictures at a time",
        in_gigabytes(weight_bytes_ + feature_bytes),
        in_gigabytes(weight_bytes_),
        in_gigabytes(feature_bytes),
        pictures));
  }

  static int64_t size_of(const data::Split& split) {
    return static_cast<int64_t>(split.table.images.size());
  }

  std::shared_ptr<EncodedPictures> source_of(
      const std::shared_ptr<data::ImageDataset>& training,
      const std::shared_ptr<data::ImageDataset>& plain) const {
    return std::make_shared<EncodedPictures>(
        training,
        plain,
        encoder_,
        EncodedPicturesOptions()
            .workers(options_.workers)
            .batch_size(options_.encode_batch)
            .seed(options_.augmentation_seed));
  }

  FeatureCacheOptions cache_of(const data::Split& split, bool is_training) const {
    const bool augmented =
        is_training && options_.views > 0 && options_.augmentation != "none";
    // The plain views alone are the beginning of the same cache.
    const bool has_all = callbacks_.training_views == TrainingViews::kAll;
    return FeatureCacheOptions(
               options_.cache, key_of(split, weights_, options_, augmented))
        .views(augmented && has_all ? options_.views : 0)
        .shard_size(128);
  }

  std::shared_ptr<FeatureCache> open_cache(
      const data::Split& split,
      const std::string& name,
      bool is_training,
      EncodedPictures& source) const {
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
          in_gigabytes(plan.bytes),
          plan.folder.string(),
          plan.shards_ready,
          plan.shards));
      if (plan.missing > 0) {
        bar_->emplace(
            "features of " + name,
            plan.missing,
            stderr,
            trmml::report::ProgressOptions{.unit = "pictures"});
      }
    };
    const auto cache = program::with_flag<trmml::WriteError>("--cache", [&] {
      return FeatureCache::open(cache_of(split, is_training), source, hooks);
    });
    if (*bar_) {
      (*bar_)->finish();
      bar_->reset();
    }
    return cache;
  }

  const PictureOptions& options_;
  const WorldCallbacks& callbacks_;
  std::string weights_;
  int64_t weight_bytes_ = 0;
  std::shared_ptr<Bar> bar_ = std::make_shared<Bar>();
  trmml::training::ImageEncoder encoder_;
};

// ---------------------------------------------------------------- categories

// The first few names that only `some` has: `"dog", "cat" and 3 more`.
std::string only_in(
    const std::vector<std::string>& some,
    const std::vector<std::string>& others) {
  constexpr size_t kShown = 3;
  const std::set<std::string> known(others.begin(), others.end());
  std::vector<std::string> names;
  for (const std::string& name : some) {
    if (known.count(name) == 0) {
      names.push_back('"' + name + '"');
    }
  }
  const size_t shown = std::min(names.size(), kShown);
  const std::string more = names.size() > shown
                               ? fmt::format(" and {} more", names.size() - shown)
                               : std::string();
  names.resize(shown);
  return fmt::format("{}{}", fmt::join(names, ", "), more);
}

void check_categories(const data::Split& train, const data::Split& test) {
  const std::vector<std::string>& expected = train.table.classnames;
  const std::vector<std::string>& got = test.table.classnames;
  if (got == expected) {
    return;
  }
  const std::string missing = only_in(expected, got);
  const std::string added = only_in(got, expected);
  throw trmml::DataError(fmt::format(
      "{}: expected the categories of {}, got them {}{}{}{} ({})",
      test.name,
      train.name,
      missing.empty() && added.empty() ? "in another order" : "",
      missing.empty() ? "" : "without " + missing,
      missing.empty() || added.empty() ? "" : " and ",
      added.empty() ? "" : "with " + added,
      data_set::kOneListHint));
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
  check_categories(world.all_train, test);
  world.test_name = test.name;

  clip_program::Clip clip = clip_program::load(clip_options(options));
  check_dense(options, clip);
  const trmml::clip::Tokenizer tokenizer =
      clip_program::load_tokenizer(clip_options(options), clip);
  world.clip = clip.model;
  world.clip_description = clip.description;
  const auto& names = world.all_train.names_for_clip;
  world.classnames = trmml::tokenize_classnames(tokenizer, names, "a photo of a");
  world.frozen_text = trmml::frozen_text_features(world.clip->text, tokenizer, names);

  const auto n = static_cast<int64_t>(world.all_train.table.images.size());
  const data::HeldOutRows rows = hold_out(n, options);
  world.train_rows = first_rows(rows.train, options.limit_pictures);
  if (callbacks.check) {
    callbacks.check(world);
  }
  const auto rows_for =
      [&](const data::Split& split, const Rows& all, const std::string& part) {
        const Rows first = first_rows(all, options.limit_pictures);
        if (!options.skip_unreadable) {
          return first;
        }
        const Rows readable = picture_check::readable_rows(
            split, first, static_cast<int>(options.workers), callbacks.log);
        world.unreadable.emplace_back(
            part, static_cast<int64_t>(first.size() - readable.size()));
        return readable;
      };
  world.train_rows = rows_for(world.all_train, rows.train, "training");
  const data::Split train = data::select_rows(world.all_train, world.train_rows);
  const data::Split held_out = data::select_rows(
      world.all_train, rows_for(world.all_train, rows.held_out, "held-out"));
  const Rows all = first_rows(all_rows(test), options.limit_pictures);
  const Rows test_rows = rows_for(test, all, "test");
  if (test_rows.size() < all.size()) {
    world.test_name += fmt::format(
        ", {} of {} pictures unreadable and left out",
        all.size() - test_rows.size(),
        all.size());
  }
  test = data::select_rows(test, test_rows);
  const Loading loading(options, callbacks, clip);
  if (dry_run) {
    world.sample =
        loading.tell_expectations(train, held_out, test, world.frozen_text.size(0));
    return world;
  }
  if (callbacks.training_views != TrainingViews::kNone) {
    world.train = loading.part(train, "training pictures", true);
  }
  world.held_out = loading.part(held_out, "held-out pictures", false);
  world.test = loading.part(test, "test pictures", false);
  return world;
}

}  // namespace experiment
