#pragma once

#include "trmml/data/image.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

// What the decoders of PNG, BMP and GIF (and of JPEG, in a build without libjpeg)
// share; private to src/data.
//
// What reaches stb_image is never the file itself. Each decoder walks the file's
// structure, checks it, and writes a minimal file of the same format in memory that
// holds the pixels and nothing else: no chunk that is not needed, palettes of full
// length, one GIF frame that fills its screen. So the parts of stb_image that trust
// their input are not reached, and it cannot take more memory than the picture needs.

namespace trmml::data::detail {

using Pixels = std::unique_ptr<std::uint8_t, void (*)(void*)>;

/// What stb_image makes of `file`, a picture of `width` x `height`, as `channels` of 8
/// bits (16 if `wide`). `largest_block` bounds each of its allocations.
Pixels decode_with_stb(
    std::string_view file,
    int width,
    int height,
    int channels,
    bool wide,
    std::size_t largest_block);

/// A picture of this size without pixels.
Image make_image(std::int64_t width, std::int64_t height);

/// Moves `pixels`, RGB of 8 bits, into `image`.
void copy_rgb(const Pixels& pixels, Image& image);

inline std::uint8_t byte_at(std::string_view bytes, std::size_t i) {
  return static_cast<std::uint8_t>(bytes[i]);
}

/// Appends the lowest `n` bytes of `value`.
inline void
append_number(std::string& bytes, std::uint32_t value, int n, bool big_endian) {
  for (int i = 0; i < n; ++i) {
    const int shift = 8 * (big_endian ? n - 1 - i : i);
    bytes += static_cast<char>((value >> shift) & 0xFFU);
  }
}

}  // namespace trmml::data::detail
