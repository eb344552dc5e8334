#include "unicode.hpp"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>

#include "text_tables.hpp"
#include <utf8proc.h>

namespace trmml::clip::unicode {

namespace {

/// Which second bytes may follow `lead`, and how many follow in all (0: none may).
struct Following {
  int count;
  unsigned char lowest, highest;
};

Following following(unsigned char lead) {
  if (lead >= 0xC2 && lead <= 0xDF) {
    return {1, 0x80, 0xBF};
  }
  if (lead >= 0xE0 && lead <= 0xEF) {  // no overlong forms, no surrogates
    return {
        2,
        lead == 0xE0 ? uint8_t{0xA0} : uint8_t{0x80},
        lead == 0xED ? uint8_t{0x9F} : uint8_t{0xBF}};
  }
  if (lead >= 0xF0 && lead <= 0xF4) {  // no overlong forms, nothing above U+10FFFF
    return {
        3,
        lead == 0xF0 ? uint8_t{0x90} : uint8_t{0x80},
        lead == 0xF4 ? uint8_t{0x8F} : uint8_t{0xBF}};
  }
  return {0, 0, 0};
}

utf8proc_category_t category(char32_t point) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(point));
}

/// Whether one of `ranges`, which are in order, holds `point`.
template <size_t N>
bool in_ranges(const tables::Range (&ranges)[N], char32_t point) {
  const auto* const range = std::lower_bound(
      ranges, ranges + N, point, [](const tables::Range& candidate, char32_t value) {
        return candidate.last < value;
      });
  return range != ranges + N && range->first <= point;
}

/// Characters that stay as they are in NFC, whatever stands beside them.
bool is_composed(char32_t point) {
  return point < 0x300 || (point >= 0x400 && point < 0x483) ||
         (point >= 0x48A && point < 0x530) || (point >= 0x2010 && point < 0x2060) ||
         (point >= 0x3041 && point < 0x3097) || (point >= 0x30A1 && point < 0x30FB) ||
         (point >= 0x4E00 && point < 0xA000) || (point >= 0xAC00 && point < 0xD7A4) ||
         point == kReplacement || (point >= 0x1F000 && point < 0x1FB00);
}

}  // namespace

std::string to_utf8(std::u32string_view points) {
  std::string bytes;
  bytes.reserve(points.size());
  for (const char32_t point : points) {
    append_utf8(bytes, point);
  }
  return bytes;
}

bool read_utf8(std::string_view bytes, size_t& i, char32_t& point) {
  const auto lead = static_cast<unsigned char>(bytes[i++]);
  if (lead < 0x80) {
    point = lead;
    return true;
  }
  const Following rule = following(lead);
  point = lead & (0x3F >> rule.count);
  int found = 0;
  while (found < rule.count && i < bytes.size()) {
    const auto next = static_cast<unsigned char>(bytes[i]);
    if (next < (found == 0 ? rule.lowest : 0x80) ||
        next > (found == 0 ? rule.highest : 0xBF)) {
      break;
    }
    point = (point << 6) | (next & 0x3F);
    ++found;
    ++i;
  }
  return rule.count > 0 && found == rule.count;
}

std::u32string from_utf8(std::string_view bytes) {
  std::u32string points;
  points.reserve(bytes.size());
  size_t i = 0;
  while (i < bytes.size()) {
    char32_t point = 0;
    points.push_back(read_utf8(bytes, i, point) ? point : kReplacement);
  }
  return points;
}

bool is_letter(char32_t point) {
  if (point < 0x80) {
    return (point >= 'a' && point <= 'z') || (point >= 'A' && point <= 'Z');
  }
  const auto c = category(point);
  return (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO) ||
         (c == UTF8PROC_CATEGORY_CN && in_ranges(tables::kNewLetters, point));
}

bool is_number(char32_t point) {
  if (point < 0x80) {
    return point >= '0' && point <= '9';
  }
  const auto c = category(point);
  return (c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO) ||
         (c == UTF8PROC_CATEGORY_CN && in_ranges(tables::kNewNumbers, point));
}

bool is_space(char32_t point) {
  return (point >= 0x09 && point <= 0x0D) || (point >= 0x1C && point <= 0x20) ||
         point == 0x85 || point == 0xA0 || point == 0x1680 ||
         (point >= 0x2000 && point <= 0x200A) || point == 0x2028 || point == 0x2029 ||
         point == 0x202F || point == 0x205F || point == 0x3000;
}

bool is_decimal(char32_t point) {
  return point < 0x80 ? point >= '0' && point <= '9'
                      : category(point) == UTF8PROC_CATEGORY_ND;
}

namespace {

std::u32string compose_piece(std::u32string_view points) {
  const std::string bytes = to_utf8(points);
  utf8proc_uint8_t* composed = nullptr;
  const utf8proc_ssize_t size = utf8proc_map(
      reinterpret_cast<const utf8proc_uint8_t*>(bytes.data()),
      static_cast<utf8proc_ssize_t>(bytes.size()),
      &composed,
      static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(
      composed, &std::free);
  if (size < 0) {  // there is no other reason for valid UTF-8
    throw std::bad_alloc();
  }
  return from_utf8(
      {reinterpret_cast<const char*>(composed), static_cast<size_t>(size)});
}

}  // namespace

std::u32string compose(std::u32string points) {
  // A filler in front of the trailing consonants of Korean, which combines with
  // nothing; utf8proc loses it behind a syllable.
  constexpr char32_t kFiller = 0x11A7;
  if (std::all_of(points.begin(), points.end(), &is_composed)) {
    return points;
  }
  std::u32string result;
  result.reserve(points.size());
  size_t begin = 0;
  while (begin < points.size()) {
    const size_t end = std::min(points.find(kFiller, begin), points.size());
    result += compose_piece(std::u32string_view(points).substr(begin, end - begin));
    if (end < points.size()) {
      result.push_back(kFiller);
    }
    begin = end + 1;
  }
  return result;
}

namespace {

bool is_cased(char32_t point) {
  const bool letter_like =
      point == 0xAA || point == 0xBA ||        // ordinals
      (point >= 0x2160 && point <= 0x217F) ||  // Roman numerals
      (point >= 0x24B6 && point <= 0x24E9) ||  // letters in circles
      (point >= 0x1F130 && point <= 0x1F149) ||
      (point >= 0x1F150 && point <= 0x1F169) || (point >= 0x1F170 && point <= 0x1F189);
  const auto c = category(point);
  return letter_like || c == UTF8PROC_CATEGORY_LU || c == UTF8PROC_CATEGORY_LL ||
         c == UTF8PROC_CATEGORY_LT;
}

/// Skipped when looking for the letter next to a sigma.
bool is_case_ignorable(char32_t point) {
  constexpr std::u32string_view kPunctuation =
      U"'.:"
      U"\u00B7\u2018\u2019\u2024\u2027\u0387\u055F\u05F4\uFE13\uFE52\uFE55\uFF07\uFF0E"
      U"\uFF1A";
  const auto c = category(point);
  return c == UTF8PROC_CATEGORY_MN || c == UTF8PROC_CATEGORY_ME ||
         c == UTF8PROC_CATEGORY_CF || c == UTF8PROC_CATEGORY_LM ||
         c == UTF8PROC_CATEGORY_SK || kPunctuation.find(point) != kPunctuation.npos;
}

/// A capital sigma at the end of a word has its own small letter.
bool is_final_sigma(std::u32string_view text, size_t i) {
  size_t before = i;
  while (before > 0 && is_case_ignorable(text[before - 1])) {
    --before;
  }
  size_t after = i + 1;
  while (after < text.size() && is_case_ignorable(text[after])) {
    ++after;
  }
  return before > 0 && is_cased(text[before - 1]) &&
         !(after < text.size() && is_cased(text[after]));
}

}  // namespace

std::u32string to_lower(std::u32string_view text) {
  std::u32string result;
  result.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const char32_t point = text[i];
    if (point < 0x80) {
      result.push_back(point >= 'A' && point <= 'Z' ? point + 0x20 : point);
    } else if (point == 0x130) {  // the only letter that becomes two: i and a dot
      result += U"i\u0307";
    } else if (point == 0x3A3) {
      result.push_back(is_final_sigma(text, i) ? 0x3C2 : 0x3C3);
    } else {
      result.push_back(static_cast<char32_t>(
          utf8proc_tolower(static_cast<utf8proc_int32_t>(point))));
    }
  }
  return result;
}

}  // namespace trmml::clip::unicode
