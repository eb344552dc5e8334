#pragma once

#include "trmml/clip/clip_model.hpp"

#include <filesystem>

#include "checkpoint_names.hpp"

// Sizes of the towers from the shapes of their weights. Private to `src/clip`.

namespace trmml::clip::checkpoint {

/// Every size that shapes tell; activation and heads of transformers are the defaults.
/// Throws `CheckpointError` about `file` with all that is missing or misshaped.
ClipModelOptions infer_sizes(const std::filesystem::path& file, const Named& named);

}  // namespace trmml::clip::checkpoint
