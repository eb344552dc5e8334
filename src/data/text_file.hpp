#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "faults.hpp"

// Text files of data sets, wherever they were edited. Private to src/data.

namespace trmml::data {

/// The bytes of a file, without a byte order mark of UTF-8. Throws `DataError` (path,
/// reason, hint) when the file cannot be read, has more than `max_bytes`, or is UTF-16.
std::string read_text(
    const std::filesystem::path& path,
    std::int64_t max_bytes = std::int64_t{1} << 32);

/// `read_text`, but what it throws becomes a fault and nothing is returned: several
/// files can be looked at before the reader gives up.
std::optional<std::string> read_text_or_fault(
    const std::filesystem::path& path,
    Faults& faults,
    std::int64_t max_bytes = std::int64_t{1} << 32);

/// The same, and each line that is not UTF-8 is a fault, too.
std::optional<std::string> read_utf8(
    const std::filesystem::path& path,
    Faults& faults,
    std::int64_t max_bytes = std::int64_t{1} << 32);

/// Calls `use(line, number)` for each line, counted from 1; lines end with LF, CR LF
/// or the end of the text, which are not part of them.
void for_each_line(
    std::string_view text,
    const std::function<void(std::string_view line, std::int64_t number)>& use);

/// Where a fault is: "line 3".
std::string line_place(std::int64_t number);

/// Without spaces and tabs at both ends.
std::string_view trim(std::string_view text);

/// All of `text` as an integer, or nothing.
std::optional<std::int64_t> whole_number(std::string_view text);

/// True unless `name`, from a file, could lead out of the folder that it is joined to:
/// it is not empty, not absolute (a drive letter and a backslash count, too), has no
/// ".." among its parts, and no zero byte. Links inside of the folder are the user's
/// own and are followed.
bool stays_inside(std::string_view name);

/// `stays_inside`; a fault when it does not.
bool check_inside(
    std::string_view name,
    const std::filesystem::path& file,
    std::string_view place,
    Faults& faults);

/// Whether `text` is UTF-8.
bool is_utf8(std::string_view text);

}  // namespace trmml::data
