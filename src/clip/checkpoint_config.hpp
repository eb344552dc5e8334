#pragma once

#include "trmml/clip/clip_model.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "checkpoint_names.hpp"

// What config.json or open_clip_config.json beside a checkpoint tells. Private to
// `src/clip`.

namespace trmml::clip::checkpoint {

/// Activation and heads of one tower, from whoever tells.
struct TowerFacts {
  std::optional<bool> quick_gelu;
  std::optional<int64_t> heads;
};

struct Facts {
  TowerFacts image;
  TowerFacts text;
  std::string source;  // "config.json", ..
};

/// The config beside a file, if there is one and it describes a model of these sizes.
/// Throws `CheckpointError` for one that is broken or asks for what the towers lack.
std::optional<Facts> read_config(
    const std::filesystem::path& file,
    Family family,
    const ClipModelOptions& sizes);

}  // namespace trmml::clip::checkpoint
