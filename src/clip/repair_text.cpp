// A port of ftfy 6.3.1 (https://github.com/rspeer/python-ftfy, Copyright 2023 Robyn
// Speer, Apache License 2.0) to C++; its tables are in text_tables.hpp. Names in the
// comments are those of ftfy.

#include "repair_text.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "character_marks.hpp"
#include "html_references.hpp"
#include "mistaken_encodings.hpp"
#include "text_tables.hpp"
#include "unicode.hpp"

namespace trmml::clip {

namespace {

using tables::Marks;
using unicode::is_ascii;

// Where ftfy repeats "until nothing changes". Each round takes one layer of damage off,
// so more than a few are hostile, and without a limit their time would be quadratic.
constexpr int kMaxRounds = 100;

bool is_c1(char32_t point) {
  return point >= 0x80 && point < 0xA0;
}

// ---- Encoding repaired ----

std::u32string fix_encoding(std::u32string text);

/// The end of the sequence at `begin` that looks like wrongly decoded UTF-8
/// (chardata.UTF8_DETECTOR_RE); `begin` when there is none.
size_t end_of_clue(const std::vector<Marks>& marks, size_t begin) {
  using namespace tables;
  const auto is = [&marks](size_t i, uint64_t set) {
    return i < marks.size() && (marks[i].words[0] & set) != 0;
  };
  if (begin > 0 && is(begin - 1, kContinuationStrict)) {
    return begin;
  }
  size_t end = begin;
  for (;;) {
    const size_t following = is(end, kFirstOf2)   ? 1
                             : is(end, kFirstOf3) ? 2
                             : is(end, kFirstOf4) ? 3
                                                  : 0;
    for (size_t i = 1; i <= following; ++i) {
      if (!is(end + i, kContinuation)) {
        return end;
      }
    }
    if (following == 0) {
      return end;
    }
    end += following + 1;
  }
}

/// fixes.decode_inconsistent_utf8
std::u32string decode_inconsistent_utf8(const std::u32string& text) {
  const std::vector<Marks> marks = marks_of(text);
  std::u32string result;
  size_t i = 0;
  while (i < text.size()) {
    const size_t end = end_of_clue(marks, i);
    if (end == i) {
      result.push_back(text[i++]);
      continue;
    }
    std::u32string piece = text.substr(i, end - i);
    const bool is_whole = piece.size() == text.size();  // would never end
    result += !is_whole && is_bad(piece) ? fix_encoding(std::move(piece)) : piece;
    i = end;
  }
  return result;
}

std::u32string fix_c1_controls(std::u32string text) {
  for (char32_t& point : text) {
    point = is_c1(point) ? from_windows_1252(point) : point;
  }
  return text;
}

/// Latin-1 with C1 controls, read as windows-1252; nothing for bytes without meaning.
std::optional<std::u32string> read_as_windows_1252(std::u32string text) {
  for (char32_t& point : text) {
    if (is_c1(point)) {
      const char32_t found = from_windows_1252(point);
      if (found == point) {
        return std::nullopt;
      }
      point = found;
    }
  }
  return text;
}

/// _fix_encoding_one_step_and_explain
std::u32string fix_encoding_once(const std::u32string& text) {
  if (is_ascii(text) || !is_bad(text)) {
    return text;
  }
  bool is_latin1 = false;
  for (size_t i = 0; i < encoders().size(); ++i) {
    const Encoder& encoder = encoders()[i];
    if (auto bytes = encoder.encode(text)) {
      is_latin1 = is_latin1 || i == kLatin1;
      if (auto decoded = decode_again(std::move(*bytes), encoder.encoding())) {
        return *decoded;
      }
    }
  }
  if (std::u32string fixed = decode_inconsistent_utf8(text); fixed != text) {
    return fixed;
  }
  if (is_latin1) {
    if (auto fixed = read_as_windows_1252(text); fixed && *fixed != text) {
      return *fixed;
    }
  }
  return fix_c1_controls(text);
}

std::u32string fix_encoding(std::u32string text) {
  for (int round = 0; round < kMaxRounds; ++round) {
    std::u32string fixed = fix_encoding_once(text);
    if (fixed == text) {
      break;
    }
    text = std::move(fixed);
  }
  return text;
}

// ---- Single characters ----

/// Width, ligatures, quotes and controls of one character, appended to `result`.
void append_plain(std::u32string& result, char32_t point) {
  struct Ligature {
    char32_t point;
    std::u32string_view letters;
  };
  static constexpr Ligature kLigatures[] = {
      {0x132, U"IJ"},      {0x133, U"ij"},       {0x149, U"\u02BCn"},
      {0x1C4, U"D\u017D"}, {0x1C5, U"D\u017E"},  {0x1C6, U"d\u017E"},
      {0x1C7, U"LJ"},      {0x1C8, U"Lj"},       {0x1C9, U"lj"},
      {0x1CA, U"NJ"},      {0x1CB, U"Nj"},       {0x1CC, U"nj"},
      {0x1F1, U"DZ"},      {0x1F2, U"Dz"},       {0x1F3, U"dz"},
      {0xFB00, U"ff"},     {0xFB01, U"fi"},      {0xFB02, U"fl"},
      {0xFB03, U"ffi"},    {0xFB04, U"ffl"},     {0xFB05, U"\u017Ft"},
      {0xFB06, U"st"},     {0xFFE3, U" \u0304"}, {0x3000, U" "}};
  const bool may_change =
      (point >= 0x132 && point <= 0x1F3) || point == 0x3000 || point >= 0xFB00;
  if (!may_change) {
    result.push_back(point);
    return;
  }
  const auto* const ligature = std::find_if(
      std::begin(kLigatures), std::end(kLigatures), [point](const Ligature& candidate) {
        return candidate.point == point;
      });
  if (ligature != std::end(kLigatures)) {
    result += ligature->letters;
    return;
  }
  constexpr char32_t kFirstWidth = 0xFF01;
  if (point >= kFirstWidth && point < kFirstWidth + std::size(tables::kWidths)) {
    const char32_t plain = tables::kWidths[point - kFirstWidth];
    point = plain ? plain : point;
  }
  result.push_back(point);
}

/// fix_latin_ligatures, fix_character_width, uncurl_quotes
std::u32string fix_characters(std::u32string_view text) {
  std::u32string plain;
  plain.reserve(text.size());
  for (const char32_t point : text) {
    append_plain(plain, point);
  }
  for (char32_t& point : plain) {
    if (point == 0x2BC || (point >= 0x2018 && point <= 0x201B)) {
      point = '\'';
    } else if (point >= 0x201C && point <= 0x201F) {
      point = '"';
    }
  }
  return plain;
}

std::u32string fix_line_breaks(std::u32string_view text) {
  std::u32string result;
  result.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const char32_t point = text[i];
    if (point == '\r' && i + 1 < text.size() && text[i + 1] == '\n') {
      continue;
    }
    const bool breaks =
        point == '\r' || point == 0x2028 || point == 0x2029 || point == 0x85;
    result.push_back(breaks ? U'\n' : point);
  }
  return result;
}

/// Colours and the like: ESC [ numbers and semicolons, a letter.
std::u32string remove_terminal_escapes(std::u32string_view text) {
  std::u32string result;
  result.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == 0x1B && i + 1 < text.size() && text[i + 1] == '[') {
      size_t end = i + 2;
      while (end < text.size() &&
             (text[end] == ';' || unicode::is_decimal(text[end]))) {
        ++end;
      }
      if (end < text.size() && text[end] < 0x80 && unicode::is_letter(text[end])) {
        i = end;
        continue;
      }
    }
    result.push_back(text[i]);
  }
  return result;
}

void remove_control_characters(std::u32string& text) {
  std::erase_if(text, [](char32_t point) {
    return point < 0x09 || point == 0x0B || (point >= 0x0E && point < 0x20) ||
           point == 0x7F || (point >= 0x206A && point < 0x2070) || point == 0xFEFF ||
           (point >= 0xFFF9 && point < 0xFFFD);
  });
}

/// fix_and_explain; `unescape` says whether references of HTML are resolved.
std::u32string fix_segment(std::u32string text, bool unescape) {
  for (int round = 0; round < kMaxRounds; ++round) {
    std::u32string fixed = unescape ? unescape_clear_html(text) : text;
    fixed = fix_c1_controls(fix_encoding(std::move(fixed)));
    fixed = remove_terminal_escapes(fix_line_breaks(fix_characters(fixed)));
    remove_control_characters(fixed);
    fixed = unicode::compose(std::move(fixed));
    if (fixed == text) {
      break;
    }
    text = std::move(fixed);
  }
  return text;
}

}  // namespace

std::u32string repair_text(std::u32string text) {
  constexpr size_t kMaxSegment = 1'000'000;
  const bool plain = std::all_of(text.begin(), text.end(), [](char32_t point) {
    return (point >= 0x20 && point < 0x7F && point != '&') || point == '\t' ||
           point == '\n';
  });
  if (plain) {
    return text;
  }
  std::u32string result;
  result.reserve(text.size());
  bool unescape = true;  // until the first "<": then it is HTML and stays as it is
  size_t begin = 0;
  while (begin < text.size()) {
    const size_t end =
        std::min({text.find(U'\n', begin), text.size() - 1, begin + kMaxSegment - 1}) +
        1;
    std::u32string segment = text.substr(begin, end - begin);
    unescape = unescape && segment.find(U'<') == segment.npos;
    result += fix_segment(std::move(segment), unescape);
    begin = end;
  }
  return result;
}

}  // namespace trmml::clip
