// BMP: its header is checked here, its pixels go through stb_image.

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "image_decoders.hpp"
#include "stb_pixels.hpp"

namespace trmml::data::detail {

namespace {

struct BmpHeader {
  std::int64_t width = 0;
  std::int64_t height = 0;
  bool top_down = false;
  int bits = 0;
  std::size_t palette_at = 0;
  std::size_t colours = 0;
  std::size_t colour_bytes = 4;
  std::size_t pixels_at = 0;

  std::size_t row_bytes() const {
    return (static_cast<std::size_t>(width) * static_cast<std::size_t>(bits) + 7) / 8;
  }
};

/// Only masks that leave 32 bits as they are: blue, green, red, and something.
void check_bmp_masks(ByteReader& in) {
  const std::uint32_t red = in.u32();
  const std::uint32_t green = in.u32();
  const std::uint32_t blue = in.u32();
  if (red != 0xFF0000 || green != 0xFF00 || blue != 0xFF) {
    throw BadImage(fmt::format(
        "expected the colours in the order blue, green, red, got masks {:08X} {:08X} "
        "{:08X} (convert it to PNG)",
        red,
        green,
        blue));
  }
}

BmpHeader read_bmp_header(std::string_view bytes) {
  ByteReader in(bytes, false);
  in.take(10);
  BmpHeader header;
  header.pixels_at = in.u32();
  const std::uint32_t size = in.u32();
  std::uint32_t compression = 0;
  int planes = 0;
  if (size == 12) {
    header.width = in.u16();
    header.height = in.u16();
    planes = in.u16();
    header.bits = in.u16();
    header.colour_bytes = 3;
  } else if (
      size == 40 || size == 52 || size == 56 || size == 64 || size == 108 ||
      size == 124) {
    header.width = static_cast<std::int32_t>(in.u32());
    header.height = static_cast<std::int32_t>(in.u32());
    planes = in.u16();
    header.bits = in.u16();
    compression = in.u32();
    in.take(12);
    header.colours = in.u32();
    in.take(4);
  } else {
    throw BadImage(fmt::format("a header of {} bytes is none that BMP has", size));
  }
  header.top_down = header.height < 0;
  header.height = std::abs(header.height);
  const int b = header.bits;
  if (planes != 1 || (b != 1 && b != 4 && b != 8 && b != 24 && b != 32) ||
      (compression != 0 && (compression != 3 || b != 32))) {
    throw BadImage(fmt::format(
        "expected 1, 4, 8, 24 or 32 bits a pixel without compression, got {} bits, "
        "compression {} (convert it to PNG)",
        b,
        compression));
  }
  if (compression == 3) {
    check_bmp_masks(in);
  }
  header.palette_at = 14 + std::size_t{size};
  if (b <= 8 && header.colours == 0) {
    header.colours = std::size_t{1} << b;
  }
  return header;
}

}  // namespace

Decoded decode_bmp(std::string_view bytes, const ImageOptions& options) {
  const BmpHeader header = read_bmp_header(bytes);
  check_size(header.width, header.height, options);
  const std::size_t row = header.row_bytes();
  const std::size_t stride = (row + 3) / 4 * 4;
  const auto height = static_cast<std::size_t>(header.height);
  const bool has_palette = header.bits <= 8;
  const std::size_t palette_bytes =
      has_palette ? header.colours * header.colour_bytes : 0;
  const std::size_t pixel_bytes = stride * (height - 1) + row;
  if (header.colours > 256 && has_palette) {
    throw BadImage(fmt::format("expected at most 256 colours, got {}", header.colours));
  }
  if (header.pixels_at < header.palette_at + palette_bytes ||
      header.pixels_at > bytes.size() ||
      bytes.size() - header.pixels_at < pixel_bytes) {
    throw BadImage(fmt::format(
        "expected {} bytes of palette and {} of pixels, which begin at byte {}, got {} "
        "bytes in all ({})",
        palette_bytes,
        pixel_bytes,
        header.pixels_at,
        bytes.size(),
        kFetchAgain));
  }

  constexpr std::uint32_t kHeaders = 14 + 40;
  const std::uint32_t begin = kHeaders + (has_palette ? 1024 : 0);
  std::string file = "BM";
  file.reserve(begin + stride * height);
  append_number(file, 0, 4, false);  // stb_image does not look at it
  append_number(file, 0, 4, false);
  append_number(file, begin, 4, false);
  append_number(file, 40, 4, false);
  append_number(file, static_cast<std::uint32_t>(header.width), 4, false);
  const auto signed_height =
      static_cast<std::int32_t>(header.top_down ? -header.height : header.height);
  append_number(file, static_cast<std::uint32_t>(signed_height), 4, false);
  append_number(file, 1, 2, false);
  append_number(file, static_cast<std::uint32_t>(header.bits), 2, false);
  file.append(24, '\0');
  if (has_palette) {
    for (std::size_t i = 0; i < header.colours; ++i) {
      file += bytes.substr(header.palette_at + i * header.colour_bytes, 3);
      file += '\0';
    }
    file.resize(begin, '\0');
  }
  file += bytes.substr(header.pixels_at, pixel_bytes);
  file.resize(begin + stride * height, '\0');

  Decoded decoded;
  decoded.image = make_image(header.width, header.height);
  const std::size_t largest = 4 * static_cast<std::size_t>(header.width) * height;
  copy_rgb(
      decode_with_stb(
          file, decoded.image.width, decoded.image.height, 3, false, largest),
      decoded.image);
  return decoded;
}

}  // namespace trmml::data::detail
