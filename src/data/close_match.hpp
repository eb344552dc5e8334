#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "faults.hpp"

// Hints for names that nobody knows. Private to src/data.

namespace trmml::data {

/// ` (did you mean "cat" or "wild cat"?)`, or nothing: the names, three at most, that
/// hold `name` or differ from it by a typing error or two, the closest first. Case
/// does not count.
std::string close_match(std::string_view name, const std::vector<std::string>& names);

/// The fault of a category that is none of `names`, with its hint.
void add_unknown_category(
    std::string_view name,
    const std::vector<std::string>& names,
    const std::filesystem::path& file,
    std::string_view place,
    Faults& faults);

}  // namespace trmml::data
