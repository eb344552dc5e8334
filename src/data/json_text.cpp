#include "json_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

#include "../io/quoted.hpp"

namespace trmml::data::json {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

// Behind the string that begins with the quotation mark at `begin`; npos: no end.
std::size_t behind_string(std::string_view text, std::size_t begin) {
  std::size_t at = begin + 1;
  while (true) {
    at = text.find('"', at);
    if (at == std::string_view::npos) {
      return at;
    }
    std::size_t backslashes = 0;
    while (text[at - 1 - backslashes] == '\\') {
      ++backslashes;  // ends at the mark at `begin`, at the latest
    }
    ++at;
    if (backslashes % 2 == 0) {
      return at;
    }
  }
}

// Where the element that begins at `begin` ends: at a comma or bracket of its array;
// npos: it does not.
std::size_t end_of_element(std::string_view text, std::size_t begin) {
  int64_t depth = 0;
  std::size_t at = begin;
  while (at < text.size()) {
    switch (text[at]) {
      case '"':
        at = behind_string(text, at);
        continue;  // npos ends the loop
      case '[':
      case '{':
        ++depth;
        break;
      case ']':
      case '}':
        if (depth-- == 0) {
          return at;
        }
        break;
      case ',':
        if (depth == 0) {
          return at;
        }
        break;
      default:
        break;
    }
    ++at;
  }
  return std::string_view::npos;
}

}  // namespace

std::string damaged(simdjson::error_code error) {
  std::string_view message = simdjson::error_message(error);
  const std::size_t name = message.find(": ");  // "TAPE_ERROR", in some versions
  if (name < message.find(' ')) {
    message.remove_prefix(name + 2);
  }
  return fmt::format("no valid JSON: {}", message);
}

std::string kind_of(Value& value) {
  simdjson::ondemand::json_type type{};
  if (const auto error = value.type().get(type)) {
    return damaged(error);
  }
  switch (type) {
    case simdjson::ondemand::json_type::array:
      return "an array";
    case simdjson::ondemand::json_type::object:
      return "an object";
    case simdjson::ondemand::json_type::string:
      return "a string";
    case simdjson::ondemand::json_type::boolean:
      return "true or false";
    case simdjson::ondemand::json_type::null:
      return "null";
    default:
      break;
  }
  std::string_view digits = value.raw_json_token();
  digits = digits.substr(0, digits.find_last_not_of(kBlanks) + 1);
  constexpr std::size_t kShown = 40;
  return std::string(digits.substr(0, kShown)) + (digits.size() > kShown ? "..." : "");
}

void Parser::object(std::string_view text, const std::function<void(Object)>& use) {
  padded_.reserve(text.size() + simdjson::SIMDJSON_PADDING);
  padded_.assign(text);
  simdjson::ondemand::document document;
  if (const auto error =
          parser_.iterate(padded_.data(), padded_.size(), padded_.capacity())
              .get(document)) {
    throw Wrong(damaged(error));
  }
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (text[first] != '{') {
    throw Wrong("expected an object, got " + io::in_quotes(text.substr(first, 20)));
  }
  Object object;
  if (const auto error = document.get_object().get(object)) {
    throw Wrong(damaged(error));
  }
  use(object);
  if (document.current_location().error() != simdjson::OUT_OF_BOUNDS) {
    throw Wrong("expected the end behind the object, got more");
  }
}

void for_each_part(
    const std::filesystem::path& file,
    std::string_view text,
    Faults& faults,
    const std::function<void(std::string_view, std::int64_t)>& use) {
  const auto next = [text](std::size_t from) {
    return std::min(text.find_first_not_of(kBlanks, from), text.size());
  };
  std::size_t at = next(0);
  if (at == text.size() || text[at] != '[') {
    faults.add(
        file, "", "expected an array, got " + io::in_quotes(text.substr(at, 20)));
    return;
  }
  at = next(at + 1);
  bool ends = at < text.size() && text[at] == ']';
  for (std::int64_t number = 1; !ends; ++number) {
    const std::size_t end = end_of_element(text, at);
    if (end == std::string_view::npos) {
      faults.add(
          file,
          fmt::format("element {}", number),
          "the file ends early (fetch it again)");
      return;
    }
    use(text.substr(at, end - at), number);
    ends = text[end] != ',';
    at = ends ? end : next(end + 1);
  }
  at = next(at + 1);
  if (at < text.size()) {
    faults.add(
        file,
        fmt::format("byte {}", at + 1),
        "expected the end behind the array, got " + io::in_quotes(text.substr(at, 20)));
  }
}

}  // namespace trmml::data::json
