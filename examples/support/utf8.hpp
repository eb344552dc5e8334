#pragma once

#include "trmml/io/safetensors.hpp"

#include <nlohmann/json.hpp>

#include <string>

namespace program {

/// What a safetensors file takes: bytes that are no UTF-8, as paths may have them,
/// become U+FFFD.
inline trmml::io::Metadata as_utf8(trmml::io::Metadata metadata) {
  for (auto& [key, value] : metadata) {
    const std::string json = nlohmann::json(value).dump(
        -1, ' ', false, nlohmann::json::error_handler_t::replace);
    value = nlohmann::json::parse(json).get<std::string>();
  }
  return metadata;
}

}  // namespace program
