// From the port of ftfy 6.3.1 (see repair_text.cpp); names in the comments are ftfy's.

#include "character_marks.hpp"

#include <array>
#include <cstdint>

#include "unicode.hpp"

namespace trmml::clip {

namespace {

using tables::Marks;
using tables::Pattern;

/// The marks of every character below U+10000, in pages of 256.
class MarkTable {
 public:
  MarkTable() {
    pages_.emplace_back();  // page 0: nothing listed
    for (Marks& marks : pages_[0]) {
      marks = tables::kOtherMarks;
    }
    for (const tables::Marked& marked : tables::kMarked) {
      uint16_t& page = index_[marked.point >> 8];
      if (page == 0) {
        page = static_cast<uint16_t>(pages_.size());
        pages_.push_back(pages_[0]);
      }
      pages_[page][marked.point & 0xFF] = marked.marks;
      listed_[marked.point] = true;
    }
  }

  Marks find(char32_t point) const {
    if (point < 0x10000 && listed_[point]) {
      return pages_[index_[point >> 8]][point & 0xFF];
    }
    Marks marks = tables::kOtherMarks;
    marks.words[0] |= unicode::is_space(point) ? tables::kSpace : 0;
    marks.words[0] |=
        unicode::is_letter(point) || unicode::is_number(point) || point == '_'
            ? tables::kWord
            : 0;
    return marks;
  }

 private:
  std::array<uint16_t, 256> index_{};
  std::vector<std::array<Marks, 256>> pages_;
  std::vector<bool> listed_ = std::vector<bool>(0x10000);
};

bool has(const Marks& marks, uint8_t set) {
  return (marks.words[set >> 6] >> (set & 63)) & 1;
}

/// The sets that some pattern begins with.
constexpr Marks first_marks() {
  Marks first{};
  for (const Pattern& pattern : tables::kBadPatterns) {
    first.words[pattern.sets[0] >> 6] |= uint64_t{1} << (pattern.sets[0] & 63);
  }
  return first;
}

}  // namespace

std::vector<Marks> marks_of(std::u32string_view text) {
  static const MarkTable table;
  std::vector<Marks> marks;
  marks.reserve(text.size());
  for (const char32_t point : text) {
    marks.push_back(table.find(point));
  }
  return marks;
}

bool is_bad(std::u32string_view text) {
  constexpr Marks kFirst = first_marks();
  const std::vector<Marks> marks = marks_of(text);
  const auto in_set = [&marks](size_t i, uint8_t set) { return has(marks[i], set); };
  for (size_t i = 0; i < text.size(); ++i) {
    const bool may_begin = (marks[i].words[0] & kFirst.words[0]) != 0 ||
                           (marks[i].words[1] & kFirst.words[1]) != 0;
    // Each pattern has a character above ASCII among its first three.
    if (!may_begin || unicode::is_ascii(text.substr(i, 3))) {
      continue;
    }
    for (const Pattern& pattern : tables::kBadPatterns) {
      if (matches(pattern, text.size(), i, in_set)) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace trmml::clip
