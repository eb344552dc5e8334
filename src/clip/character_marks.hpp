#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "text_tables.hpp"

// How characters look that come from text decoded wrongly: the marks of text_tables.hpp
// and the patterns over them. Private to `src/clip`.

namespace trmml::clip {

/// The marks of each character.
std::vector<tables::Marks> marks_of(std::u32string_view text);

/// badness.is_bad: does `text` look as if it had been decoded wrongly?
bool is_bad(std::u32string_view text);

/// Whether `pattern` matches at `begin`; `in_set(i, set)` looks at place i.
template <typename InSet>
bool matches(
    const tables::Pattern& pattern,
    size_t size,
    size_t begin,
    const InSet& in_set) {
  if (size - begin < pattern.size || (pattern.anchored && begin > 0)) {
    return false;
  }
  for (size_t i = 0; i < pattern.size; ++i) {
    if (!in_set(begin + i, pattern.sets[i])) {
      return false;
    }
  }
  return true;
}

/// Calls `replace(piece)` for each first match of one of `patterns`.
template <size_t N, typename Replace>
std::string replace_bytes(
    std::string_view bytes,
    const tables::Pattern (&patterns)[N],
    const Replace& replace) {
  const auto in_set = [bytes](size_t i, uint8_t set) {
    return (tables::kByteMarks[static_cast<unsigned char>(bytes[i])] >> set) & 1;
  };
  std::string result;
  size_t i = 0;
  while (i < bytes.size()) {
    const auto* const found =
        std::find_if(patterns, patterns + N, [&](const tables::Pattern& pattern) {
          return matches(pattern, bytes.size(), i, in_set);
        });
    if (found == patterns + N) {
      result.push_back(bytes[i++]);
      continue;
    }
    result += replace(bytes.substr(i, found->size));
    i += found->size;
  }
  return result;
}

}  // namespace trmml::clip
