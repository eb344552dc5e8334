#pragma once

#include "trmml/core/check.hpp"
#include "trmml/core/error.hpp"
#include "trmml/io/atomic_file.hpp"
#include "trmml/io/safetensors.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

// The files in which a training keeps its state. Ours.

namespace trmml::training {

/// The number (whole, or of another type) that a state's metadata holds under `key`.
/// Throws `CheckpointError` when it is missing or no such number.
template <typename Number = int64_t>
Number state_number(
    const io::Metadata& metadata,
    const std::string& key,
    const std::filesystem::path& where) {
  const auto found = metadata.find(key);
  Number value = 0;
  if (found != metadata.end()) {
    const char* end = found->second.data() + found->second.size();
    const auto [rest, code] = std::from_chars(found->second.data(), end, value);
    if (code == std::errc() && rest == end) {
      return value;
    }
  }
  throw CheckpointError(fmt::format(
      "{}: expected a {}number under \"{}\" in the state's metadata, got {}",
      where.string(),
      std::is_integral_v<Number> ? "whole " : "",
      key,
      found == metadata.end() ? "nothing" : "\"" + found->second + "\""));
}

/// A state that was read. Every function throws `CheckpointError` naming the file.
class SavedState {
 public:
  SavedState(std::filesystem::path path, io::SafetensorsFile file)
      : path_(std::move(path)), file_(std::move(file)) {}

  /// Refuses a file that something else wrote, or another version of it.
  void expect_format(const std::string& expected) const {
    const auto found = file_.metadata.find("format");
    if (found == file_.metadata.end() || found->second != expected) {
      fail(fmt::format(
          "expected a state of format {}, got {}",
          expected,
          found == file_.metadata.end() ? "a file without one" : found->second));
    }
  }

  /// A whole number from `low` to `high`.
  int64_t number(
      const std::string& key,
      int64_t low = 0,
      int64_t high = std::numeric_limits<int64_t>::max()) const {
    const auto value = state_number(file_.metadata, key, path_);
    if (value < low || value > high) {
      fail(fmt::format("expected {} from {} to {}, got {}", key, low, high, value));
    }
    return value;
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
    const auto value = state_number(file_.metadata, key, path_);
    if (value != expected) {
      fail(fmt::format(
          "expected the state of a run with {} {}, got {} (resume with the options of "
          "the run that wrote it)",
          key,
          expected,
          value));
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
  /// `WriteError` when it cannot be written: "last.safetensors" is then as it was.
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
