#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text_tables.hpp"

// The encodings that UTF-8 is mistaken for, and the way back. Private to `src/clip`.

namespace trmml::clip {

/// One of chardata.CHARMAP_ENCODINGS, from characters to bytes.
class Encoder {
 public:
  explicit Encoder(const tables::Encoding& encoding);

  const tables::Encoding& encoding() const { return encoding_; }

  /// Nothing when a character has no byte.
  std::optional<std::string> encode(std::u32string_view text) const;

 private:
  using Entry = std::pair<char16_t, char>;

  const char* find(char32_t point) const;

  const tables::Encoding& encoding_;
  std::array<Entry, 128> sorted_;
};

/// All of them, in the order in which they are tried.
const std::vector<Encoder>& encoders();
inline constexpr size_t kLatin1 = 0;
inline constexpr size_t kWindows1252 = 1;

/// What the sloppy windows-1252 makes of a byte of 0x80 or more.
char32_t from_windows_1252(char32_t byte);

/// What a text is when its bytes in the encoding `from` are read as UTF-8.
std::optional<std::u32string> decode_again(
    std::string bytes,
    const tables::Encoding& from);

}  // namespace trmml::clip
