#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace trmml::data {

/// The lines of a text file in UTF-8, as they are: names, prompts, captions.
///
/// Lines end with LF or CR LF, which are not part of them; the last one need not end. A
/// byte order mark is passed over. Empty lines count.
///
/// Throws `DataError` (path, line, reason) when the file cannot be read, has no line,
/// or is not UTF-8.
///
/// Example:
/// ```
/// const std::vector<std::string> captions = data::read_lines("captions.txt");
/// ```
std::vector<std::string> read_lines(const std::filesystem::path& path);

}  // namespace trmml::data
