#include "text_file.hpp"

#include "trmml/core/error.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <system_error>

#include "../io/quoted.hpp"
#include <utf8proc.h>

namespace trmml::data {

namespace fs = std::filesystem;

std::string read_text(const fs::path& path, std::int64_t max_bytes) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    throw DataError(path.string() + ": expected a file, got a folder");
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    throw DataError(
        fmt::format("{}: cannot be read: {}", path.string(), std::strerror(errno)));
  }
  const auto bytes = static_cast<std::int64_t>(fs::file_size(path, error));
  if (error) {
    throw DataError(
        fmt::format("{}: expected a file, got {}", path.string(), error.message()));
  }
  if (bytes > max_bytes) {
    throw DataError(fmt::format(
        "{}: expected at most {} bytes, got {}", path.string(), max_bytes, bytes));
  }
  std::string text(static_cast<size_t>(bytes), '\0');
  if (!file.read(text.data(), bytes) && file.gcount() != bytes) {
    throw DataError(fmt::format(
        "{}: expected {} bytes, got {} (is the file being changed?)",
        path.string(),
        bytes,
        file.gcount()));
  }
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) {
    throw DataError(
        path.string() +
        ": expected UTF-8, got UTF-16 (convert it: iconv -f UTF-16 -t UTF-8)");
  }
  if (text.starts_with("\xef\xbb\xbf")) {
    text.erase(0, 3);
  }
  return text;
}

std::optional<std::string>
read_text_or_fault(const fs::path& path, Faults& faults, std::int64_t max_bytes) {
  try {
    return read_text(path, max_bytes);
  } catch (const DataError& error) {
    const std::string_view what = error.what();
    const std::string prefix = path.string() + ": ";
    faults.add(path, "", what.substr(what.starts_with(prefix) ? prefix.size() : 0));
    return std::nullopt;
  }
}

std::optional<std::string>
read_utf8(const fs::path& path, Faults& faults, std::int64_t max_bytes) {
  std::optional<std::string> text = read_text_or_fault(path, faults, max_bytes);
  if (!text || is_utf8(*text)) {
    return text;
  }
  for_each_line(*text, [&](std::string_view line, std::int64_t number) {
    if (!is_utf8(line)) {
      faults.add(
          path, line_place(number), "expected UTF-8, got " + io::in_quotes(line));
    }
  });
  return std::nullopt;
}

void for_each_line(
    std::string_view text,
    const std::function<void(std::string_view, std::int64_t)>& use) {
  std::int64_t number = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) {
      line.remove_suffix(1);
    }
    use(line, ++number);
  }
}

std::string line_place(std::int64_t number) {
  return fmt::format("line {}", number);
}

std::string_view trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && stop == end ? std::optional(value) : std::nullopt;
}

bool stays_inside(std::string_view name) {
  if (name.empty() || name.front() == '/' ||
      name.find('\\') != std::string_view::npos ||
      name.find('\0') != std::string_view::npos ||
      (name.size() > 1 && name[1] == ':')) {
    return false;
  }
  for (const fs::path& part : fs::path(name)) {
    if (part == "..") {
      return false;
    }
  }
  return true;
}

bool check_inside(
    std::string_view name,
    const fs::path& file,
    std::string_view place,
    Faults& faults) {
  if (stays_inside(name)) {
    return true;
  }
  faults.add(
      file,
      place,
      fmt::format(
          "expected a path below the folder of the pictures, with '/', got {}",
          io::in_quotes(name)));
  return false;
}

bool is_utf8(std::string_view text) {
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  auto left = static_cast<utf8proc_ssize_t>(text.size());
  while (left > 0) {
    utf8proc_int32_t codepoint = 0;
    const utf8proc_ssize_t used = utf8proc_iterate(bytes, left, &codepoint);
    if (used <= 0) {
      return false;
    }
    bytes += used;
    left -= used;
  }
  return true;
}

}  // namespace trmml::data
