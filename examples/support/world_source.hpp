#pragma once

#include <CLI/CLI.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "support/picture_world.hpp"
#include "support/world.hpp"

// Where a training program has its pictures and its CLIP from.

namespace experiment {

/// The options that name a world, and the world that they name.
class WorldSource {
 public:
  virtual ~WorldSource() = default;

  virtual void add_options(CLI::App& app) = 0;

  /// Throws `program::UsageError` for options that contradict each other, and
  /// `program::NoEffect` for those that change nothing with `method`.
  virtual void check(const CLI::App& app, const std::string& method) const = 0;

  /// Whether the salient category of a picture is a draw, as `World::salient` says.
  virtual bool draws_salient() const { return false; }

  /// From now on the first `count` pictures of each part only.
  virtual void limit(int64_t count) = 0;

  /// With `dry_run` reads everything, encodes nothing, and says what to expect; what is
  /// returned then has no features.
  virtual World load(const WorldCallbacks& callbacks, bool dry_run) = 0;
};

/// That of a program for `data_sets`: some of `data_set::names()`, or "scenes" alone.
std::unique_ptr<WorldSource> world_source(const std::vector<std::string>& data_sets);

}  // namespace experiment
