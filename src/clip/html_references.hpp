#pragma once

#include <string>
#include <string_view>

// Character references such as `&amp;` and `&#38;`. Private to `src/clip`.

namespace trmml::clip {

/// `html.unescape` of Python: names of HTML 5, the old ones without `;` too, numbers as
/// browsers read them.
std::u32string unescape_html(std::u32string_view text);

/// `unescape_html` of ftfy: with `;` only, and some names in capitals.
std::u32string unescape_clear_html(std::u32string_view text);

}  // namespace trmml::clip
