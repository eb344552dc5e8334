#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "faults.hpp"

namespace trmml::data {

/// The rows of a label table that a file calls by the names of pictures.
///
/// Names match when they are equal, or when one ends with the other at a folder;
/// endings of pictures (".jpg" and its kin) do not count.
class NamedRows {
 public:
  /// `images` must outlive this.
  NamedRows(
      const std::vector<std::string>& images,
      std::filesystem::path file,
      Faults& faults);

  /// The row of the picture that `place` of the file calls `name`; -1 after adding a
  /// fault when there is none, more than one, or when it was asked for before.
  int64_t take(std::string_view name, std::string_view place);

  /// Adds a fault for every row that was not taken, unless `may_lack` it.
  void expect_all(const std::function<bool(int64_t row)>& may_lack = nullptr);

 private:
  const std::vector<std::string>& images_;
  std::filesystem::path file_;
  Faults& faults_;
  std::unordered_multimap<std::string_view, int64_t> rows_;  // by the bare name
  std::vector<bool> taken_;
};

}  // namespace trmml::data
