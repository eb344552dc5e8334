#pragma once

#include "trmml/core/error.hpp"

#include <c10/util/Exception.h>

#include <string>

namespace support {

/// The message of the error that `call` throws, without backtrace; "" for none.
template <typename Call>
std::string message_of(Call&& call) {
  try {
    call();
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  } catch (const trmml::Error& error) {
    return error.what();
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace support
