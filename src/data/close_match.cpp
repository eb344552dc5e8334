#include "close_match.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "../io/quoted.hpp"
#include "../io/text.hpp"

namespace trmml::data {
namespace {

constexpr std::size_t kHints = 3;
constexpr std::size_t kLongestName = 100;  // the distance costs its square

// Insertions, deletions and changes of a byte, and swaps of two neighbours, that make b
// of a (Levenshtein's distance with Damerau's swaps, none of them edited again).
std::size_t edits(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::vector<std::size_t> above(b.size() + 1);  // the row before
  std::vector<std::size_t> swapped;              // and the one before that
  for (std::size_t k = 0; k <= b.size(); ++k) {
    row[k] = k;
  }
  for (std::size_t i = 0; i < a.size(); ++i) {
    swapped = std::exchange(above, row);
    row[0] = i + 1;
    for (std::size_t k = 0; k < b.size(); ++k) {
      const std::size_t changed = above[k] + (a[i] == b[k] ? 0 : 1);
      row[k + 1] = std::min({changed, row[k] + 1, above[k + 1] + 1});
      if (i > 0 && k > 0 && a[i] == b[k - 1] && a[i - 1] == b[k]) {
        row[k + 1] = std::min(row[k + 1], swapped[k - 1] + 1);
      }
    }
  }
  return row.back();
}

}  // namespace

std::string close_match(std::string_view name, const std::vector<std::string>& names) {
  if (name.empty() || name.size() > kLongestName) {
    return "";
  }
  const std::string wanted = io::ascii_lower(name);
  std::vector<std::pair<std::size_t, std::string_view>> close;  // edits, name
  for (const std::string& candidate : names) {
    if (candidate.size() > kLongestName) {
      continue;
    }
    const std::string other = io::ascii_lower(candidate);
    if (other == wanted) {
      close.emplace_back(0, candidate);
    } else if (other.find(wanted) != std::string::npos) {
      close.emplace_back(1, candidate);
    } else if (const std::size_t distance = edits(wanted, other);
               distance <= std::max<std::size_t>(1, wanted.size() / 4)) {
      close.emplace_back(distance, candidate);
    }
  }
  std::stable_sort(close.begin(), close.end(), [](const auto& a, const auto& b) {
    return a.first < b.first;
  });
  std::string hint;
  for (std::size_t i = 0; i < std::min(close.size(), kHints); ++i) {
    hint += (i == 0 ? " (did you mean " : " or ") + io::in_quotes(close[i].second);
  }
  return hint.empty() ? hint : hint + "?)";
}

void add_unknown_category(
    std::string_view name,
    const std::vector<std::string>& names,
    const std::filesystem::path& file,
    std::string_view place,
    Faults& faults) {
  const bool is_shown = faults.count() < Faults::kShown;
  faults.add(
      file,
      place,
      is_shown ? fmt::format(
                     "expected one of {} categories, got {}{}",
                     names.size(),
                     io::in_quotes(name),
                     close_match(name, names))
               : "");
}

}  // namespace trmml::data
