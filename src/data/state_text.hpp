#pragma once

#include <fmt/format.h>

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

// Numbers and places in text files of labels. Private to src/data.

namespace trmml::data {

/// All of `text` as a number, or nothing.
inline std::optional<int64_t> whole_number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value)
                                                                  : std::nullopt;
}

/// -1, 0 or 1, or nothing.
inline std::optional<int8_t> state_of(std::string_view text) {
  const std::optional<int64_t> value = whole_number(text);
  return value && *value >= -1 && *value <= 1
             ? std::optional(static_cast<int8_t>(*value))
             : std::nullopt;
}

inline std::string line_place(int64_t number) {
  return fmt::format("line {}", number);
}

}  // namespace trmml::data
