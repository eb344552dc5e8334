#pragma once

#include "trmml/data/image.hpp"

#include <filesystem>
#include <string>
#include <string_view>

namespace trmml::report {

/// 8-bit RGB.
using Picture = data::Image;

/// `data::check_image`, and at most 2^30 bytes.
void check_picture(const Picture& picture, std::string_view where);

/// The bytes of a PNG file that holds `picture`.
std::string encode_png(const Picture& picture);

/// The bytes of a baseline JPEG file; `quality` from 1 to 100.
std::string encode_jpeg(const Picture& picture, int quality = 90);

/// RFC 4648 base 64 with padding, on one line.
std::string base64(std::string_view bytes);

/// The PNG of `picture` in base 64.
std::string png_base64(const Picture& picture);

/// `data:image/...;base64,...` for the `src` of an HTML image: PNG up to 65,536 pixels
/// (exact), JPEG of quality 90 above (a tenth of the size).
std::string data_uri(const Picture& picture);

/// Writes a PNG file, atomically. Throws `trmml::WriteError` if that fails.
void write_png(const std::filesystem::path& path, const Picture& picture);

}  // namespace trmml::report
