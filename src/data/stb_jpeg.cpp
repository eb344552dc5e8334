// JPEG through stb_image, for a build without libjpeg-turbo; with it this file is empty
// and jpeg.cpp reads JPEG.
#ifndef TRMML_HAVE_LIBJPEG

#  include <fmt/format.h>

#  include <algorithm>
#  include <cstddef>
#  include <cstdint>
#  include <string>
#  include <string_view>
#  include <utility>

#  include "image_decoders.hpp"
#  include "stb_pixels.hpp"

namespace trmml::data::detail {

namespace {

struct JpegParts {
  std::int64_t width = 0;
  std::int64_t height = 0;
  std::string exif;
};

/// stb_image writes what a Huffman table has, however much that is.
void check_huffman_tables(std::string_view data) {
  ByteReader in(data, true);
  while (in.left() > 0) {
    const int kind = in.u8();
    std::size_t codes = 0;
    std::size_t room = 1;  // codes that the lengths so far leave free
    for (int length = 1; length <= 16; ++length) {
      const std::size_t here = in.u8();
      room *= 2;
      if (here > room) {
        throw BadImage(fmt::format("a Huffman table cannot be ({})", kFetchAgain));
      }
      room -= here;
      codes += here;
    }
    if ((kind & 0xEF) > 3 || codes > 256) {
      throw BadImage(fmt::format("a Huffman table cannot be ({})", kFetchAgain));
    }
    in.take(codes);
  }
}

/// Walks over all segments to the end marker, without which the file is cut off.
JpegParts read_jpeg_parts(std::string_view bytes) {
  constexpr int kEnd = 0xD9;
  constexpr int kScan = 0xDA;
  constexpr int kHuffman = 0xC4;
  constexpr int kApp1 = 0xE1;
  constexpr std::string_view kExif("Exif\0\0", 6);
  JpegParts parts;
  ByteReader in(bytes, true);
  in.take(2);
  bool is_in_scan = false;
  while (true) {
    int marker = in.u8();
    if (marker != 0xFF) {
      continue;
    }
    while (marker == 0xFF) {
      marker = in.u8();
    }
    const bool stands_alone = marker == 0 || (marker >= 0xD0 && marker <= 0xD7);
    if (stands_alone) {
      continue;
    }
    if (marker == kEnd) {
      if (parts.width == 0 || !is_in_scan) {
        throw BadImage(fmt::format("there are no pixels ({})", kFetchAgain));
      }
      return parts;
    }
    const std::size_t length = in.u16();
    const std::string_view data = in.take(std::max<std::size_t>(length, 2) - 2);
    const bool is_frame = marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 &&
                          marker != 0xC8 && marker != 0xCC;
    if (is_frame && data.size() >= 5) {
      ByteReader frame(data, true);
      frame.take(1);
      parts.height = frame.u16();
      parts.width = frame.u16();
    } else if (marker == kHuffman) {
      check_huffman_tables(data);
    } else if (marker == kApp1 && data.substr(0, 6) == kExif) {
      parts.exif += data.substr(6);
    }
    is_in_scan = is_in_scan || marker == kScan;
  }
}

}  // namespace

Decoded decode_jpeg(std::string_view bytes, const ImageOptions& options) {
  JpegParts parts = read_jpeg_parts(bytes);
  check_size(parts.width, parts.height, options);
  Decoded decoded;
  decoded.exif = std::move(parts.exif);
  decoded.image = make_image(parts.width, parts.height);
  // Coefficients and channels in blocks of up to 32 x 32 pixels, of 2 bytes.
  const auto padded = [](std::int64_t side) { return (side + 63) / 32 * 32; };
  const auto largest =
      static_cast<std::size_t>(8 * padded(parts.width) * padded(parts.height));
  copy_rgb(
      decode_with_stb(
          bytes, decoded.image.width, decoded.image.height, 3, false, largest),
      decoded.image);
  return decoded;
}

}  // namespace trmml::data::detail

namespace trmml::data {

std::string jpeg_decoder() {
  return "stb_image";
}

}  // namespace trmml::data

#endif
