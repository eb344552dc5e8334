// GIF: its blocks are walked to the first frame, whose pixels go through stb_image.

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "image_decoders.hpp"
#include "stb_pixels.hpp"

namespace trmml::data::detail {

namespace {

/// 256 colours of 3 bytes, as Pillow sees a colour table: one whose colours are the
/// greys of their own numbers is none.
std::string full_palette(std::string_view table) {
  bool is_ramp = true;
  for (std::size_t i = 0; i < table.size() && is_ramp; ++i) {
    is_ramp = byte_at(table, i) == i / 3;
  }
  std::string palette(is_ramp ? std::string_view() : table);
  for (std::size_t i = palette.size(); i < 768; ++i) {
    palette += static_cast<char>(is_ramp ? i / 3 : 0);
  }
  return palette;
}

/// The blocks of data that follow, each behind its length, with the empty last one.
std::string_view take_blocks(ByteReader& in, std::string_view bytes) {
  const std::size_t begin = in.position();
  while (const std::size_t length = in.u8()) {
    in.take(length);
  }
  return bytes.substr(begin, in.position() - begin);
}

struct GifFrame {
  std::int64_t left = 0;
  std::int64_t top = 0;
  std::int64_t width = 0;
  std::int64_t height = 0;
  bool interlaced = false;
  std::string palette;
  std::string_view data;  // with the size of the codes in front
  std::size_t background = 0;
  std::int64_t screen_width = 0;
  std::int64_t screen_height = 0;
};

std::string_view take_colours(ByteReader& in, int flags) {
  return in.take(std::size_t{3} << ((flags & 7) + 1));
}

/// Walks to the first picture.
GifFrame read_gif_frame(std::string_view bytes) {
  constexpr int kHasColours = 0x80;
  constexpr int kInterlaced = 0x40;
  ByteReader in(bytes, false);
  in.take(6);
  GifFrame frame;
  frame.screen_width = in.u16();
  frame.screen_height = in.u16();
  const int flags = in.u8();
  in.take(2);
  std::string_view colours = (flags & kHasColours) != 0 ? take_colours(in, flags) : "";
  std::optional<std::size_t> transparent;
  while (true) {
    const std::size_t place = in.position();
    const int kind = in.u8();
    if (kind == '!') {
      const int extension = in.u8();
      const std::string_view blocks = take_blocks(in, bytes);
      const bool is_control = extension == 0xF9 && byte_at(blocks, 0) >= 4;
      if (is_control && (byte_at(blocks, 1) & 1) != 0) {
        transparent = byte_at(blocks, 4);
      }
    } else if (kind == ',') {
      frame.left = in.u16();
      frame.top = in.u16();
      frame.width = in.u16();
      frame.height = in.u16();
      const int frame_flags = in.u8();
      if ((frame_flags & kHasColours) != 0) {
        colours = take_colours(in, frame_flags);
      }
      frame.interlaced = (frame_flags & kInterlaced) != 0;
      frame.palette = full_palette(colours);
      frame.background = transparent.value_or(0);
      const std::size_t begin = in.position();
      in.take(1);
      take_blocks(in, bytes);
      frame.data = bytes.substr(begin, in.position() - begin);
      return frame;
    } else if (kind != 0) {  // padding
      throw BadImage(fmt::format(
          "at byte {}: expected a picture, got {} ({})",
          place,
          kind == ';' ? "the end of the file" : "something else",
          kFetchAgain));
    }
  }
}

}  // namespace

Decoded decode_gif(std::string_view bytes, const ImageOptions& options) {
  const GifFrame frame = read_gif_frame(bytes);
  // A picture that leaves the screen makes it larger.
  const std::int64_t width = std::max(frame.screen_width, frame.left + frame.width);
  const std::int64_t height = std::max(frame.screen_height, frame.top + frame.height);
  check_size(width, height, options);
  check_size(frame.width, frame.height, options);
  // 12 bits stand for 4096 pixels at the very most.
  const std::int64_t pixels_here = frame.width * frame.height;
  if (pixels_here / 4096 > static_cast<std::int64_t>(frame.data.size())) {
    throw BadImage(fmt::format(
        "expected at least {} bytes for {} x {} pixels, got {} ({})",
        pixels_here / 4096,
        frame.width,
        frame.height,
        frame.data.size(),
        kFetchAgain));
  }

  std::string file = "GIF89a";
  const auto append_size = [&file, &frame] {
    append_number(file, static_cast<std::uint32_t>(frame.width), 2, false);
    append_number(file, static_cast<std::uint32_t>(frame.height), 2, false);
  };
  append_size();
  file += "\xF7";  // 256 colours follow
  file.append(2, '\0');
  file += frame.palette;
  file += ',';
  file.append(4, '\0');
  append_size();
  file += frame.interlaced ? '\x40' : '\0';
  file += frame.data;
  file += ';';
  const auto n = static_cast<std::size_t>(pixels_here);
  const Pixels pixels = decode_with_stb(
      file,
      static_cast<int>(frame.width),
      static_cast<int>(frame.height),
      4,
      false,
      4 * n);

  Decoded decoded;
  decoded.image = make_image(width, height);
  std::vector<std::uint8_t>& rgb = decoded.image.rgb;
  rgb.resize(static_cast<std::size_t>(width * height) * 3);
  for (std::size_t i = 0; i < rgb.size(); ++i) {
    rgb[i] = byte_at(frame.palette, 3 * frame.background + i % 3);
  }
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint8_t* pixel = pixels.get() + 4 * i;
    const auto y = i / static_cast<std::size_t>(frame.width);
    if (pixel[3] == 0) {
      throw BadImage(fmt::format(
          "the data end in row {} of {} ({})",
          frame.interlaced ? "some" : std::to_string(y),
          frame.height,
          kFetchAgain));
    }
    const auto x = i % static_cast<std::size_t>(frame.width);
    const std::size_t at = static_cast<std::size_t>(frame.top) + y;
    const std::size_t place =
        at * static_cast<std::size_t>(width) + static_cast<std::size_t>(frame.left) + x;
    std::copy(pixel, pixel + 3, rgb.begin() + static_cast<std::ptrdiff_t>(3 * place));
  }
  return decoded;
}

}  // namespace trmml::data::detail
