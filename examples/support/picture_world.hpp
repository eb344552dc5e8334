#pragma once

#include <CLI/CLI.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "support/data_set.hpp"
#include "support/world.hpp"

// A data set of pictures in files and a CLIP, as experiments see them.

namespace experiment {

/// Which CLIP, and how pictures become features.
struct PictureOptions {
  std::string clip;
  std::string vocab;
  std::optional<bool> quick_gelu;
  std::string dense = "dualcoop";
  int64_t resolution = 448;
  bool exif_orientation = false;  ///< turn pictures upright, as `encode` can
  std::string precision = "fp32";
  std::string device = "cpu";
  int threads = 0;

  std::string features = "cache";
  std::string cache = "runs/features";
  int64_t views = 4;
  std::string augmentation = "strong";
  uint64_t augmentation_seed = 0;
  int64_t workers = 2;
  int64_t encode_batch = 32;

  double held_out = 0.1;
  uint64_t held_out_seed = 0;
  bool skip_unreadable = false;  ///< read all pictures first, leave bad ones out
  int64_t limit_pictures = 0;    ///< the first ones of each part only; 0: all
};

void add_options(CLI::App& app, PictureOptions& options);

/// Throws `program::UsageError` for options that have no effect with the others;
/// `method` is one of `trmml::methods()`.
void check(
    const CLI::App& app,
    const PictureOptions& options,
    const std::string& method);

/// Reads both parts of the data set and the CLIP, holds some training pictures out, and
/// opens (or fills) the cache of their features, as far as they are looked at
/// (`WorldCallbacks::training_views`). A picture that cannot be read is a
/// `trmml::DataError` with its path. With `skip_unreadable` all pictures are read once
/// before that, bad ones are told and their rows left out: masks stay those of all
/// training pictures, and `World::test_name` says how many the test lacks.
///
/// With `dry_run` nothing is encoded but a few pictures, which tell what all that is
/// not in the cache would take; then returns a world without features.
World load_world(
    const data_set::Options& data,
    const PictureOptions& options,
    const WorldCallbacks& callbacks,
    bool dry_run = false);

}  // namespace experiment
