#pragma once

#include <CLI/CLI.hpp>

#include "support/scenes_experiment.hpp"

namespace scenes {

/// Where weights, merges and photographs are.
void add_paths(CLI::App& app, Paths& paths);

/// `--known-label-proportion` and `--single-positive`, which exclude each other.
void add_protocol(CLI::App& app, Protocol& protocol);

/// Everything of one run.
void add_options(CLI::App& app, RunOptions& options);

/// Throws `program::UsageError` for an unknown method, for options that contradict each
/// other, and for options that have no effect with the others.
void check(const RunOptions& options);

}  // namespace scenes
