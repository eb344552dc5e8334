#pragma once

#include <string>
#include <string_view>

// Characters of text as bytes. Private to `src`.

namespace trmml::io {

/// Letters of ASCII in lower case, every other byte as it is: no matter of language.
inline char ascii_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

inline std::string ascii_lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    c = ascii_lower(c);
  }
  return result;
}

inline void append_utf8(std::string& bytes, char32_t point) {
  const auto tail = [point](int shift) {
    return static_cast<char>(0x80 | ((point >> shift) & 0x3F));
  };
  if (point < 0x80) {
    bytes.push_back(static_cast<char>(point));
  } else if (point < 0x800) {
    bytes.append({static_cast<char>(0xC0 | (point >> 6)), tail(0)});
  } else if (point < 0x10000) {
    bytes.append({static_cast<char>(0xE0 | (point >> 12)), tail(6), tail(0)});
  } else {
    bytes.append({static_cast<char>(0xF0 | (point >> 18)), tail(12), tail(6), tail(0)});
  }
}

}  // namespace trmml::io
