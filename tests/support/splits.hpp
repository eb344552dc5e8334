#pragma once

#include "trmml/data/split.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "support/errors.hpp"

namespace support {

/// "PICTURE: 0 4" a line: the indices of what is present. Everything else must be
/// absent: an entry that is unknown prints as "?".
inline std::string present(const trmml::data::Split& split) {
  std::string text;
  const auto* entry = split.table.labels.data_ptr<int8_t>();
  for (const std::string& image : split.table.images) {
    text += image + ":";
    std::string blank = " ";
    for (std::size_t c = 0; c < split.table.classnames.size(); ++c, ++entry) {
      if (*entry == 1) {
        text += " " + std::to_string(c);
        blank.clear();
      } else if (*entry != -1) {
        text += " ?";
      }
    }
    text += blank + "\n";
  }
  return text;
}

/// A row of labels as "+", "-" and "0" for unknown.
inline std::vector<std::string> rows_of(const trmml::data::Split& split) {
  std::vector<std::string> rows;
  for (int64_t i = 0; i < split.table.labels.size(0); ++i) {
    std::string row;
    for (int64_t c = 0; c < split.table.labels.size(1); ++c) {
      row += "-0+"[split.table.labels[i][c].item<int>() + 1];
    }
    rows.push_back(row);
  }
  return rows;
}

/// What a call complains about, with "FOLDER" for the path of `folder`;
/// "no error" for nothing.
template <typename Call>
std::string complaint(const std::filesystem::path& folder, Call&& call) {
  std::string text = error_of(call);
  const std::string path = folder.string();
  for (std::size_t at = text.find(path); at != std::string::npos;
       at = text.find(path)) {
    text.replace(at, path.size(), "FOLDER");
  }
  return text;
}

}  // namespace support
