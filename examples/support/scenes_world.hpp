#pragma once

#include "trmml/clip/image_features.hpp"

#include <CLI/CLI.hpp>

#include <cstdint>
#include <string>

#include "support/run_options.hpp"
#include "support/world.hpp"

// FashionScenes and its small CLIP, for quickstart and train_scenes.

namespace scenes {

/// What was chosen on held-out scenes with the small CLIP (docs/results.md says how).
experiment::Defaults defaults();

/// Where things are.
struct Paths {
  std::string fashion_mnist;
  std::string clip;
  std::string merges;
};
Paths default_paths();
void add_paths(CLI::App& app, Paths& paths);

/// The splits: training and then held-out scenes of the training pool, test scenes of
/// the test pool.
inline constexpr int64_t kTrainScenes = 2000;
inline constexpr int64_t kHeldOutScenes = 1000;
inline constexpr int64_t kTestScenes = 2000;

/// What of FashionScenes is used, and how it is encoded.
struct WorldOptions {
  Paths paths = default_paths();
  trmml::clip::DenseForm dense = trmml::clip::DenseForm::kDualCoOp;
  int64_t resolution = 192;  ///< pixels a side that the tower sees: 96 times n
  int64_t limit_scenes = 0;  ///< the first ones of each split only; 0: all
};

/// Paints the scenes and encodes them with the small CLIP. Training scenes 0..1999 and
/// held-out 2000..2999 of the training pool, test 0..1999. Throws `trmml::Interrupted`
/// soon after `should_stop` says so. With `dry_run` reads all files, paints the
/// training scenes, encodes a few of them to say what all would take, and returns a
/// world without features.
experiment::World load_world(
    const WorldOptions& options,
    const experiment::WorldCallbacks& callbacks,
    bool dry_run = false);

}  // namespace scenes
