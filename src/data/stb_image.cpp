// PNG, BMP and GIF through stb_image.
//
// What reaches stb_image is never the file itself. Its structure is walked and checked
// here, and a minimal file of the same format is written in memory that holds the
// pixels and nothing else: no chunk that is not needed, palettes of full length, one
// GIF frame that fills its screen. So the parts of stb_image that trust their input are
// not reached, and it cannot take more memory than the picture needs.

#include <fmt/format.h>
// Behind fmt: zlib for the checksums of PNG.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <memory>
#include <optional>

#include "image_decoders.hpp"
#include <zlib.h>

namespace {

/// The largest block that stb_image may ask for in this thread.
thread_local std::size_t g_largest_block = 0;

void* limited_malloc(std::size_t size) {
  return size <= g_largest_block ? std::malloc(size) : nullptr;
}

void* limited_realloc(void* block, std::size_t size) {
  return size <= g_largest_block ? std::realloc(block, size) : nullptr;
}

}  // namespace

#define STBI_MALLOC(size) limited_malloc(size)
#define STBI_REALLOC(block, size) limited_realloc(block, size)
#define STBI_FREE(block) std::free(block)
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_ONLY_GIF
#ifndef TRMML_HAVE_LIBJPEG
#  define STBI_ONLY_JPEG
#endif
// STATIC: a consumer may have its own copy of stb.
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#if defined(__GNUC__)
#  pragma GCC diagnostic push
#  pragma GCC diagnostic ignored "-Wunused-function"
#endif
#include <stb/stb_image.h>
#if defined(__GNUC__)
#  pragma GCC diagnostic pop
#endif

namespace trmml::data::detail {

namespace {

using Pixels = std::unique_ptr<stbi_uc, void (*)(void*)>;

std::uint8_t byte_at(std::string_view bytes, std::size_t i) {
  return static_cast<std::uint8_t>(bytes[i]);
}

void append_number(std::string& bytes, std::uint32_t value, int n, bool big_endian) {
  for (int i = 0; i < n; ++i) {
    const int shift = 8 * (big_endian ? n - 1 - i : i);
    bytes += static_cast<char>((value >> shift) & 0xFFU);
  }
}

/// What stb_image makes of `file`, a picture of `width` x `height`, as `channels` of 8
/// bits (16 if `wide`). `largest_block` bounds each of its allocations.
Pixels decode_with_stb(
    std::string_view file,
    int width,
    int height,
    int channels,
    bool wide,
    std::size_t largest_block) {
  constexpr std::size_t kTables = 1 << 18;  // its own bookkeeping
  if (file.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    throw BadImage("expected less than 2^31 bytes (convert it)");
  }
  g_largest_block = largest_block + kTables;
  const auto* bytes = reinterpret_cast<const stbi_uc*>(file.data());
  const int size = static_cast<int>(file.size());
  int w = 0;
  int h = 0;
  int n = 0;
  Pixels pixels(
      wide ? reinterpret_cast<stbi_uc*>(
                 stbi_load_16_from_memory(bytes, size, &w, &h, &n, channels))
           : stbi_load_from_memory(bytes, size, &w, &h, &n, channels),
      stbi_image_free);
  if (pixels == nullptr || w != width || h != height) {
    const char* reason = pixels == nullptr ? stbi_failure_reason() : "another size";
    throw BadImage(fmt::format(
        "the pixels cannot be decoded: {} ({})",
        reason == nullptr || *reason == '\0' ? "no reason given" : reason,
        kFetchAgain));
  }
  return pixels;
}

Image make_image(std::int64_t width, std::int64_t height) {
  Image image;
  image.width = static_cast<int>(width);
  image.height = static_cast<int>(height);
  return image;
}

void copy_rgb(const Pixels& pixels, Image& image) {
  const std::size_t size = static_cast<std::size_t>(image.width) *
                           static_cast<std::size_t>(image.height) * 3;
  image.rgb.assign(pixels.get(), pixels.get() + size);
}

// ---------------------------------------------------------------- PNG

constexpr std::size_t kPngSignature = 8;

struct PngHeader {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  int depth = 0;
  int colour = 0;
  int interlace = 0;

  int channels() const {
    return colour == 2 ? 3 : colour == 4 ? 2 : colour == 6 ? 4 : 1;
  }
};

PngHeader read_png_header(std::string_view data) {
  if (data.size() != 13) {
    throw BadImage(fmt::format("expected an IHDR of 13 bytes, got {}", data.size()));
  }
  ByteReader in(data, true);
  PngHeader header;
  header.width = in.u32();
  header.height = in.u32();
  header.depth = in.u8();
  header.colour = in.u8();
  const int compression = in.u8();
  const int filter = in.u8();
  header.interlace = in.u8();
  const int d = header.depth;
  const bool is_known_depth = d == 1 || d == 2 || d == 4 || d == 8 || d == 16;
  const bool is_kind = header.colour == 0   ? is_known_depth
                       : header.colour == 3 ? is_known_depth && d <= 8
                       : header.colour == 2 || header.colour == 4 || header.colour == 6
                           ? d == 8 || d == 16
                           : false;
  if (!is_kind || compression != 0 || filter != 0 || header.interlace > 1) {
    throw BadImage(fmt::format(
        "IHDR: expected a kind of picture that PNG has, got depth {}, colour type {}, "
        "compression {}, filter {}, interlace {} ({})",
        header.depth,
        header.colour,
        compression,
        filter,
        header.interlace,
        kFetchAgain));
  }
  return header;
}

/// Bytes of all rows before compression, each with its filter's byte.
std::uint64_t raw_bytes(const PngHeader& header) {
  const auto rows = [&header](std::uint64_t width, std::uint64_t height) {
    const auto bits = static_cast<std::uint64_t>(header.depth * header.channels());
    return width == 0 ? 0 : ((width * bits + 7) / 8 + 1) * height;
  };
  if (header.interlace == 0) {
    return rows(header.width, header.height);
  }
  constexpr std::uint64_t kPasses[7][4] = {
      {0, 0, 8, 8},
      {4, 0, 8, 8},
      {0, 4, 4, 8},
      {2, 0, 4, 4},
      {0, 2, 2, 4},
      {1, 0, 2, 2},
      {0, 1, 1, 2}};
  std::uint64_t sum = 0;
  for (const auto& [x, y, dx, dy] : kPasses) {
    sum += rows((header.width + dx - 1 - x) / dx, (header.height + dy - 1 - y) / dy);
  }
  return sum;
}

void append_png_chunk(std::string& file, std::string_view type, std::string_view data) {
  append_number(file, static_cast<std::uint32_t>(data.size()), 4, true);
  file += type;
  file += data;
  append_number(file, 0, 4, true);  // stb_image does not look at checksums
}

struct PngParts {
  std::string_view header;
  std::string palette;
  std::string pixels;  // still compressed
  std::string exif;
};

/// Walks over all chunks; checks the checksum of those that matter.
PngParts read_png_parts(std::string_view bytes, const ImageOptions& options) {
  PngParts parts;
  ByteReader in(bytes, true);
  in.take(kPngSignature);
  bool is_first = true;
  while (true) {
    const std::size_t place = in.position();
    const std::size_t length = in.u32();
    const std::string_view type = in.take(4);
    const std::string_view data = in.take(length);
    const std::uint32_t expected = in.u32();
    const auto fail = [&](std::string_view what) {
      throw BadImage(fmt::format("at byte {}: {} ({})", place, what, kFetchAgain));
    };
    if (std::any_of(type.begin(), type.end(), [](char c) {
          return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z');
        })) {
      fail("expected a chunk, got something else");
    }
    const bool is_critical = type[0] <= 'Z';
    const bool is_wanted = is_critical || (options.exif_orientation && type == "eXIf");
    const auto computed = static_cast<std::uint32_t>(crc32_z(
        0, reinterpret_cast<const Bytef*>(type.data()), type.size() + data.size()));
    if (is_wanted && computed != expected) {
      if (is_critical) {
        fail(fmt::format("the checksum of the chunk {} does not fit", type));
      }
      continue;
    }
    if (is_first != (type == "IHDR")) {
      fail(fmt::format(
          "expected the chunk IHDR first and once, got {}",
          is_first ? type : "another"));
    }
    is_first = false;
    if (type == "IHDR") {
      parts.header = data;
      const PngHeader header = read_png_header(data);
      check_size(header.width, header.height, options);
    } else if (type == "PLTE") {
      if (data.empty() || data.size() > 768 || data.size() % 3 != 0) {
        fail(fmt::format("expected 1 to 256 colours of 3 bytes, got {} bytes", length));
      }
      parts.palette = data;
    } else if (type == "IDAT") {
      parts.pixels += data;
    } else if (type == "eXIf" && is_wanted) {
      parts.exif = data;
    } else if (type == "IEND") {
      return parts;
    } else if (is_critical) {
      fail(fmt::format("the chunk {} is none that PNG has", type));
    }
  }
}

}  // namespace

Decoded decode_png(std::string_view bytes, const ImageOptions& options) {
  PngParts parts = read_png_parts(bytes, options);
  const PngHeader header = read_png_header(parts.header);
  constexpr int kPalette = 3;
  if (header.colour == kPalette && parts.palette.empty()) {
    throw BadImage(fmt::format("expected a palette, got none ({})", kFetchAgain));
  }
  // DEFLATE turns one byte into 1032 at the very most.
  const std::uint64_t raw = raw_bytes(header);
  if (raw / 1032 + 1 > parts.pixels.size()) {
    throw BadImage(fmt::format(
        "expected at least {} bytes for {} x {} pixels, got {} ({})",
        raw / 1032 + 1,
        header.width,
        header.height,
        parts.pixels.size(),
        kFetchAgain));
  }

  std::string file(bytes.substr(0, kPngSignature));
  append_png_chunk(file, "IHDR", parts.header);
  if (header.colour == kPalette) {
    parts.palette.resize(768, '\0');  // indices without a colour are black in Pillow
    append_png_chunk(file, "PLTE", parts.palette);
  }
  append_png_chunk(file, "IDAT", parts.pixels);
  append_png_chunk(file, "IEND", {});

  Decoded decoded;
  decoded.exif = std::move(parts.exif);
  decoded.image = make_image(header.width, header.height);
  // Twice the rows: some encoders let data follow the last one.
  const std::uint64_t pixel_bytes =
      std::uint64_t{header.width} * header.height * (header.depth == 16 ? 8 : 4);
  const auto largest = static_cast<std::size_t>(
      std::max({2 * raw, pixel_bytes, std::uint64_t{parts.pixels.size()}}));
  const bool is_grey16 = header.colour == 0 && header.depth == 16;
  const bool saturates = is_grey16 && options.grey16 == Grey16::kPillow;
  const Pixels pixels = decode_with_stb(
      file,
      decoded.image.width,
      decoded.image.height,
      saturates ? 1 : 3,
      saturates,
      largest);
  if (!saturates) {
    copy_rgb(pixels, decoded.image);
    return decoded;
  }
  const auto* values = reinterpret_cast<const stbi_us*>(pixels.get());
  const std::size_t n = static_cast<std::size_t>(header.width) * header.height;
  decoded.image.rgb.resize(3 * n);
  for (std::size_t i = 0; i < n; ++i) {
    const auto value = static_cast<std::uint8_t>(std::min<int>(values[i], 255));
    std::fill_n(
        decoded.image.rgb.begin() + static_cast<std::ptrdiff_t>(3 * i), 3, value);
  }
  return decoded;
}

// ---------------------------------------------------------------- BMP

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

// ---------------------------------------------------------------- GIF

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
    const stbi_uc* pixel = pixels.get() + 4 * i;
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

// ---------------------------------------------------------------- JPEG

#ifndef TRMML_HAVE_LIBJPEG

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

#endif

}  // namespace trmml::data::detail

#ifndef TRMML_HAVE_LIBJPEG
namespace trmml::data {

std::string jpeg_decoder() {
  return "stb_image";
}

}  // namespace trmml::data
#endif
