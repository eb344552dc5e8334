#pragma once

#include "trmml/data/label_code.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

// Labels that are written as text. Private to src/data.

namespace trmml::data {

/// What `text` ("1", "+1", "0" or "-1") says in `code`, as a value of `LabelState`;
/// nothing when the code has no such value.
std::optional<int8_t> state_of(std::string_view text, LabelCode code);

/// The values of `code`, for messages: "-1 absent, 0 unknown or 1 present".
std::string_view values_of(LabelCode code);

}  // namespace trmml::data
