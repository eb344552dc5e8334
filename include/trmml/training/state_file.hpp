#pragma once

#include "trmml/core/check.hpp"
#include "trmml/core/error.hpp"
#include "trmml/io/atomic_file.hpp"
#include "trmml/io/safetensors.hpp"
#include "trmml/training/checkpoint.hpp"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

// The files in which a training keeps its state. Ours.

namespace trmml::training {

/// A state that was read. Every function throws `CheckpointError` naming the file.
class SavedState {
 public:
  SavedState(std::filesystem::path path, io::SafetensorsFile file)
      : path_(std::move(path)), file_(std::move(file)) {}

  int64_t number(const std::string& key) const {
    return state_number(file_.metadata, key, path_);
  }

  /// A duration: finite and not negative.
  double seconds(const std::string& key) const {
    const auto value = state_number<double>(file_.metadata, key, path_);
    if (!(value >= 0.0) || !std::isfinite(value)) {
      fail(fmt::format("expected {} of 0 or more, got {}", key, value));
    }
    return value;
  }

  /// Refuses the state of a run with other options.
  void expect(const std::string& key, int64_t expected) const {
    if (number(key) != expected) {
      fail(fmt::format(
          "expected the state of a run with {} {}, got {} (resume with the options of "
          "the run that wrote it)",
          key,
          expected,
          number(key)));
    }
  }

  /// A copy of the tensor, or undefined when there is none; refuses another shape.
  at::Tensor find(const std::string& name, at::IntArrayRef shape) const {
    const auto found = file_.tensors.find(name);
    if (found == file_.tensors.end()) {
      return {};
    }
    if (found->second.sizes() != shape) {
      fail(fmt::format(
          "expected {} of shape {}, got {} (resume with the training set of the run "
          "that wrote it)",
          name,
          format_shape(shape),
          format_shape(found->second.sizes())));
    }
    return found->second.clone();
  }

  /// The tensors whose names begin with `prefix`, by the rest of the name.
  io::TensorMap below(const std::string& prefix) const {
    io::TensorMap found;
    for (const auto& [name, tensor] : file_.tensors) {
      if (name.starts_with(prefix)) {
        found[name.substr(prefix.size())] = tensor;
      }
    }
    return found;
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw CheckpointError(fmt::format("{}: {}", path_.string(), what));
  }

  const io::TensorMap& tensors() const { return file_.tensors; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  io::SafetensorsFile file_;
};

/// "last.safetensors" of a folder, and the state before it, "previous.safetensors".
class StateFile {
 public:
  /// `folder` may be empty: there is no state then.
  explicit StateFile(std::filesystem::path folder) : folder_(std::move(folder)) {}

  bool has_folder() const { return !folder_.empty(); }
  bool exists() const { return has_folder() && std::filesystem::exists(path()); }
  std::filesystem::path path() const { return folder_ / "last.safetensors"; }
  std::filesystem::path previous_path() const {
    return folder_ / "previous.safetensors";
  }

  /// Writes a state; at every moment there is a complete "last.safetensors". Throws
  /// `WriteError` when it cannot be written: both files are then as they were.
  void write(const io::TensorMap& tensors, const io::Metadata& metadata) const {
    io::AtomicFile file(path());
    io::write_safetensors(file, tensors, metadata);
    file.sync();
    keep_previous();
    file.commit();
  }

  /// Throws `CheckpointError`, which names the state before this one if there is one.
  SavedState read() const {
    try {
      return {path(), io::read_safetensors(path())};
    } catch (const CheckpointError& error) {
      if (!std::filesystem::exists(previous_path())) {
        throw;
      }
      throw CheckpointError(fmt::format(
          "{} (the state before it is {}: copy it over the damaged one to continue "
          "from there)",
          error.what(),
          previous_path().string()));
    }
  }

 private:
  // The state before the newest one gets a second name before a new one takes its
  // place.
  void keep_previous() const {
    namespace fs = std::filesystem;
    if (!fs::exists(path())) {
      return;
    }
    const fs::path link = folder_ / ".previous.safetensors.tmp";
    std::error_code error;
    fs::remove(link, error);
    fs::create_hard_link(path(), link, error);
    if (!error) {  // a file system without links keeps one state only
      fs::rename(link, previous_path(), error);
    }
  }

  std::filesystem::path folder_;
};

}  // namespace trmml::training
