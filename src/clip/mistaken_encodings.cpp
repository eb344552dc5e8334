// From the port of ftfy 6.3.1 (see repair_text.cpp); names in the comments are ftfy's.

#include "mistaken_encodings.hpp"

#include <algorithm>

#include "character_marks.hpp"
#include "unicode.hpp"

namespace trmml::clip {

using tables::Encoding;

namespace {

constexpr char32_t kSubstitute = 0x1A;  // the byte for a lost character
constexpr char kNoBreakSpace = '\xA0';

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

}  // namespace

Encoder::Encoder(const Encoding& encoding) : encoding_(encoding) {
  for (unsigned byte = 0x80; byte <= 0xFF; ++byte) {
    sorted_[byte - 0x80] = {encoding.upper[byte - 0x80], static_cast<char>(byte)};
  }
  std::sort(sorted_.begin(), sorted_.end());
}

std::optional<std::string> Encoder::encode(std::u32string_view text) const {
  std::string bytes;
  bytes.reserve(text.size());
  for (const char32_t point : text) {
    if (point < 0x80 && !(encoding_.sloppy && point == kSubstitute)) {
      bytes.push_back(static_cast<char>(point));
    } else if (encoding_.sloppy && point == unicode::kReplacement) {
      bytes.push_back(static_cast<char>(kSubstitute));
    } else if (const char* byte = find(point)) {
      bytes.push_back(*byte);
    } else {
      return std::nullopt;
    }
  }
  return bytes;
}

const char* Encoder::find(char32_t point) const {
  const auto* const entry = std::lower_bound(
      sorted_.begin(), sorted_.end(), point, [](const Entry& candidate, char32_t p) {
        return candidate.first < p;
      });
  return entry != sorted_.end() && entry->first == point ? &entry->second : nullptr;
}

const std::vector<Encoder>& encoders() {
  static const std::vector<Encoder> all(
      std::begin(tables::kEncodings), std::end(tables::kEncodings));
  return all;
}

char32_t from_windows_1252(char32_t byte) {
  return tables::kEncodings[kWindows1252].upper[byte - 0x80];
}

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

}  // namespace trmml::clip
