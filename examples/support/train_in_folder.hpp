#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "support/experiment.hpp"
#include "support/folder_lock.hpp"
#include "support/run_options.hpp"
#include "support/world.hpp"

// One run in a folder of its own (docs/run_folder.md): the one code path of all
// training programs and of reproduce.

namespace experiment {

/// Where a run lives.
struct RunFolder {
  std::filesystem::path path;
  std::string config;   ///< text of its config.toml
  bool resume = false;  ///< from the state that is there
};

/// Makes the folder, locks it for as long as the result lives, and writes config.toml,
/// before anything that takes long. Throws `program::UsageError` for a state or a
/// report that would be overwritten, or is to be resumed and is not there or was made
/// with other options, and for a folder that another program writes into;
/// `trmml::CheckpointError` for a state that cannot be read.
[[nodiscard]] program::FolderLock begin(const RunFolder& folder);

/// Trains, shows how far it is, and leaves all that a finished run has: report.json
/// comes last, so that a folder with one is complete. Throws `trmml::Interrupted` when
/// `should_stop` says so, after the state is saved.
RunResult train_in_folder(
    World& world,
    RunOptions options,
    const RunFolder& folder,
    const std::function<bool()>& should_stop);

}  // namespace experiment
