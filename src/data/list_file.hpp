#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "faults.hpp"

// Lists of data sets, an entry a line. What is wrong with them becomes a fault. Private
// to src/data.

namespace trmml::data {

/// The entries of a file, one a line, without blanks at both ends; entry i stands in
/// line i + 1. Empty lines at the end are no entries. Faults: no entry at all, an empty
/// line before the last entry, an entry that is not UTF-8 (its place holds an empty
/// entry, both times), and whatever `read_text` throws.
std::vector<std::string> read_list(const std::filesystem::path& path, Faults& faults);

/// Categories, one a line, of which none may be there twice; empty lines are passed
/// over. Nothing comes back when there is a fault.
std::vector<std::string> read_names(const std::filesystem::path& path, Faults& faults);

/// A fault for each entry that an earlier line holds, too; it is emptied. Empty entries
/// do not count.
void check_unique(
    const std::filesystem::path& path,
    std::vector<std::string>& entries,
    Faults& faults);

}  // namespace trmml::data
