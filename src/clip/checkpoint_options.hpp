#pragma once

#include "trmml/clip/checkpoint.hpp"

#include "checkpoint_file.hpp"
#include "checkpoint_names.hpp"

// Everything that the model of a checkpoint needs to know. Private to `src/clip`.

namespace trmml::clip::checkpoint {

/// Sizes from shapes; activation and heads from the options, the file, the config
/// beside it, or an assumption. Fills in `names`, `assumptions`, and as `description`
/// where the activation comes from (" (config.json)"). Throws `CheckpointError`.
ClipModelOptions choose_options(
    const Weights& weights,
    const Named& named,
    const CheckpointOptions& options,
    LoadedClip& result);

}  // namespace trmml::clip::checkpoint
