#include "trmml/data/image.hpp"

#include "trmml/core/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <new>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "../io/text.hpp"
#include "image_decoders.hpp"

namespace trmml::data {

namespace {

using Decoder = detail::Decoded (*)(std::string_view, const ImageOptions&);

struct Format {
  std::string_view name;
  Decoder decode = nullptr;  // none: known, but not read here
};

/// What the first bytes of a file say it is.
Format format_of(std::string_view bytes) {
  using namespace std::string_view_literals;
  const auto begins_with = [bytes](std::string_view magic) {
    return bytes.substr(0, magic.size()) == magic;
  };
  if (begins_with("\xFF\xD8\xFF"sv)) {
    return {"JPEG", detail::decode_jpeg};
  }
  if (begins_with("\x89PNG\r\n\x1A\n"sv)) {
    return {"PNG", detail::decode_png};
  }
  if (begins_with("GIF87a"sv) || begins_with("GIF89a"sv)) {
    return {"GIF", detail::decode_gif};
  }
  if (begins_with("BM"sv)) {
    return {"BMP", detail::decode_bmp};
  }
  if (begins_with("RIFF"sv) && bytes.size() >= 12 && bytes.substr(8, 4) == "WEBP"sv) {
    return {"WebP"};
  }
  if (begins_with("II*\0"sv) || begins_with("MM\0*"sv)) {
    return {"TIFF"};
  }
  if (bytes.size() >= 12 && bytes.substr(4, 4) == "ftyp"sv) {
    return {"HEIF or AVIF"};
  }
  if (begins_with("<"sv) || begins_with("\xEF\xBB\xBF<"sv)) {
    return {"HTML or SVG"};
  }
  return {""};
}

/// The first bytes as they are, for a message: `3C 68 74 6D`.
std::string first_bytes(std::string_view bytes) {
  std::string text;
  for (const char c : bytes.substr(0, 8)) {
    text +=
        fmt::format("{}{:02X}", text.empty() ? "" : " ", static_cast<unsigned char>(c));
  }
  return text;
}

void check_options(const ImageOptions& options) {
  if (options.max_pixels <= 0 || options.max_file_bytes <= 0) {
    throw std::invalid_argument(fmt::format(
        "ImageOptions: expected max_pixels and max_file_bytes of at least 1, got {} "
        "and {}",
        options.max_pixels,
        options.max_file_bytes));
  }
}

void check_file_bytes(
    std::uintmax_t bytes,
    const ImageOptions& options,
    std::string_view name) {
  if (bytes > static_cast<std::uintmax_t>(options.max_file_bytes)) {
    throw DataError(fmt::format(
        "{}: expected at most {} bytes, got {} (is it a picture? if so, raise "
        "ImageOptions::max_file_bytes)",
        name,
        options.max_file_bytes,
        bytes));
  }
  if (bytes == 0) {
    throw DataError(fmt::format(
        "{}: expected a picture, got an empty file (fetch it again)", name));
  }
}

}  // namespace

namespace detail {

void check_size(std::int64_t width, std::int64_t height, const ImageOptions& options) {
  if (width <= 0 || height <= 0) {
    throw BadImage(fmt::format(
        "expected sides of at least 1 pixel, got {} x {} ({})",
        width,
        height,
        kFetchAgain));
  }
  if (width > options.max_pixels / height) {
    throw BadImage(fmt::format(
        "expected at most {} pixels, got {} x {} (if that is its true size, raise "
        "ImageOptions::max_pixels)",
        options.max_pixels,
        width,
        height));
  }
}

int exif_orientation(std::string_view exif) {
  const std::string_view order = exif.substr(0, 2);
  if (order != "II" && order != "MM") {
    return 1;
  }
  constexpr std::uint32_t kTag = 0x0112;
  int orientation = 1;
  try {
    ByteReader header(exif, order == "MM");
    header.take(2);
    const bool is_tiff = header.u16() == 42;
    const std::size_t offset = header.u32();
    if (!is_tiff || offset > exif.size()) {
      return 1;
    }
    ByteReader directory(exif.substr(offset), order == "MM");
    const int entries = directory.u16();
    for (int i = 0; i < entries; ++i) {
      const std::uint32_t tag = directory.u16();
      const std::uint32_t type = directory.u16();
      const std::uint32_t count = directory.u32();
      ByteReader value(directory.take(4), order == "MM");
      // 16 or 32 bits; Pillow takes no other type for an orientation either.
      if (tag == kTag && count == 1 && (type == 3 || type == 4)) {
        const std::uint32_t number = value.number(type == 3 ? 2 : 4);
        orientation = number >= 1 && number <= 8 ? static_cast<int>(number) : 1;
      }
    }
  } catch (const BadImage&) {
    // Cut off: what was read so far counts.
  }
  return orientation;
}

Image upright(Image image, int orientation) {
  if (orientation <= 1 || orientation > 8) {
    return image;
  }
  // Bit by bit: which axes are exchanged and which then run backwards.
  const bool exchanges = orientation >= 5;
  const bool backwards_x =
      orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool backwards_y =
      orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const auto width = static_cast<std::size_t>(image.width);
  const auto height = static_cast<std::size_t>(image.height);
  Image turned;
  turned.width = exchanges ? image.height : image.width;
  turned.height = exchanges ? image.width : image.height;
  turned.rgb.resize(image.rgb.size());
  std::uint8_t* out = turned.rgb.data();
  for (std::size_t y = 0; y < static_cast<std::size_t>(turned.height); ++y) {
    for (std::size_t x = 0; x < static_cast<std::size_t>(turned.width); ++x) {
      std::size_t from_x = exchanges ? y : x;
      std::size_t from_y = exchanges ? x : y;
      from_x = backwards_x ? width - 1 - from_x : from_x;
      from_y = backwards_y ? height - 1 - from_y : from_y;
      const std::uint8_t* pixel = image.rgb.data() + 3 * (from_y * width + from_x);
      out = std::copy(pixel, pixel + 3, out);
    }
  }
  return turned;
}

}  // namespace detail

Image decode_image(
    std::string_view bytes,
    const ImageOptions& options,
    std::string_view name) {
  check_options(options);
  check_file_bytes(bytes.size(), options, name);
  const Format format = format_of(bytes);
  if (format.decode == nullptr) {
    const std::string got = format.name.empty()
                                ? fmt::format("the bytes {}", first_bytes(bytes))
                                : std::string(format.name);
    throw DataError(fmt::format(
        "{}: expected a JPEG, PNG, BMP or GIF file, got {} (convert it, or leave it "
        "out)",
        name,
        got));
  }
  try {
    detail::Decoded decoded = format.decode(bytes, options);
    return options.exif_orientation
               ? detail::upright(
                     std::move(decoded.image), detail::exif_orientation(decoded.exif))
               : std::move(decoded.image);
  } catch (const detail::BadImage& error) {
    throw DataError(fmt::format("{}: {}: {}", name, format.name, error.what()));
  } catch (const std::bad_alloc&) {
    throw DataError(fmt::format(
        "{}: {}: not enough memory for the picture (lower ImageOptions::max_pixels to "
        "refuse such pictures at once)",
        name,
        format.name));
  }
}

Image read_image(const std::filesystem::path& path, const ImageOptions& options) {
  check_options(options);
  const std::string name = path.string();
  const auto fail = [&name](std::string_view what) {
    throw DataError(fmt::format("{}: {}", name, what));
  };
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) {
    fail("no such file");
  }
  if (!std::filesystem::is_regular_file(status)) {
    fail("expected a file, got something else");
  }
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (error) {
    fail("cannot read the file: " + error.message());
  }
  check_file_bytes(size, options, name);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(
      std::fopen(path.c_str(), "rb"), std::fclose);
  if (file == nullptr) {
    fail("cannot open the file: " + std::generic_category().message(errno));
  }
  std::string bytes(static_cast<std::size_t>(size), '\0');
  bytes.resize(std::fread(bytes.data(), 1, bytes.size(), file.get()));
  if (std::ferror(file.get()) != 0) {
    fail("cannot read the file: " + std::generic_category().message(errno));
  }
  return decode_image(bytes, options, name);
}

std::vector<std::string> list_images(const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  if (!fs::is_directory(folder)) {
    throw DataError(fmt::format("{}: expected a folder of pictures", folder.string()));
  }
  std::vector<std::string> found;
  try {
    for (auto entry = fs::recursive_directory_iterator(folder);
         entry != fs::recursive_directory_iterator();
         ++entry) {
      const std::string name = entry->path().filename().string();
      if (name[0] == '.') {
        entry.disable_recursion_pending();
        continue;
      }
      const std::string ending = io::ascii_lower(entry->path().extension().string());
      const bool is_picture =
          std::find(std::begin(kImageExtensions), std::end(kImageExtensions), ending) !=
          std::end(kImageExtensions);
      if (is_picture && entry->is_regular_file()) {
        found.push_back(entry->path().lexically_relative(folder).generic_string());
      }
    }
  } catch (const fs::filesystem_error& error) {
    throw DataError(fmt::format(
        "{}: cannot read the folder: {}", folder.string(), error.code().message()));
  }
  std::sort(found.begin(), found.end());
  return found;
}

void check_image(const Image& image, std::string_view where) {
  const std::int64_t pixels = std::int64_t{image.width} * image.height;
  if (image.width <= 0 || image.height <= 0 || image.rgb.size() % 3 != 0 ||
      static_cast<std::int64_t>(image.rgb.size() / 3) != pixels) {
    throw std::invalid_argument(fmt::format(
        "{}: expected a picture of positive sides and 3 bytes a pixel, got {} x {} and "
        "{} bytes",
        where,
        image.width,
        image.height,
        image.rgb.size()));
  }
}

}  // namespace trmml::data
