#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include <simdjson.h>

// Large JSON files, read in one pass. Private to src/data.

namespace trmml::data {

/// A JSON file whose values are read where they stand: the text and an index of its
/// structure are in memory, a tree is not (2.7 bytes a byte of COCO's files).
class JsonFile {
 public:
  /// Reads the text. Throws `DataError` when it cannot be read, is empty, UTF-16, or
  /// larger than simdjson can handle (4 GiB).
  explicit JsonFile(std::filesystem::path path);

  /// Calls `use` with the object that the file holds; `use` visits all of its fields.
  /// What is not JSON throws `DataError` with the byte where that was noticed. Values
  /// that `use` skips are checked for balanced brackets, closed strings and UTF-8 only.
  void visit(const std::function<void(simdjson::ondemand::object&)>& use);

 private:
  /// What `error` means for the user, with the byte where it was noticed.
  std::string describe(simdjson::error_code error);

  std::filesystem::path path_;
  std::string text_;
  simdjson::ondemand::parser parser_;
  simdjson::ondemand::document document_;
  bool is_indexed_ = false;  // document_ has a place
};

/// The text of a value that was not read yet: a scalar as it stands, of arrays and
/// objects the bracket.
std::string_view token_of(simdjson::ondemand::value& value);

/// "an array", "an object", or the scalar itself, shortened: for messages.
std::string describe_token(std::string_view token);

}  // namespace trmml::data
