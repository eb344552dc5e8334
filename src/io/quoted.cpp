#include "quoted.hpp"

#include <nlohmann/json.hpp>

#include <cstddef>

namespace trmml::io {

std::string in_quotes(std::string_view text) {
  constexpr size_t kShown = 120;
  const nlohmann::json json = std::string(text.substr(0, kShown));
  const std::string shown =
      json.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  return text.size() > kShown ? shown + "..." : shown;
}

}  // namespace trmml::io
