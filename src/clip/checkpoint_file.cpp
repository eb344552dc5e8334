#include "checkpoint_file.hpp"

#include "trmml/core/error.hpp"
#include "trmml/io/torch_archive.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <fstream>
#include <set>
#include <system_error>
#include <utility>

namespace trmml::clip::checkpoint {

namespace fs = std::filesystem;

void fail(const fs::path& file, std::string_view rule) {
  throw CheckpointError(fmt::format("{}: {}", file.string(), rule));
}

namespace {

/// The one checkpoint of a folder: a name that publishers use, else the only file with
/// the ending of one.
fs::path find_in_folder(const fs::path& folder) {
  for (const char* name :
       {"model.safetensors",
        "model.safetensors.index.json",
        "pytorch_model.bin",
        "open_clip_model.safetensors",
        "open_clip_pytorch_model.bin"}) {
    if (fs::exists(folder / name)) {
      return folder / name;
    }
  }
  std::set<std::string> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string ending = entry.path().extension().string();
    if (ending == ".safetensors" || ending == ".pt" || ending == ".pth" ||
        ending == ".bin") {
      found.insert(entry.path().filename().string());
    }
  }
  if (error) {
    fail(folder, "cannot list the folder: " + error.message());
  }
  if (found.size() != 1) {
    fail(
        folder,
        found.empty() ? std::string("expected a folder with a checkpoint "
                                    "(model.safetensors, ..), found none")
                      : fmt::format(
                            "expected one checkpoint in the folder, found {} (name one "
                            "of the files)",
                            fmt::join(found, ", ")));
  }
  return folder / *found.begin();
}

std::string first_bytes(const fs::path& file) {
  std::error_code ignored;
  if (!fs::is_regular_file(file, ignored)) {
    return "";  // opening a named pipe would wait; who reads the file will complain
  }
  std::ifstream stream(file, std::ios::binary);
  std::string bytes(16, '\0');
  stream.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<size_t>(stream.gcount()));
  return bytes;
}

}  // namespace

Weights read_weights(const fs::path& file_or_folder) {
  std::error_code ignored;
  Weights weights;
  weights.file = fs::is_directory(file_or_folder, ignored)
                     ? find_in_folder(file_or_folder)
                     : file_or_folder;
  const std::string begin = first_bytes(weights.file);
  // The ninth byte of safetensors; the others never have it there.
  const bool is_safetensors = begin.size() > 8 && begin[8] == '{';
  const auto begins_with = [&](std::string_view bytes) {
    return !is_safetensors && begin.compare(0, bytes.size(), bytes) == 0;
  };
  if (begins_with("PK") || begins_with("\x80")) {
    io::TorchArchive archive = io::read_torch_archive(weights.file);
    weights.tensors = std::move(archive.tensors);
    weights.is_script = archive.is_script;
    weights.format = archive.is_script ? "TorchScript archive" : "state dict";
    return weights;
  }
  const bool is_index = begins_with("{");
  io::SafetensorsFile file = is_index ? io::read_sharded_safetensors(weights.file)
                                      : io::read_safetensors(weights.file);
  weights.tensors = std::move(file.tensors);
  weights.metadata = std::move(file.metadata);
  weights.format = is_index ? "sharded safetensors" : "safetensors";
  return weights;
}

}  // namespace trmml::clip::checkpoint
