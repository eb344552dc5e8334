#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "faults.hpp"

// What the readers and the builder for Visual Genome share. Private to src/data.

namespace trmml::data {

/// Names of the lists of `n_cls` categories in one folder.
struct VisualGenomeLists {
  VisualGenomeLists(const std::filesystem::path& folder, std::int64_t n_cls);

  std::filesystem::path train;
  std::filesystem::path test;
  std::filesystem::path index;
  std::filesystem::path names;
  std::filesystem::path built;  ///< only where `build_visual_genome` made them
};

/// Which of ROOT/VG_100K and ROOT/VG_100K_2 holds a picture.
class VisualGenomeFolders {
 public:
  /// Lists both folders; one that is not there is empty.
  explicit VisualGenomeFolders(const std::filesystem::path& root);

  /// Whether one of them holds the file `name`.
  bool has(const std::string& name) const;

  /// "VG_100K_2/NAME" when only that folder holds it, "VG_100K/NAME" otherwise.
  std::string path_of(const std::string& name) const;

 private:
  std::unordered_set<std::string> first_;
  std::unordered_set<std::string> second_;
};

/// One element of objects.json.
struct VisualGenomePicture {
  std::int64_t id = 0;  ///< the picture is ID.jpg
  /// Names of each object, at least one; valid until the next picture.
  std::vector<std::vector<std::string_view>> objects;
};

/// Calls `use` for each picture of objects.json, in its order; broken ones and repeated
/// numbers are faults. Numbers are "image_id", or "id" as in version 1.0.
void for_each_picture(
    const std::filesystem::path& file,
    Faults& faults,
    const std::function<void(const VisualGenomePicture&)>& use);

}  // namespace trmml::data
