#pragma once

#include <stdexcept>
#include <string>

namespace support {

/// What is wrong with an argument of `call`; "no error" for nothing.
template <typename Call>
std::string argument_error(Call&& call) {
  try {
    call();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace support
