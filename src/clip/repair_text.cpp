// A port of ftfy 6.3.1 (https://github.com/rspeer/python-ftfy, Copyright 2023 Robyn
// Speer, Apache License 2.0) to C++; its tables are in text_tables.hpp. Names in the
// comments are those of ftfy.

#include "repair_text.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "html_references.hpp"
#include "text_tables.hpp"
#include "unicode.hpp"

namespace trmml::clip {

namespace {

using tables::Encoding;
using tables::Marks;
using tables::Pattern;
using unicode::kReplacement;

// Where ftfy repeats "until nothing changes". Each round takes one layer of damage off,
// so more than a few are hostile, and without a limit their time would be quadratic.
constexpr int kMaxRounds = 100;

constexpr char32_t kSubstitute = 0x1A;  // the byte for a lost character
constexpr char kNoBreakSpace = '\xA0';

bool is_ascii(std::u32string_view text) {
  return std::all_of(
      text.begin(), text.end(), [](char32_t point) { return point < 0x80; });
}

bool is_c1(char32_t point) {
  return point >= 0x80 && point < 0xA0;
}

// ---- Patterns ----

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

std::vector<Marks> marks_of(std::u32string_view text) {
  static const MarkTable table;
  std::vector<Marks> marks;
  marks.reserve(text.size());
  for (const char32_t point : text) {
    marks.push_back(table.find(point));
  }
  return marks;
}

bool has(const Marks& marks, uint8_t set) {
  return (marks.words[set >> 6] >> (set & 63)) & 1;
}

/// Whether `pattern` matches at `begin`; `in_set(i, set)` looks at place i.
template <typename InSet>
bool matches(const Pattern& pattern, size_t size, size_t begin, const InSet& in_set) {
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

/// The sets that some pattern begins with.
constexpr Marks first_marks() {
  Marks first{};
  for (const Pattern& pattern : tables::kBadPatterns) {
    first.words[pattern.sets[0] >> 6] |= uint64_t{1} << (pattern.sets[0] & 63);
  }
  return first;
}

/// badness.is_bad: does `text` look as if it had been decoded wrongly?
bool is_bad(std::u32string_view text) {
  constexpr Marks kFirst = first_marks();
  const std::vector<Marks> marks = marks_of(text);
  const auto in_set = [&marks](size_t i, uint8_t set) { return has(marks[i], set); };
  for (size_t i = 0; i < text.size(); ++i) {
    const bool may_begin = (marks[i].words[0] & kFirst.words[0]) != 0 ||
                           (marks[i].words[1] & kFirst.words[1]) != 0;
    // Each pattern has a character above ASCII among its first three.
    if (!may_begin || is_ascii(text.substr(i, 3))) {
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

/// Calls `replace(piece)` for each first match of one of `patterns`.
template <size_t N, typename Replace>
std::string replace_bytes(
    std::string_view bytes,
    const Pattern (&patterns)[N],
    const Replace& replace) {
  const auto in_set = [bytes](size_t i, uint8_t set) {
    return (tables::kByteMarks[static_cast<unsigned char>(bytes[i])] >> set) & 1;
  };
  std::string result;
  size_t i = 0;
  while (i < bytes.size()) {
    const auto* const found =
        std::find_if(patterns, patterns + N, [&](const Pattern& pattern) {
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

// ---- Encodings ----

/// One of chardata.CHARMAP_ENCODINGS, from characters to bytes.
class Encoder {
 public:
  explicit Encoder(const Encoding& encoding) : encoding_(encoding) {
    for (unsigned byte = 0x80; byte <= 0xFF; ++byte) {
      sorted_[byte - 0x80] = {encoding.upper[byte - 0x80], static_cast<char>(byte)};
    }
    std::sort(sorted_.begin(), sorted_.end());
  }

  const Encoding& encoding() const { return encoding_; }

  /// Nothing when a character has no byte.
  std::optional<std::string> encode(std::u32string_view text) const {
    std::string bytes;
    bytes.reserve(text.size());
    for (const char32_t point : text) {
      if (point < 0x80 && !(encoding_.sloppy && point == kSubstitute)) {
        bytes.push_back(static_cast<char>(point));
      } else if (encoding_.sloppy && point == kReplacement) {
        bytes.push_back(static_cast<char>(kSubstitute));
      } else if (const char* byte = find(point)) {
        bytes.push_back(*byte);
      } else {
        return std::nullopt;
      }
    }
    return bytes;
  }

 private:
  using Entry = std::pair<char16_t, char>;

  const char* find(char32_t point) const {
    const auto* const entry = std::lower_bound(
        sorted_.begin(), sorted_.end(), point, [](const Entry& candidate, char32_t p) {
          return candidate.first < p;
        });
    return entry != sorted_.end() && entry->first == point ? &entry->second : nullptr;
  }

  const Encoding& encoding_;
  std::array<Entry, 128> sorted_;
};

const std::vector<Encoder>& encoders() {
  static const std::vector<Encoder> all(
      std::begin(tables::kEncodings), std::end(tables::kEncodings));
  return all;
}

constexpr size_t kLatin1 = 0;
constexpr size_t kWindows1252 = 1;

/// What the sloppy windows-1252 makes of a byte.
char32_t from_windows_1252(char32_t byte) {
  return tables::kEncodings[kWindows1252].upper[byte - 0x80];
}

/// Strict UTF-8, appended to `text`; false when it is not.
bool decode_utf8(std::string_view bytes, std::u32string& text) {
  size_t i = 0;
  while (i < bytes.size()) {
    char32_t point = 0;
    if (!unicode::read_utf8(bytes, i, point)) {
      return false;
    }
    text.push_back(point);
  }
  return true;
}

/// The bytes as a regular expression of Python sees them from `begin` on: `$` also
/// matches in front of a last line break.
class Tail {
 public:
  Tail(std::string_view bytes, size_t begin) : bytes_(bytes), next_(begin) {}

  /// `([first-last]|$)`
  bool take(unsigned char first, unsigned char last) {
    if (next_ < bytes_.size()) {
      const auto byte = static_cast<unsigned char>(bytes_[next_]);
      if (byte >= first && byte <= last) {
        ++next_;
        return true;
      }
    }
    return next_ == bytes_.size() ||
           (next_ + 1 == bytes_.size() && bytes_[next_] == '\n');
  }

 private:
  std::string_view bytes_;
  size_t next_;
};

/// Two surrogates of three bytes each, from the second byte of the first on.
bool is_cesu(std::string_view bytes, size_t begin) {
  Tail tail(bytes, begin + 1);
  return tail.take(0xA0, 0xAF) && tail.take(0x80, 0xBF) && tail.take(0xED, 0xED) &&
         tail.take(0xB0, 0xBF) && tail.take(0x80, 0xBF);
}

bool is_surrogate(std::string_view bytes, size_t begin) {
  Tail tail(bytes, begin + 1);
  return tail.take(0xA0, 0xBF) && tail.take(0x80, 0xBF);
}

bool is_java_null(std::string_view bytes, size_t begin) {
  return Tail(bytes, begin + 1).take(0x80, 0x80);
}

/// The codec "utf-8-variants": UTF-8, pairs of surrogates as in CESU-8, and Java's form
/// of U+0000. False when `bytes` is something else.
bool decode_utf8_variants(std::string_view bytes, std::u32string& text) {
  size_t begin = 0;
  for (;;) {
    size_t i = begin;
    const auto is_special = [bytes](size_t at) {
      return bytes[at] == '\xC0' ? is_java_null(bytes, at)
                                 : bytes[at] == '\xED' &&
                                       (is_cesu(bytes, at) || is_surrogate(bytes, at));
    };
    while (i < bytes.size() && !is_special(i)) {
      ++i;
    }
    if (!decode_utf8(bytes.substr(begin, i - begin), text)) {
      return false;
    }
    if (i == bytes.size()) {
      return true;
    }
    if (bytes[i] == '\xC0') {
      if (i + 1 == bytes.size()) {
        return false;
      }
      text.push_back(0);
      begin = i + 2;
      continue;
    }
    if (bytes.size() - i < 6 || !is_cesu(bytes, i)) {
      return false;
    }
    const auto bits = [&](size_t offset, unsigned mask) {
      return static_cast<char32_t>(static_cast<unsigned char>(bytes[i + offset])) &
             mask;
    };
    text.push_back(
        (bits(1, 0x0F) << 16) + (bits(2, 0x3F) << 10) + (bits(4, 0x0F) << 6) +
        bits(5, 0x3F) + 0x10000);
    begin = i + 6;
  }
}

/// fixes.restore_byte_a0: blanks that were no-break spaces within UTF-8.
std::string restore_byte_a0(std::string_view bytes) {
  // "\xC3 " is a word of its own, but for "às" and the like.
  std::string words;
  for (size_t i = 0; i < bytes.size(); ++i) {
    const bool found = bytes.substr(i, 2) == "\xC3 ";
    const std::string_view rest = bytes.substr(std::min(i + 2, bytes.size()));
    const bool is_exception = rest.starts_with(' ') || rest.starts_with("quele") ||
                              rest.starts_with("quela") || rest.starts_with("quilo") ||
                              rest.starts_with("s ");
    words.push_back(bytes[i]);
    if (found && !is_exception) {
      words += {kNoBreakSpace, ' '};
      ++i;
    }
  }
  return replace_bytes(words, tables::kAlteredPatterns, [](std::string_view piece) {
    std::string restored(piece);
    std::replace(restored.begin(), restored.end(), ' ', kNoBreakSpace);
    return restored;
  });
}

/// What `text` is when its bytes in this encoding are read as UTF-8.
std::optional<std::u32string> decode_again(std::string bytes, const Encoding& from) {
  if (from.restores_a0) {
    bytes = restore_byte_a0(bytes);
  }
  if (from.sloppy) {  // fixes.replace_lossy_sequences
    bytes = replace_bytes(
        bytes, tables::kLossyPatterns, [](std::string_view) { return "\xEF\xBF\xBD"; });
  }
  std::u32string text;
  const bool variants =
      bytes.find('\xED') != bytes.npos || bytes.find('\xC0') != bytes.npos;
  const bool done =
      variants ? decode_utf8_variants(bytes, text) : decode_utf8(bytes, text);
  return done ? std::optional(text) : std::nullopt;
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
