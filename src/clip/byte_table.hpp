#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "unicode.hpp"

// Bytes as CLIP's vocabulary writes them. Private to `src/clip`.

namespace trmml::clip {

inline constexpr int32_t kBytes = 256;
inline constexpr int32_t kFirstMerge = 2 * kBytes;
inline constexpr std::string_view kEndOfWord = "</w>";
inline constexpr std::string_view kStartToken = "<|startoftext|>";
inline constexpr std::string_view kEndToken = "<|endoftext|>";

/// CLIP's order of the 256 bytes: those that print in Latin-1 first.
struct ByteTable {
  std::array<unsigned char, kBytes> byte_of{};  // by id
  std::array<int32_t, kBytes> id_of{};          // by byte
  std::array<std::string, kBytes> printable;    // by id
};

inline ByteTable make_byte_table() {
  ByteTable table;
  const auto prints = [](int byte) {
    return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) ||
           byte >= 0xAE;
  };
  int32_t id = 0;
  char32_t stand_in = kBytes;
  for (const bool printing : {true, false}) {
    for (int byte = 0; byte < kBytes; ++byte) {
      if (prints(byte) == printing) {
        const auto index = static_cast<size_t>(id);
        table.byte_of[index] = static_cast<unsigned char>(byte);
        table.id_of[static_cast<size_t>(byte)] = id++;
        unicode::append_utf8(
            table.printable[index],
            printing ? static_cast<char32_t>(byte) : stand_in++);
      }
    }
  }
  return table;
}

inline const ByteTable& byte_table() {
  static const ByteTable table = make_byte_table();
  return table;
}

}  // namespace trmml::clip
