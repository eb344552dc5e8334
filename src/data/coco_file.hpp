#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "faults.hpp"

// The content of a JSON file in COCO's form. Private to src/data.

namespace trmml::data {

struct CocoImage {
  std::int64_t id = 0;
  std::string file_name;
  std::int64_t index = 0;  ///< in the file's array, from 0: the place of its faults
};

struct CocoCategory {
  std::int64_t id = 0;
  std::string name;
  std::int64_t index = 0;
};

struct CocoAnnotation {
  std::int64_t image_id = 0;
  std::int64_t category_id = 0;
  double area = 0;
  std::uint32_t index = 0;
  bool is_crowd = false;
};

/// What stands in the file, before ids are looked up. Items with a fault are left out.
struct CocoFile {
  std::vector<CocoImage> images;
  std::vector<CocoAnnotation> annotations;
  std::vector<CocoCategory> categories;
  bool has_areas = false;

  /// Whether all items of the array are here.
  bool images_are_complete = false;
  bool categories_are_complete = false;
};

/// Reads the file. Missing keys, wrong types, ids out of range and names that leave the
/// folder are added to `faults`, as is what is not JSON.
CocoFile read_coco_file(const std::filesystem::path& path, Faults& faults);

}  // namespace trmml::data
