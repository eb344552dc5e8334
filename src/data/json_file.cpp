#include "json_file.hpp"

#include "trmml/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <utility>

#include "../io/quoted.hpp"
#include "text_file.hpp"

namespace trmml::data {

namespace {

constexpr std::int64_t kMaxBytes = 0xFFFFFFFF - simdjson::SIMDJSON_PADDING;

}  // namespace

JsonFile::JsonFile(std::filesystem::path path)
    : path_(std::move(path)), text_(read_text(path_, kMaxBytes)) {
  text_.reserve(text_.size() + simdjson::SIMDJSON_PADDING);
}

void JsonFile::visit(const std::function<void(simdjson::ondemand::object&)>& use) {
  using simdjson::ondemand::json_type;
  const auto error =
      parser_.iterate(simdjson::padded_string_view(text_)).get(document_);
  is_indexed_ = error == simdjson::SUCCESS;
  if (!is_indexed_) {
    throw DataError(path_.string() + ": " + describe(error));
  }
  try {
    const json_type type = document_.type();
    if (type != json_type::object) {
      throw DataError(fmt::format(
          "{}: expected a JSON object, got {}",
          path_.string(),
          type == json_type::array ? "an array" : "a single value"));
    }
    simdjson::ondemand::object object = document_.get_object();
    use(object);
  } catch (const simdjson::simdjson_error& thrown) {
    throw DataError(path_.string() + ": " + describe(thrown.error()));
  }
  const char* rest = nullptr;
  if (document_.current_location().get(rest) == simdjson::SUCCESS) {
    throw DataError(fmt::format(
        "{}: byte {}: expected the end of the file after the JSON object, got more",
        path_.string(),
        rest - text_.data()));
  }
}

std::string JsonFile::describe(simdjson::error_code error) {
  switch (error) {
    case simdjson::EMPTY:
      return "expected JSON, got an empty file";
    case simdjson::MEMALLOC:
      return fmt::format("no memory for JSON of {} bytes", text_.size());
    case simdjson::UTF8_ERROR:
      return "expected UTF-8, got other bytes (convert it: iconv -t UTF-8)";
    default:
      break;
  }
  bool ends_early = error == simdjson::UNCLOSED_STRING ||
                    error == simdjson::INCOMPLETE_ARRAY_OR_OBJECT;
  std::string place;
  if (is_indexed_) {
    const char* found = nullptr;
    if (document_.current_location().get(found) != simdjson::SUCCESS ||
        found >= text_.data() + text_.size()) {
      ends_early = true;
    } else {
      place = fmt::format("byte {} or shortly before: ", found - text_.data());
    }
  }
  if (ends_early) {
    return fmt::format(
        "byte {}: expected the rest of the JSON, got the end of the file (it is cut "
        "off, or a quote or a bracket is missing: fetch it again)",
        text_.size());
  }
  return fmt::format(
      "{}not JSON: {} (the file begins with {})",
      place,
      simdjson::error_message(error),
      io::in_quotes(std::string_view(text_).substr(0, 24)));
}

std::string_view token_of(simdjson::ondemand::value& value) {
  const std::string_view token = value.raw_json_token();
  return token.substr(0, token.find_last_not_of(" \t\r\n") + 1);
}

std::string describe_token(std::string_view token) {
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
  constexpr size_t kShown = 40;
  if (!is_plain) {
    return io::in_quotes(token);
  }
  return std::string(token.substr(0, kShown)) + (token.size() > kShown ? "..." : "");
}

}  // namespace trmml::data
