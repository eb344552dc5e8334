#include "words.hpp"

#include "trmml/clip/tokenizer.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "byte_table.hpp"
#include "html_references.hpp"
#include "repair_text.hpp"
#include "unicode.hpp"

namespace trmml::clip {

namespace {

// CLIP's pattern ignores case: the long s is an s, and the iota below is lost (its
// other case is a letter, so it belongs to neither letters nor "anything else").
constexpr char32_t kLongS = 0x17F;
constexpr char32_t kIotaBelow = 0x345;

// ---- Cleaning ----

/// Text that only needs small letters and single blanks: printable ASCII that is no
/// reference of HTML. Most captions are.
bool is_plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char byte) {
    return (byte >= 0x20 && byte < 0x7F && byte != '&') || byte == '\t' || byte == '\n';
  });
}

/// No white space at the ends, single blanks elsewhere.
template <typename Text>
Text collapse_spaces(std::basic_string_view<typename Text::value_type> text) {
  Text result;
  result.reserve(text.size());
  bool pending = false;
  for (const auto point : text) {
    if (unicode::is_space(static_cast<char32_t>(point))) {
      pending = !result.empty();
      continue;
    }
    if (pending) {
      result.push_back(' ');
      pending = false;
    }
    result.push_back(point);
  }
  return result;
}

std::string clean_plain(std::string_view text) {
  std::string result = collapse_spaces<std::string>(text);
  for (char& byte : result) {
    byte = static_cast<char>(byte >= 'A' && byte <= 'Z' ? byte + 0x20 : byte);
  }
  return result;
}

std::u32string clean(std::string_view text) {
  std::u32string points = repair_text(unicode::from_utf8(text));
  if (points.find(U'&') != points.npos) {
    points = unescape_html(unescape_html(points));
  }
  return unicode::to_lower(collapse_spaces<std::u32string>(points));
}

// ---- Words ----

/// Whether `text` has `pattern` (small ASCII letters) at `begin`.
template <typename View>
bool has_at(View text, size_t begin, std::string_view pattern) {
  if (text.size() - begin < pattern.size()) {
    return false;
  }
  for (size_t i = 0; i < pattern.size(); ++i) {
    const auto point = static_cast<char32_t>(text[begin + i]);
    const auto wanted = static_cast<char32_t>(pattern[i]);
    if (point != wanted && !(wanted == 's' && point == kLongS)) {
      return false;
    }
  }
  return true;
}

bool is_between_words(char32_t point) {
  return unicode::is_space(point) || point == kIotaBelow;
}

/// The end of the word that begins at `begin`, which is not between words.
template <typename View>
size_t end_of_word(View text, size_t begin) {
  static constexpr std::array<std::string_view, 9> kFixed = {
      kStartToken, kEndToken, "'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
  const auto at = [text](size_t i) { return static_cast<char32_t>(text[i]); };
  if (at(begin) == '<' || at(begin) == '\'') {
    for (const std::string_view fixed : kFixed) {
      if (has_at(text, begin, fixed)) {
        return begin + fixed.size();
      }
    }
  }
  if (unicode::is_number(at(begin))) {
    return begin + 1;
  }
  size_t end = begin + 1;
  if (unicode::is_letter(at(begin))) {
    while (end < text.size() && unicode::is_letter(at(end))) {
      ++end;
    }
    return end;
  }
  while (end < text.size() && !is_between_words(at(end)) &&
         !unicode::is_letter(at(end)) && !unicode::is_number(at(end))) {
    ++end;
  }
  return end;
}

std::string_view as_bytes(std::string_view word, std::string&) {
  return word;
}

std::string_view as_bytes(std::u32string_view word, std::string& bytes) {
  bytes.clear();
  for (const char32_t point : word) {
    unicode::append_utf8(bytes, point);
  }
  return bytes;
}

/// Calls `visit` with the UTF-8 bytes of each word of a cleaned text.
template <typename View, typename Visit>
void for_each_word_of(View text, const Visit& visit) {
  std::string bytes;
  size_t i = 0;
  while (i < text.size()) {
    if (is_between_words(static_cast<char32_t>(text[i]))) {
      ++i;
      continue;
    }
    const size_t end = end_of_word(text, i);
    visit(as_bytes(text.substr(i, end - i), bytes));
    i = end;
  }
}

}  // namespace

std::string clean_text(std::string_view text) {
  return is_plain(text) ? clean_plain(text) : unicode::to_utf8(clean(text));
}

void for_each_word(
    std::string_view text,
    const std::function<void(std::string_view word)>& visit) {
  if (is_plain(text)) {
    for_each_word_of<std::string_view>(clean_plain(text), visit);
  } else {
    for_each_word_of<std::u32string_view>(clean(text), visit);
  }
}

}  // namespace trmml::clip
