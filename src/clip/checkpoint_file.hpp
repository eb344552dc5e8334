#pragma once

#include "trmml/io/safetensors.hpp"

#include <filesystem>
#include <string>
#include <string_view>

// Finding and reading the file of a checkpoint. Private to `src/clip`.

namespace trmml::clip::checkpoint {

/// What was found on the disk, before anybody asks what the names mean.
struct Weights {
  std::filesystem::path file;
  std::string format;
  io::TensorMap tensors;
  io::Metadata metadata;
  bool is_script = false;
};

/// Throws `CheckpointError` that begins with the file's path.
[[noreturn]] void fail(const std::filesystem::path& file, std::string_view rule);

/// Reads a file, or the one checkpoint of a folder. Formats are told apart by content:
/// endings are often wrong.
Weights read_weights(const std::filesystem::path& file_or_folder);

}  // namespace trmml::clip::checkpoint
