#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "faults.hpp"

// The two forms of NUS-WIDE's lists. Private to src/data.

namespace trmml::data {

/// The pictures of one part and which concepts they have.
struct NusWideRows {
  std::filesystem::path file;         ///< that holds the pictures
  std::vector<std::string> pictures;  ///< [N], with '/'; empty where one is faulty
  std::vector<std::int64_t> lines;    ///< [N], of the file, from 1
  std::vector<std::int8_t> labels;    ///< [N, C], 1 or -1
};

/// A list of pictures and a file of labels a concept; `part` is "Train" or "Test".
NusWideRows read_label_files(
    const std::filesystem::path& image_list,
    const std::filesystem::path& labels,
    std::string_view part,
    const std::vector<std::string>& concepts,
    Faults& faults);

/// A CSV file with the columns filepath, label (['sky', 'water']) and split_name.
NusWideRows read_label_csv(
    const std::filesystem::path& file,
    bool train,
    const std::vector<std::string>& concepts,
    Faults& faults);

}  // namespace trmml::data
