// PNG: its chunks are walked here, its pixels go through stb_image.

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "image_decoders.hpp"
#include "stb_pixels.hpp"
#include <zlib.h>

namespace trmml::data::detail {

namespace {

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
  const auto* values = reinterpret_cast<const std::uint16_t*>(pixels.get());
  const std::size_t n = static_cast<std::size_t>(header.width) * header.height;
  decoded.image.rgb.resize(3 * n);
  for (std::size_t i = 0; i < n; ++i) {
    const auto value = static_cast<std::uint8_t>(std::min<int>(values[i], 255));
    std::fill_n(
        decoded.image.rgb.begin() + static_cast<std::ptrdiff_t>(3 * i), 3, value);
  }
  return decoded;
}

}  // namespace trmml::data::detail
