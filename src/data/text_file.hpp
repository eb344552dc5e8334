#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

// Text files of data sets, wherever they were edited. Private to src/data.

namespace trmml::data {

/// The bytes of a file, without a byte order mark of UTF-8. Throws `DataError` (path,
/// reason, hint) when the file cannot be read, has more than `max_bytes`, or is UTF-16.
std::string read_text(
    const std::filesystem::path& path,
    std::int64_t max_bytes = std::int64_t{1} << 32);

/// Calls `use(line, number)` for each line, counted from 1; lines end with LF, CR LF
/// or the end of the text, which are not part of them.
void for_each_line(
    std::string_view text,
    const std::function<void(std::string_view line, std::int64_t number)>& use);

/// Without spaces and tabs at both ends.
std::string_view trim(std::string_view text);

/// True unless `name`, from a file, could lead out of the folder that it is joined to:
/// it is not empty, not absolute (a drive letter and a backslash count, too), has no
/// ".." among its parts, and no zero byte. Links inside of the folder are the user's
/// own and are followed.
bool stays_inside(std::string_view name);

/// Whether `text` is UTF-8.
bool is_utf8(std::string_view text);

}  // namespace trmml::data
