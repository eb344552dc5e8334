#include "list_file.hpp"

#include "trmml/core/error.hpp"

#include <fmt/format.h>

#include <string_view>
#include <unordered_map>

#include "../io/quoted.hpp"
#include "text_file.hpp"

namespace trmml::data {

std::optional<std::string> read_text_or_fault(
    const std::filesystem::path& path,
    Faults& faults) {
  try {
    return read_text(path);
  } catch (const DataError& error) {
    std::string_view what = error.what();
    const std::string prefix = path.string() + ": ";
    if (what.starts_with(prefix)) {
      what.remove_prefix(prefix.size());
    }
    faults.add(path, "", what);
    return std::nullopt;
  }
}

std::vector<std::string> read_list(const std::filesystem::path& path, Faults& faults) {
  std::vector<std::string> entries;
  const std::optional<std::string> text = read_text_or_fault(path, faults);
  if (!text) {
    return entries;
  }
  for_each_line(*text, [&](std::string_view line, std::int64_t) {
    entries.emplace_back(trim(line));
  });
  while (!entries.empty() && entries.back().empty()) {
    entries.pop_back();
  }
  if (entries.empty()) {
    faults.add(path, "", "expected an entry a line, got an empty file");
  }
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].empty()) {
      faults.add(path, line_of(i), "expected an entry, got an empty line");
    } else if (!is_utf8(entries[i])) {
      faults.add(path, line_of(i), "expected UTF-8, got " + io::in_quotes(entries[i]));
      entries[i].clear();
    }
  }
  return entries;
}

std::string line_of(std::size_t entry) {
  return fmt::format("line {}", entry + 1);
}

void check_unique(
    const std::filesystem::path& path,
    std::vector<std::string>& entries,
    Faults& faults) {
  std::unordered_map<std::string_view, std::size_t> first;
  first.reserve(entries.size());
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].empty()) {
      continue;
    }
    const auto [seen, is_new] = first.emplace(entries[i], i);
    if (!is_new) {
      faults.add(
          path,
          line_of(i),
          fmt::format(
              "{} stands in {} already",
              io::in_quotes(entries[i]),
              line_of(seen->second)));
      entries[i].clear();
    }
  }
}

void check_inside(
    const std::filesystem::path& path,
    std::vector<std::string>& entries,
    Faults& faults) {
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (!entries[i].empty() && !stays_inside(entries[i])) {
      faults.add(
          path,
          line_of(i),
          fmt::format(
              "expected a path below the data set's folder, with '/', got {}",
              io::in_quotes(entries[i])));
      entries[i].clear();
    }
  }
}

}  // namespace trmml::data
