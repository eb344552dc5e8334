#include "list_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "../io/quoted.hpp"
#include "text_file.hpp"

namespace trmml::data {
namespace {

// An entry for each line up to the last that is not empty.
std::vector<std::string> trimmed_lines(
    const std::filesystem::path& path,
    Faults& faults) {
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
  return entries;
}

// Empties those that are not UTF-8, and says what is wrong in the order of the lines.
void check_text(
    const std::filesystem::path& path,
    std::vector<std::string>& entries,
    bool may_be_empty,
    Faults& faults) {
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].empty() && !may_be_empty) {
      faults.add(path, line_place(i + 1), "expected an entry, got an empty line");
    } else if (!is_utf8(entries[i])) {
      faults.add(
          path, line_place(i + 1), "expected UTF-8, got " + io::in_quotes(entries[i]));
      entries[i].clear();
    }
  }
}

}  // namespace

std::vector<std::string> read_list(const std::filesystem::path& path, Faults& faults) {
  std::vector<std::string> entries = trimmed_lines(path, faults);
  check_text(path, entries, false, faults);
  return entries;
}

std::vector<std::string> read_names(const std::filesystem::path& path, Faults& faults) {
  const std::size_t faults_before = faults.count();
  std::vector<std::string> names = trimmed_lines(path, faults);
  check_text(path, names, true, faults);
  check_unique(path, names, faults);
  names.erase(std::remove(names.begin(), names.end(), ""), names.end());
  return faults.count() == faults_before ? names : std::vector<std::string>();
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
          line_place(i + 1),
          fmt::format(
              "{} stands in {} already",
              io::in_quotes(entries[i]),
              line_place(seen->second + 1)));
      entries[i].clear();
    }
  }
}

}  // namespace trmml::data
