#pragma once

#include <CLI/CLI.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "support/run_options.hpp"
#include "support/world_source.hpp"

// The training programs, and all options of one call of one of them.

namespace experiment {

/// What one training program is.
struct TrainProgram {
  std::string name;
  std::string description;
  std::vector<std::string> data_sets;  ///< of `data_set::names()`, or "scenes" alone
  Defaults defaults;
  std::string out;  ///< where --out is not given; empty: it must be
};

/// train_coco, train_voc, train_vg, train_nus, train_cub, train_csv, train_scenes.
const std::vector<TrainProgram>& train_programs();

/// The program of this name; there must be one.
const TrainProgram& train_program(const std::string& name);

/// All options of one call.
struct TrainOptions {
  explicit TrainOptions(const TrainProgram& program);

  std::unique_ptr<WorldSource> source;
  RunOptions run;
  std::string out;
  int64_t limit_batches = 0;  ///< of each part; 0: all
};

void add_options(CLI::App& app, TrainOptions& options);

/// What is not given takes the value that follows from the method and the protocol, as
/// its default: for `check`, and for config.toml. Throws `program::UsageError` for an
/// unknown method.
void set_defaults(CLI::App& app, const TrainOptions& options);

/// Throws `program::UsageError` for options that contradict each other, and
/// `program::NoEffect` for those that change nothing.
void check(const CLI::App& app, const TrainOptions& options);

/// The world that the options name, as `WorldSource::load`.
World load_world(TrainOptions& options, const WorldCallbacks& callbacks, bool dry_run);
}  // namespace experiment
