#include "npy_header.hpp"

#include "trmml/core/error.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "quoted.hpp"

namespace trmml::io {

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMaxHeader = 65535;  // what version 1 can say
constexpr size_t kMaxDimensions = 64;

/// Reads the literal of a dict with three keys, and nothing else of Python.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& where)
      : text_(text), where_(where) {}

  NpyHeader read() {
    expect('{', "a dict");
    while (!take('}')) {
      read_entry();
      if (!take(',')) {
        expect('}', "',' or '}'");
        break;
      }
    }
    if (!descr_ || !order_ || !shape_) {
      fail(fmt::format(
          "expected the keys descr, fortran_order and shape, got no {}",
          !descr_   ? "descr"
          : !order_ ? "fortran_order"
                    : "shape"));
    }
    if (text_.find_first_not_of(" \n", place_) != std::string_view::npos) {
      fail(fmt::format("expected the end after the dict, got {}", next()));
    }
    NpyHeader header;
    read_descr(header);
    header.is_fortran = *order_;
    header.shape = *shape_;
    return header;
  }

 private:
  [[noreturn]] void fail(std::string_view rule) const {
    throw DataError(fmt::format("{}: header: {}", where_, rule));
  }

  /// What stands at the place, for messages.
  std::string next() const {
    const size_t begin = std::min(text_.find_first_not_of(' ', place_), text_.size());
    return begin == text_.size()
               ? "its end"
               : fmt::format(
                     "{} at byte {}", in_quotes(text_.substr(begin, 20)), begin + 1);
  }

  bool take(char c) {
    const size_t begin = text_.find_first_not_of(' ', place_);
    if (begin == std::string_view::npos || text_[begin] != c) {
      return false;
    }
    place_ = begin + 1;
    return true;
  }

  void expect(char c, std::string_view what) {
    if (!take(c)) {
      fail(fmt::format("expected {}, got {}", what, next()));
    }
  }

  bool take_word(std::string_view word) {
    const size_t begin = text_.find_first_not_of(' ', place_);
    if (begin == std::string_view::npos || !text_.substr(begin).starts_with(word)) {
      return false;
    }
    place_ = begin + word.size();
    return true;
  }

  /// Text in single or double quotes; a backslash would need rules of its own.
  std::string read_text(std::string_view what) {
    const char quote = take('\'') ? '\'' : take('"') ? '"' : '\0';
    const size_t end = quote == '\0' ? quote : text_.find(quote, place_);
    if (quote == '\0' || end == std::string_view::npos ||
        text_.substr(place_, end - place_).find('\\') != std::string_view::npos) {
      fail(fmt::format("expected {} as text, got {}", what, next()));
    }
    const std::string value(text_.substr(place_, end - place_));
    place_ = end + 1;
    return value;
  }

  void read_entry() {
    const std::string key = read_text("a key");
    expect(':', "':'");
    bool seen = false;
    if (key == "descr") {
      seen = descr_.has_value();
      if (text_.find_first_not_of(' ', place_) == text_.find('[', place_)) {
        fail("expected a plain dtype, got one with fields (save each field by itself)");
      }
      descr_ = read_text("descr");
    } else if (key == "fortran_order") {
      seen = order_.has_value();
      order_ = take_word("True");
      if (!*order_ && !take_word("False")) {
        fail(fmt::format("expected fortran_order as True or False, got {}", next()));
      }
    } else if (key == "shape") {
      seen = shape_.has_value();
      read_shape();
    } else {
      fail(fmt::format(
          "expected the keys descr, fortran_order and shape, got {}", in_quotes(key)));
    }
    if (seen) {
      fail(fmt::format("the key {} stands there twice", key));
    }
  }

  void read_shape() {
    shape_.emplace();
    expect('(', "shape as a tuple of sizes");
    bool has_comma = true;  // as if before the first
    while (!take(')')) {
      if (!has_comma) {
        fail(fmt::format("expected ',' or ')' in shape, got {}", next()));
      }
      if (shape_->size() == kMaxDimensions) {
        fail(fmt::format("expected at most {} dimensions, got more", kMaxDimensions));
      }
      const size_t begin = text_.find_first_not_of(' ', place_);
      place_ = begin == std::string_view::npos ? text_.size() : begin;
      uint64_t size = 0;
      const char* const from = text_.data() + place_;
      const auto [end, error] =
          std::from_chars(from, text_.data() + text_.size(), size);
      if (error != std::errc()) {
        fail(fmt::format("expected a size that 64 bits can hold, got {}", next()));
      }
      place_ += static_cast<size_t>(end - from);
      if (place_ < text_.size() && text_[place_] == 'L') {
        ++place_;  // a long number of Python 2
      }
      shape_->push_back(size);
      has_comma = take(',');
    }
    if (shape_->size() == 1 && !has_comma) {
      fail("expected shape as a tuple, got a number in brackets");
    }
  }

  void read_descr(NpyHeader& header) const {
    const std::string& descr = *descr_;
    const auto refuse = [&](std::string_view hint) {
      fail(fmt::format(
          "expected a dtype among i1 i2 i4 i8 u1 b1 f2 f4 f8 and U, after '<', '>' or "
          "'|', got {}{}",
          in_quotes(descr),
          hint));
    };
    if (descr == "|O" || descr == "O") {
      refuse(
          " (Python objects, which only a program can read: save text with "
          "array.astype(str))");
    }
    if (descr.size() < 3 ||
        std::string_view("<>|").find(descr[0]) == std::string::npos) {
      refuse("");
    }
    header.order = descr[0];
    header.kind = descr[1];
    const std::string_view digits = std::string_view(descr).substr(2);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), header.size);
    if (error != std::errc() || end != digits.data() + digits.size() ||
        digits[0] == '0') {
      refuse("");
    }
    constexpr std::string_view kNumbers[] = {
        "i1", "i2", "i4", "i8", "u1", "b1", "f2", "f4", "f8"};
    const bool is_number =
        std::find(std::begin(kNumbers), std::end(kNumbers), descr.substr(1)) !=
        std::end(kNumbers);
    const bool is_text = header.kind == 'U' && header.size <= kMaxHeader;
    if (!is_number && !is_text) {
      refuse("");
    }
    if (header.order == '|' && (is_text || header.size > 1)) {
      fail(fmt::format(
          "expected a byte order ('<' or '>') before {}, got '|'", descr.substr(1)));
    }
  }

  std::string_view text_;
  const std::string& where_;
  size_t place_ = 0;
  std::optional<std::string> descr_;
  std::optional<bool> order_;
  std::optional<std::vector<uint64_t>> shape_;
};

}  // namespace

std::string NpyHeader::descr() const {
  return fmt::format("{}{}{}", order, kind, size);
}

NpyHeader read_npy_header(std::string_view file, const std::string& where) {
  const auto fail = [&where](std::string_view rule) {
    throw DataError(fmt::format("{}: {}", where, rule));
  };
  if (!file.starts_with(kMagic)) {
    fail("expected a .npy file, which begins with \\x93NUMPY");
  }
  if (file.size() < kMagic.size() + 2) {
    fail("expected a version after \\x93NUMPY, got the end (the file was cut off?)");
  }
  const auto byte = [&file](size_t i) {
    return static_cast<size_t>(static_cast<unsigned char>(file[i]));
  };
  const size_t major = byte(6);
  const size_t minor = byte(7);
  if ((major != 1 && major != 2) || minor != 0) {
    fail(fmt::format("expected version 1.0 or 2.0, got {}.{}", major, minor));
  }
  const size_t length_size = major == 1 ? 2 : 4;
  const size_t text_begin = kMagic.size() + 2 + length_size;
  if (file.size() < text_begin) {
    fail("expected the length of the header, got the end (the file was cut off?)");
  }
  size_t length = 0;
  for (size_t i = 0; i < length_size; ++i) {
    length |= byte(8 + i) << (8 * i);
  }
  if (length > kMaxHeader) {
    fail(fmt::format(
        "expected a header of at most {} bytes, got {}", kMaxHeader, length));
  }
  if (length > file.size() - text_begin) {
    fail(fmt::format(
        "expected a header of {} bytes, got {} (the file was cut off?)",
        length,
        file.size() - text_begin));
  }
  const std::string_view text = file.substr(text_begin, length);
  if (!text.ends_with('\n')) {
    fail("header: expected a line break at its end");
  }
  NpyHeader header = HeaderParser(text, where).read();
  header.begin = text_begin + length;
  return header;
}

std::string npy_header_of(
    const std::string& descr,
    const std::vector<uint64_t>& shape) {
  constexpr size_t kAlignment = 64;
  constexpr size_t kDigits = 21;  // NumPy leaves room for a first size that grows
  std::string text = fmt::format(
      "{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}",
      descr,
      fmt::join(shape, ", "),
      shape.size() == 1 ? "," : "");
  if (!shape.empty()) {
    text.append(kDigits - std::to_string(shape.front()).size(), ' ');
  }
  const size_t before = kMagic.size() + 4;
  text.append(kAlignment - (before + text.size() + 1) % kAlignment, ' ');
  text += '\n';
  std::string bytes(kMagic);
  bytes += {'\1', '\0', static_cast<char>(text.size() & 255)};
  bytes += static_cast<char>(text.size() >> 8);
  return bytes + text;
}

}  // namespace trmml::io
