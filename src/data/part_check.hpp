#pragma once

#include "trmml/data/part.hpp"

#include <c10/util/Exception.h>

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>

namespace trmml::data {

/// Throws `c10::ValueError` when `part` is not one of `parts`, which `reader` has.
inline void
check_part(std::string_view reader, Part part, std::initializer_list<Part> parts) {
  if (std::find(parts.begin(), parts.end(), part) != parts.end()) {
    return;
  }
  std::string names;
  for (const Part& one : parts) {
    const bool is_last = &one == parts.end() - 1;
    names += names.empty() ? "" : is_last ? " or " : ", ";
    names += to_string(one);
  }
  TORCH_CHECK_VALUE(
      false, reader, ": expected part ", names, ", got \"", to_string(part), "\"");
}

}  // namespace trmml::data
