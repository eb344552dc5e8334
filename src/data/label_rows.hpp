#pragma once

#include "trmml/data/label_table.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "faults.hpp"

// What readers of label files share on the way to the table. Private to src/data.

namespace trmml::data {

/// The names of pictures that a file gives, each checked.
class PictureList {
 public:
  /// Pictures lie in `folder` ("" or ending in '/') of `root`; `must_exist` looks for
  /// each.
  PictureList(std::filesystem::path root, std::string folder, bool must_exist);

  /// Adds `folder` + `name`. False, with a fault, when `name` leads out of the folder
  /// or is there already; a picture that is missing is a fault, too, but added.
  bool add(
      std::string_view name,
      const std::filesystem::path& file,
      std::string_view place,
      Faults& faults);

  int64_t size() const { return static_cast<int64_t>(images_.size()); }

  /// The pictures; leaves none.
  std::vector<std::string> take();

 private:
  std::filesystem::path root_;
  std::string folder_;
  bool must_exist_;
  std::vector<std::string> images_;
  std::unordered_map<std::string, std::string> place_of_;
};

/// Labels where a file lists what is present, picture by picture, and the rest is
/// absent.
class LabelRows {
 public:
  /// Categories are all names that come, sorted by their bytes.
  LabelRows() = default;

  /// Only `categories`, in this order.
  explicit LabelRows(std::vector<std::string> categories);

  void begin_picture() { rows_.emplace_back(); }

  /// A category that is present in the picture begun last. A name that is empty, there
  /// twice, or no category is a fault.
  void add(
      std::string_view name,
      const std::filesystem::path& file,
      std::string_view place,
      Faults& faults);

  /// A picture for each that was begun.
  LabelTable table(std::vector<std::string> images) &&;

 private:
  bool is_open_ = true;
  std::vector<std::string> categories_;  // in the order of their ids
  std::map<std::string, int64_t, std::less<>> id_of_;
  std::vector<std::vector<int64_t>> rows_;
};

/// int8 [rows, columns] of `entries`, which are in row-major order.
at::Tensor label_tensor(const std::vector<int8_t>& entries, int64_t columns);

}  // namespace trmml::data
