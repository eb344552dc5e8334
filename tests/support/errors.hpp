#pragma once

#include "trmml/core/error.hpp"

#include <c10/util/Exception.h>

#include <string>
#include <type_traits>

namespace support {

/// The message of the error of LibTorch or trmml that `call` throws, without backtrace;
/// "no error" for none. Any other exception passes through.
template <typename Call>
std::string error_of(Call&& call) {
  try {
    call();
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  } catch (const trmml::Error& error) {
    return error.what();
  }
  return "no error";
}

/// The same for an `Error` only.
template <typename Error, typename Call>
std::string error_of(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    if constexpr (std::is_base_of_v<c10::Error, Error>) {
      return error.what_without_backtrace();
    } else {
      return error.what();
    }
  }
  return "no error";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace support
