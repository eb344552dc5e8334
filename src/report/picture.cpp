#include "trmml/report/picture.hpp"

#include "trmml/io/atomic_file.hpp"

// STATIC: a consumer may have its own copy of stb.
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <fmt/format.h>
#include <stb/stb_image_write.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>

namespace trmml::report {

namespace {

constexpr std::int64_t kMaxPixels = (std::int64_t{1} << 30) / 3;
constexpr std::int64_t kMaxExactPixels = 65536;

void append_bytes(void* context, void* data, int size) {
  static_cast<std::string*>(context)->append(
      static_cast<const char*>(data), static_cast<std::size_t>(size));
}

}  // namespace

void check_picture(const Picture& picture, std::string_view where) {
  if (std::int64_t{picture.width} * picture.height > kMaxPixels) {
    throw std::invalid_argument(fmt::format(
        "{}: expected a picture of at most 2^30 bytes, got {} x {}",
        where,
        picture.width,
        picture.height));
  }
  data::check_image(picture, where);
}

std::string encode_png(const Picture& picture) {
  check_picture(picture, "encode_png");
  std::string bytes;
  const int written = stbi_write_png_to_func(
      append_bytes,
      &bytes,
      picture.width,
      picture.height,
      3,
      picture.rgb.data(),
      3 * picture.width);
  if (written == 0) {
    throw std::runtime_error("encode_png: out of memory");
  }
  return bytes;
}

std::string encode_jpeg(const Picture& picture, int quality) {
  check_picture(picture, "encode_jpeg");
  if (quality < 1 || quality > 100) {
    throw std::invalid_argument(
        fmt::format("encode_jpeg: expected a quality from 1 to 100, got {}", quality));
  }
  std::string bytes;
  const int written = stbi_write_jpg_to_func(
      append_bytes,
      &bytes,
      picture.width,
      picture.height,
      3,
      picture.rgb.data(),
      quality);
  if (written == 0) {
    throw std::runtime_error("encode_jpeg: out of memory");
  }
  return bytes;
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      const unsigned char byte =
          j < count ? static_cast<unsigned char>(bytes[i + j]) : 0;
      group = (group << 8) | byte;
    }
    for (std::size_t j = 0; j < 4; ++j) {
      text += j <= count ? kDigits[(group >> (18 - 6 * j)) & 63U] : '=';
    }
  }
  return text;
}

std::string png_base64(const Picture& picture) {
  return base64(encode_png(picture));
}

std::string data_uri(const Picture& picture) {
  check_picture(picture, "data_uri");
  const std::int64_t pixels = std::int64_t{1} * picture.width * picture.height;
  return pixels <= kMaxExactPixels
             ? "data:image/png;base64," + png_base64(picture)
             : "data:image/jpeg;base64," + base64(encode_jpeg(picture));
}

void write_png(const std::filesystem::path& path, const Picture& picture) {
  io::write_file_atomically(path, encode_png(picture));
}

}  // namespace trmml::report
