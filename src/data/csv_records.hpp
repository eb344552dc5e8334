#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "faults.hpp"

namespace trmml::data {

/// Calls `use(fields, line)` for each record of CSV (RFC 4180) in `text`, the content
/// of `file`; `line` is where it begins, counted from 1. Private to src/data.
///
/// Fields are separated by commas. One that begins with a quote may hold commas, line
/// ends and, doubled, quotes. Blanks and tabs around a field are not part of it. Empty
/// lines are no records. A record that breaks these rules is a fault and left out.
void for_each_record(
    std::string_view text,
    const std::filesystem::path& file,
    Faults& faults,
    const std::function<void(const std::vector<std::string>& fields, int64_t line)>&
        use);

/// Splits one record without line ends into `fields`, for files that are read line by
/// line because most of them is numbers. What breaks the rules above, or nothing.
std::string_view split_record(std::string_view line, std::vector<std::string>& fields);

}  // namespace trmml::data
