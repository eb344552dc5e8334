#pragma once

#include <string>
#include <string_view>

namespace trmml::io {

/// `text` in double quotes, in ASCII, shortened: names come from outside.
std::string in_quotes(std::string_view text);

}  // namespace trmml::io
