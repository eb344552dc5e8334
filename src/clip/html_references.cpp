#include "html_references.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <unordered_map>

#include "text_tables.hpp"
#include "unicode.hpp"

namespace trmml::clip {

namespace {

using Entities = std::unordered_map<std::string_view, std::u32string>;

/// The word in front of the first blank of `table`, which loses both.
std::string_view next_word(std::string_view& table) {
  const std::string_view word = table.substr(0, table.find(' '));
  table.remove_prefix(word.size() + 1);
  return word;
}

/// Reads "name 1F+2A name 3B ...".
Entities parse_entities(std::string_view table) {
  Entities entities;
  while (!table.empty()) {
    std::u32string& points = entities[next_word(table)];
    const std::string_view numbers = next_word(table);
    const char* next = numbers.data();
    const char* const end = next + numbers.size();
    while (next < end) {
      uint32_t point = 0;
      next = std::from_chars(next, end, point, 16).ptr + 1;
      points.push_back(point);
    }
  }
  return entities;
}

Entities parse_bare_entities(const Entities& closed) {
  Entities entities;
  std::string_view table = tables::kBareEntities;
  while (!table.empty()) {
    const std::string_view name = next_word(table);
    entities[name] = closed.at(name);
  }
  return entities;
}

struct EntityTables {
  Entities closed = parse_entities(tables::kEntities);
  Entities bare = parse_bare_entities(closed);
  Entities shouted = parse_entities(tables::kShoutedEntities);
};

const EntityTables& entity_tables() {
  static const EntityTables tables;
  return tables;
}

const std::u32string* find(const Entities& entities, std::string_view name) {
  const auto found = entities.find(name);
  return found == entities.end() ? nullptr : &found->second;
}

/// What HTML makes of `&#n;`: nothing for control characters and the like.
std::u32string numeric_reference(uint32_t number) {
  // Bytes of Windows-1252 that are not Latin-1; 0 stands for itself.
  static constexpr std::array<char32_t, 32> kWindows = {
      0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021,
      0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8D,   0x017D, 0x8F,
      0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
      0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,   0x017E, 0x0178};
  if (number == 0 || (number >= 0xD800 && number <= 0xDFFF) || number > 0x10FFFF) {
    return {unicode::kReplacement};
  }
  if (number >= 0x80 && number <= 0x9F) {
    return {kWindows[number - 0x80]};
  }
  const bool control = number <= 0x08 || number == 0x0B ||
                       (number >= 0x0E && number <= 0x1F) || number == 0x7F;
  const bool noncharacter =
      (number >= 0xFDD0 && number <= 0xFDEF) || (number & 0xFFFE) == 0xFFFE;
  return control || noncharacter ? std::u32string() : std::u32string{number};
}

/// The number behind "&#" at `begin`; moves `end` behind it. Too large ones are capped.
std::optional<uint32_t>
read_number(std::u32string_view text, size_t begin, size_t& end) {
  const bool hex = begin < text.size() && (text[begin] == 'x' || text[begin] == 'X');
  uint32_t number = 0;
  size_t i = begin + (hex ? 1 : 0);
  const size_t first = i;
  for (; i < text.size(); ++i) {
    const char32_t c = text[i];
    uint32_t digit = 0;
    if (c >= '0' && c <= '9') {
      digit = c - '0';
    } else if (hex && (c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
      digit = (c | 0x20) - 'a' + 10;
    } else {
      break;
    }
    number = std::min<uint32_t>(number * (hex ? 16 : 10) + digit, 0x110000);
  }
  if (i == first) {
    return std::nullopt;
  }
  end = i < text.size() && text[i] == ';' ? i + 1 : i;
  return number;
}

/// What the name behind "&" at `begin` stands for; moves `end` behind it.
const std::u32string* read_name(std::u32string_view text, size_t begin, size_t& end) {
  constexpr std::u32string_view kStop = U"\t\n\f <&#;";
  constexpr size_t kLongest = 32;
  const EntityTables& entities = entity_tables();
  std::string name;
  size_t i = begin;
  while (i < text.size() && i - begin < kLongest && text[i] < 0x80 &&
         kStop.find(text[i]) == kStop.npos) {
    name.push_back(static_cast<char>(text[i++]));
  }
  if (i < text.size() && text[i] == ';') {
    if (const auto* found = find(entities.closed, name)) {
      end = i + 1;
      return found;
    }
  }
  for (size_t size = name.size(); size >= 2; --size) {  // "&ampx" is "&x"
    if (const auto* found =
            find(entities.bare, std::string_view(name).substr(0, size))) {
      end = begin + size;
      return found;
    }
  }
  return nullptr;
}

/// The text of a reference with `;` at `begin`, which is an `&`; moves `end` behind it.
std::optional<std::u32string>
read_clear_reference(std::u32string_view text, size_t begin, size_t& end) {
  constexpr size_t kLongest = 24;
  const bool is_number = begin + 1 < text.size() && text[begin + 1] == '#';
  const size_t first = begin + (is_number ? 2 : 1);
  std::string name;
  size_t i = first;
  while (i < text.size() && i - first < kLongest && text[i] < 0x80 &&
         (unicode::is_letter(text[i]) || unicode::is_number(text[i]))) {
    name.push_back(static_cast<char>(text[i++]));
  }
  if (i == first || i == text.size() || text[i] != ';') {
    return std::nullopt;
  }
  if (is_number) {
    const auto number = read_number(text, first, end);
    if (!number || end != i + 1 || *number == ';') {
      return std::nullopt;  // ftfy keeps what still has a semicolon
    }
    return numeric_reference(*number);
  }
  const EntityTables& entities = entity_tables();
  const auto* found = find(entities.closed, name);
  found = found ? found : find(entities.shouted, name);
  if (!found) {
    return std::nullopt;
  }
  end = i + 1;
  return *found;
}

}  // namespace

std::u32string unescape_html(std::u32string_view text) {
  std::u32string result;
  result.reserve(text.size());
  size_t i = 0;
  while (i < text.size()) {
    size_t end = i + 1;
    if (text[i] == '&' && end < text.size() && text[end] == '#') {
      if (const auto number = read_number(text, i + 2, end)) {
        result += numeric_reference(*number);
        i = end;
        continue;
      }
    } else if (text[i] == '&') {
      if (const auto* points = read_name(text, i + 1, end)) {
        result += *points;
        i = end;
        continue;
      }
    }
    result.push_back(text[i++]);
  }
  return result;
}

std::u32string unescape_clear_html(std::u32string_view text) {
  std::u32string result;
  result.reserve(text.size());
  size_t i = 0;
  while (i < text.size()) {
    size_t end = i + 1;
    if (text[i] == '&') {
      if (const auto points = read_clear_reference(text, i, end)) {
        result += *points;
        i = end;
        continue;
      }
    }
    result.push_back(text[i++]);
  }
  return result;
}

}  // namespace trmml::clip
