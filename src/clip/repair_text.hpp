#pragma once

#include <string>
#include <string_view>

// Repair of damaged text, step for step what ftfy 6.3.1 does. Private to `src/clip`.

namespace trmml::clip {

/// `ftfy.fix_text`, for text without surrogates: segment for segment, until nothing
/// changes (100 rounds at most, where ftfy goes on without end).
std::u32string repair_text(std::u32string text);

}  // namespace trmml::clip
