#include "json_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <optional>

#include "../io/quoted.hpp"
#include "text_file.hpp"

namespace trmml::data::json {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

std::string_view without_end(std::string_view token) {
  return token.substr(0, token.find_last_not_of(kBlanks) + 1);
}

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

// What `error` means for the user, with the byte where it was noticed.
std::string describe(
    simdjson::error_code error,
    simdjson::ondemand::document* document,
    std::string_view text,
    std::size_t first_byte) {
  switch (error) {
    case simdjson::EMPTY:
      return "expected JSON, got nothing";
    case simdjson::MEMALLOC:
      return fmt::format("no memory for JSON of {} bytes", text.size());
    case simdjson::UTF8_ERROR:
      return "expected UTF-8, got other bytes (convert it: iconv -t UTF-8)";
    default:
      break;
  }
  bool ends_early = error == simdjson::UNCLOSED_STRING ||
                    error == simdjson::INCOMPLETE_ARRAY_OR_OBJECT;
  std::string place;
  if (document != nullptr) {
    const char* found = nullptr;
    if (document->current_location().get(found) != simdjson::SUCCESS ||
        found >= text.data() + text.size()) {
      ends_early = true;
    } else {
      const auto byte = static_cast<std::size_t>(found - text.data());
      place = fmt::format("byte {} or shortly before: ", first_byte + byte);
    }
  }
  if (ends_early) {
    return fmt::format(
        "byte {}: expected the rest of the JSON, got the end (it is cut off, or a "
        "quote or a bracket is missing: fetch the file again)",
        first_byte + text.size());
  }
  std::string_view message = simdjson::error_message(error);
  const std::size_t name = message.find(": ");  // "TAPE_ERROR", in some versions
  if (name < message.find(' ')) {
    message.remove_prefix(name + 2);
  }
  return fmt::format(
      "{}not JSON: {} (it begins with {})",
      place,
      message,
      io::in_quotes(text.substr(0, 24)));
}

}  // namespace

std::string_view token_of(Value& value) {
  return without_end(value.raw_json_token());
}

std::string describe_token(std::string_view token) {
  token = without_end(token);
  if (token.starts_with('[')) {
    return "an array";
  }
  if (token.starts_with('{')) {
    return "an object";
  }
  if (token.size() > 1 && token.starts_with('"')) {
    return io::in_quotes(token.substr(1, token.size() - 2));
  }
  const bool is_plain = std::all_of(token.begin(), token.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '+' || c == '.';
  });
  constexpr std::size_t kShown = 40;
  if (!is_plain) {
    return io::in_quotes(token);
  }
  return std::string(token.substr(0, kShown)) + (token.size() > kShown ? "..." : "");
}

bool is_other_kind(simdjson::error_code error) {
  return error == simdjson::INCORRECT_TYPE || error == simdjson::NUMBER_ERROR ||
         error == simdjson::NUMBER_OUT_OF_RANGE ||
         std::string_view(simdjson::error_message(error))
             .starts_with("BIGINT");  // since simdjson 3.2
}

void Parser::object(
    std::string& text,
    const std::function<void(Object)>& use,
    std::size_t first_byte) {
  text.reserve(text.size() + simdjson::SIMDJSON_PADDING);
  simdjson::ondemand::document document;
  const auto error = parser_.iterate(simdjson::padded_string_view(text)).get(document);
  if (error != simdjson::SUCCESS) {
    throw Wrong(describe(error, nullptr, text, first_byte));
  }
  try {
    if (document.type() != simdjson::ondemand::json_type::object) {
      const std::size_t begin = text.find_first_not_of(kBlanks);
      throw Wrong(
          "expected a JSON object, got " +
          describe_token(std::string_view(text).substr(begin)));
    }
    use(document.get_object());
  } catch (const simdjson::simdjson_error& thrown) {
    throw Wrong(describe(thrown.error(), &document, text, first_byte));
  }
  const char* rest = nullptr;
  if (document.current_location().get(rest) == simdjson::SUCCESS) {
    throw Wrong(fmt::format(
        "byte {}: expected the end after the JSON object, got more",
        first_byte + static_cast<std::size_t>(rest - text.data())));
  }
}

void read_object(
    const std::filesystem::path& file,
    Faults& faults,
    const std::function<void(Object)>& use) {
  constexpr std::int64_t kMaxBytes = 0xFFFFFFFF - simdjson::SIMDJSON_PADDING;
  std::optional<std::string> text = read_text_or_fault(file, faults, kMaxBytes);
  if (!text) {
    return;
  }
  try {
    Parser().object(*text, use);
  } catch (const Wrong& wrong) {
    faults.add(file, "", wrong.what());
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
