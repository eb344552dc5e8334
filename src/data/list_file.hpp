#pragma once

#include "trmml/data/faults.hpp"

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

// Lists of data sets, an entry a line. What is wrong with them becomes a fault, so that
// several files can be looked at before the reader gives up. Private to src/data.

namespace trmml::data {

/// `read_text`, but what it throws becomes a fault and nothing is returned.
std::optional<std::string> read_text_or_fault(
    const std::filesystem::path& path,
    Faults& faults);

/// The entries of a file, one a line, without blanks at both ends; entry i stands in
/// line i + 1. Empty lines at the end are no entries. Faults: no entry at all, an empty
/// line before the last entry, an entry that is not UTF-8 (its place holds an empty
/// entry, both times), and whatever `read_text` throws.
std::vector<std::string> read_list(const std::filesystem::path& path, Faults& faults);

/// Where entry i of a list stands: "line 3" for 2.
std::string line_of(std::size_t entry);

/// A fault for each entry that an earlier line holds, too; it is emptied. Empty entries
/// do not count.
void check_unique(
    const std::filesystem::path& path,
    std::vector<std::string>& entries,
    Faults& faults);

/// A fault for each entry that `stays_inside` refuses; it is emptied. Empty entries do
/// not count.
void check_inside(
    const std::filesystem::path& path,
    std::vector<std::string>& entries,
    Faults& faults);

}  // namespace trmml::data
