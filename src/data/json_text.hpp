#pragma once

#include "trmml/data/faults.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <simdjson.h>

// Large JSON without a tree in memory: simdjson's on-demand parser with errors that say
// what was expected. Private to src/data.

namespace trmml::data::json {

using Value = simdjson::ondemand::value;
using Object = simdjson::ondemand::object;
using Array = simdjson::ondemand::array;

/// What is wrong, as one clause for `Faults::add`.
class Wrong : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The clause for text that is no JSON.
std::string damaged(simdjson::error_code error);

/// "a string", "an array", ..., and of a number its digits.
std::string kind_of(Value& value);

/// The value as `T`: int64_t, std::string_view (valid until the parser's next text),
/// Object or Array. Throws `Wrong`: "expected `expected`, got a string".
template <typename T>
T get(simdjson::simdjson_result<Value> result, std::string_view expected) {
  Value value;
  if (const auto error = result.get(value)) {
    throw Wrong(damaged(error));
  }
  T got;
  if (const auto error = value.get(got)) {
    const bool other_kind = error == simdjson::INCORRECT_TYPE ||
                            error == simdjson::NUMBER_ERROR ||
                            error == simdjson::NUMBER_OUT_OF_RANGE ||
                            std::string_view(simdjson::error_message(error))
                                .starts_with("BIGINT");  // since simdjson 3.2
    throw Wrong(
        other_kind ? "expected " + std::string(expected) + ", got " + kind_of(value)
                   : damaged(error));
  }
  return got;
}

/// Calls `use(key, value)` for each member of `object`; what `use` leaves unread is
/// skipped. A `Wrong` out of `use` leaves the object. Throws `Wrong` when the text is
/// damaged.
template <typename Use>
void for_each_member(Object object, Use&& use) {
  for (auto field : object) {
    std::string_view key;
    if (const auto error = field.unescaped_key().get(key)) {
      throw Wrong(damaged(error));
    }
    use(key, field.value());
  }
}

/// The same for the elements of an array.
template <typename Use>
void for_each_element(Array array, Use&& use) {
  for (auto element : array) {
    use(element);
  }
}

/// A parser for one text after the other.
class Parser {
 public:
  /// Calls `use(object)` for the object that `text` is. Throws `Wrong` when it is
  /// something else or damaged, and what `use` throws.
  void object(std::string_view text, const std::function<void(Object)>& use);

 private:
  simdjson::ondemand::parser parser_;
  std::string padded_;
};

/// Calls `use(element, number)`, counted from 1, for each element of the array that
/// `text` is, without looking into them: memory does not grow with the array, and a
/// parser needs room for one element only. A text that is no array, ends early or goes
/// on behind it is a fault.
void for_each_part(
    const std::filesystem::path& file,
    std::string_view text,
    Faults& faults,
    const std::function<void(std::string_view element, std::int64_t number)>& use);

}  // namespace trmml::data::json
