#pragma once

#include <filesystem>

#include "support/run_options.hpp"
#include "support/world.hpp"

// trained_on.json of a run folder: what a state belongs to besides its options, which
// do not tell whether a file was replaced.

namespace experiment {

/// Throws `trmml::CheckpointError` when the run in `folder` began with other labels or
/// another image tower than these. A folder without the file is not complained about.
void check_record(
    const std::filesystem::path& folder,
    const World& world,
    const RunOptions& options);

/// Writes the file, or with `resume` checks the one that is there.
void keep_record(
    const std::filesystem::path& folder,
    bool resume,
    const World& world,
    const RunOptions& options);

}  // namespace experiment
