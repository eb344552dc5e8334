#pragma once

#include "trmml/clip/checkpoint.hpp"

#include "checkpoint_names.hpp"

// What a person wants to know of a loaded checkpoint. Private to `src/clip`.

namespace trmml::clip::checkpoint {

/// Fills in `architecture` and `description`, which holds where the activation comes
/// from before (" (config.json)").
void describe(const Named& named, const ClipModelOptions& options, LoadedClip& result);

}  // namespace trmml::clip::checkpoint
