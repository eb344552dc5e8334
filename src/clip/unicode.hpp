#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "../io/text.hpp"

// Text as Unicode characters, with the classes and cases that Python's `str` and
// `regex` know. Private to `src/clip`.

namespace trmml::clip::unicode {

inline constexpr char32_t kReplacement = 0xFFFD;

using io::append_utf8;

std::string to_utf8(std::u32string_view points);

/// Reads one character at `i`, which moves behind it. False for bytes that are none:
/// `i` then stands behind the longest piece that begins a character.
bool read_utf8(std::string_view bytes, size_t& i, char32_t& point);

/// Each longest piece that begins a character but does not end it becomes one U+FFFD,
/// as with `errors="replace"` in Python.
std::u32string from_utf8(std::string_view bytes);

inline bool is_ascii(std::u32string_view text) {
  return std::all_of(
      text.begin(), text.end(), [](char32_t point) { return point < 0x80; });
}

/// `\p{L}` and `\p{N}` of `regex`, white space of `str.split`.
bool is_letter(char32_t point);
bool is_number(char32_t point);
bool is_space(char32_t point);

/// `\d` of `re`.
bool is_decimal(char32_t point);

/// Canonical composition (NFC).
std::u32string compose(std::u32string points);

/// `str.lower`: a capital sigma at the end of a word has its own small letter.
std::u32string to_lower(std::u32string_view text);

}  // namespace trmml::clip::unicode
