#pragma once

#include "trmml/data/image.hpp"

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

// The decoders behind `decode_image`, one a format; private to src/data.

namespace trmml::data::detail {

/// A picture cannot be decoded; `decode_image` puts its name before the reason.
class BadImage : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The hint for a file that ends early or was changed on its way.
inline constexpr std::string_view kFetchAgain =
    "the file is cut off or damaged: fetch it again";

/// Throws `BadImage` unless both sides are positive and the picture is not larger than
/// `options.max_pixels`.
void check_size(std::int64_t width, std::int64_t height, const ImageOptions& options);

/// A decoded picture and the EXIF data that came with it: a TIFF header and what
/// follows, or nothing. Filled only if `options.exif_orientation`.
struct Decoded {
  Image image;
  std::string exif;
};

Decoded decode_jpeg(std::string_view bytes, const ImageOptions& options);
Decoded decode_png(std::string_view bytes, const ImageOptions& options);
Decoded decode_bmp(std::string_view bytes, const ImageOptions& options);
Decoded decode_gif(std::string_view bytes, const ImageOptions& options);

/// The orientation, 1 to 8, that stands in the first directory of `exif`; 1 when there
/// is none or the data make no sense. No other directory is looked at.
int exif_orientation(std::string_view exif);

/// Turns and mirrors a picture so that it stands upright; `orientation` from 1 to 8.
Image upright(Image image, int orientation);

/// Reads whole numbers out of bytes; every read is checked.
class ByteReader {
 public:
  ByteReader(std::string_view bytes, bool big_endian)
      : bytes_(bytes), big_endian_(big_endian) {}

  std::size_t position() const { return position_; }
  std::size_t left() const { return bytes_.size() - position_; }

  /// The next `n` bytes; throws `BadImage` when the file ends before.
  std::string_view take(std::size_t n) {
    if (n > left()) {
      throw BadImage(
          std::string("the file ends at byte ") + std::to_string(bytes_.size()) +
          ", in the middle of the picture (" + std::string(kFetchAgain) + ")");
    }
    const std::string_view part = bytes_.substr(position_, n);
    position_ += n;
    return part;
  }

  std::uint32_t number(std::size_t n) {
    const std::string_view part = take(n);
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const auto byte = static_cast<unsigned char>(part[big_endian_ ? i : n - 1 - i]);
      value = (value << 8) | byte;
    }
    return value;
  }
  std::uint8_t u8() { return static_cast<std::uint8_t>(number(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }
  std::uint32_t u32() { return number(4); }

 private:
  std::string_view bytes_;
  std::size_t position_ = 0;
  bool big_endian_;
};

}  // namespace trmml::data::detail
