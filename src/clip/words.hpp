#pragma once

#include <functional>
#include <string_view>

// A text as CLIP's pattern sees it; private to src/clip.

namespace trmml::clip {

/// Calls `visit` with the UTF-8 bytes of each word of `text`, cleaned as `clean_text`
/// does. The bytes live until `visit` returns.
void for_each_word(
    std::string_view text,
    const std::function<void(std::string_view word)>& visit);

}  // namespace trmml::clip
