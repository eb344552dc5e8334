#include "trmml/data/lines.hpp"

#include "trmml/core/error.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <string_view>

#include "../io/quoted.hpp"
#include "text_file.hpp"

namespace trmml::data {

std::vector<std::string> read_lines(const std::filesystem::path& path) {
  std::vector<std::string> lines;
  for_each_line(read_text(path), [&](std::string_view line, std::int64_t number) {
    if (!is_utf8(line)) {
      throw DataError(fmt::format(
          "{}, {}: expected UTF-8, got {}",
          path.string(),
          line_place(number),
          io::in_quotes(line)));
    }
    lines.emplace_back(line);
  });
  if (lines.empty()) {
    throw DataError(path.string() + ": expected a line or more, got an empty file");
  }
  return lines;
}

}  // namespace trmml::data
