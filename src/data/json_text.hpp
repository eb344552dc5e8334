#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "faults.hpp"
#include <simdjson.h>

// Large JSON without a tree in memory: simdjson's on-demand parser with errors that say
// what was expected. `read_object` goes through a file in one pass, with its text and
// an index of its structure in memory (2.7 bytes a byte of COCO's files);
// `for_each_part` cuts a file into elements, so that the index is that of one of them.
// What is read from both is a simdjson value. Private to src/data.

namespace trmml::data::json {

using Value = simdjson::ondemand::value;
using Object = simdjson::ondemand::object;
using Array = simdjson::ondemand::array;

/// What is wrong, as one clause for `Faults::add`.
class Wrong : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The text of a value that was not read yet: a scalar as it stands, of arrays and
/// objects the bracket.
std::string_view token_of(Value& value);

/// "an array", "an object", or the scalar itself, shortened: for messages.
std::string describe_token(std::string_view token);

/// Whether `error` is about what a value is; otherwise the text is damaged.
bool is_other_kind(simdjson::error_code error);

/// The value as `T`: int64_t, std::string_view (valid until the parser's next text),
/// Object or Array. Throws `Wrong`: "expected `expected`, got an array", and
/// `simdjson::simdjson_error` when the text is damaged.
template <typename T>
T get(Value value, std::string_view expected) {
  const std::string_view token = value.raw_json_token();
  T got;
  const simdjson::error_code error = value.get(got);
  if (error == simdjson::SUCCESS) {
    return got;
  }
  if (is_other_kind(error)) {
    throw Wrong("expected " + std::string(expected) + ", got " + describe_token(token));
  }
  throw simdjson::simdjson_error(error);
}

/// Calls `use(key, value)` for each member of `object`; what `use` leaves unread is
/// skipped. A `Wrong` out of `use` leaves the object. Throws
/// `simdjson::simdjson_error` when the text is damaged.
template <typename Use>
void for_each_member(Object object, Use&& use) {
  for (simdjson::ondemand::field field : object) {
    const std::string_view key = field.unescaped_key();
    use(key, field.value());
  }
}

/// The same for the elements of an array.
template <typename Use>
void for_each_element(Array array, Use&& use) {
  for (Value element : array) {
    use(element);
  }
}

/// A parser for one text after the other.
class Parser {
 public:
  /// Calls `use(object)` for the object that `text` is, which gets room for simdjson's
  /// padding; `use` visits all of its members. Throws `Wrong` when the text is
  /// something else or damaged, with the byte where that was noticed, counted from
  /// `first_byte`, and what `use` throws. Values that `use` skips are checked for
  /// balanced brackets, closed strings and UTF-8 only.
  void object(
      std::string& text,
      const std::function<void(Object)>& use,
      std::size_t first_byte = 0);

 private:
  simdjson::ondemand::parser parser_;
};

/// Calls `use` with the object that `file` holds, as `Parser::object`. What cannot be
/// read, is larger than simdjson can handle (4 GiB), or is no such object is a fault.
void read_object(
    const std::filesystem::path& file,
    Faults& faults,
    const std::function<void(Object)>& use);

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
