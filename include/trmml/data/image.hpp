#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

// No LibTorch here: pictures as bytes. `clip/preprocess.hpp` makes tensors of them.

namespace trmml::data {

/// A picture of 8-bit RGB: [height, width, 3], row by row from the top left.
struct Image {
  int width = 0;
  int height = 0;
  std::vector<std::uint8_t> rgb;  ///< 3 * width * height bytes
};

/// A rectangle of whole pixels.
struct Box {
  int left = 0;
  int top = 0;
  int width = 0;
  int height = 0;
};

/// What becomes of a PNG of one channel of 16 bits, whose values do not fit 8.
enum class Grey16 {
  kPillow,    ///< min(value, 255), as Pillow: nearly always a white picture
  kHighByte,  ///< value / 256, as every other picture of 16 bits
};

/// Options for `decode_image` and `read_image`; all "ours" but where noted.
///
/// Example:
/// ```
/// data::ImageOptions options;
/// options.exif_orientation = true;
/// ```
struct ImageOptions {
  /// Turn the picture as its EXIF data (of JPEG, or the eXIf chunk of PNG) say, like
  /// Pillow's `ImageOps.exif_transpose`. CLIP and the multi-label code of others do
  /// not. EXIF data that cannot be understood turn nothing.
  bool exif_orientation = false;

  /// 16-bit grey PNG.
  Grey16 grey16 = Grey16::kPillow;

  /// Largest width * height, > 0. The default is where Pillow refuses a picture as a
  /// decompression bomb.
  std::int64_t max_pixels = 178'956'970;

  /// Largest file, in bytes, > 0.
  std::int64_t max_file_bytes = std::int64_t{256} << 20;
};

/// Decodes a JPEG, PNG, BMP or GIF file that is already in memory; what it is, its
/// first bytes say.
///
/// The result is that of Pillow's `Image.open(...).convert("RGB")` to the bit:
/// - JPEG: baseline and progressive; RGB, grey, CMYK and YCCK, taken as Adobe
///   writes them (inverted), without colour profile. Through libjpeg-turbo, which
///   Pillow uses too. (In a build without it stb_image serves, baseline and progressive
///   only: then values may differ by a few units. `jpeg_decoder()` says which.)
/// - PNG: 1 to 16 bits, grey, RGB, palette, interlaced. Alpha is dropped, not blended.
///   The high byte of 16 bits counts, but for `Grey16`.
/// - BMP: 1, 4, 8, 24 and 32 bits without compression.
/// - GIF: the first picture; what it leaves free has the transparent colour, or the
///   first of the palette.
///
/// Pillow itself is doubtful in four places. 16-bit grey is cut off at 255 (see
/// `Grey16`). A palette's index without a colour is black. Transparent pixels show the
/// colour that is stored beneath them, whatever it is. And CLIP's own preprocessing
/// converts to RGB only after it has resized: pictures with a palette or of 1 bit are
/// then resized without interpolation, and those with alpha weighted by it. Data sets'
/// loaders (and Hugging Face's) convert first, as is done here; for RGB and grey
/// pictures, which nearly all are, both ways give the same bits.
///
/// A picture that is cut off, damaged, or too large is an error, never a black or
/// half-grey one. That is stricter than Pillow: whatever libjpeg warns of, if pixels
/// may be wrong, and every checksum of a PNG's pixels count. Sizes are checked against
/// the limits, and where the format allows against the size of the file, before memory
/// is taken for pixels.
///
/// Throws `DataError`: `name`, format, what is wrong (with its place), and a hint.
/// `std::invalid_argument` for limits that are not positive. Threads may call it at the
/// same time.
///
/// Example:
/// ```
/// const data::Image image = data::decode_image(bytes, {}, "upload 17");
/// ```
Image decode_image(
    std::string_view bytes,
    const ImageOptions& options = {},
    std::string_view name = "picture");

/// Reads and decodes a file; see `decode_image`. Messages begin with the path.
///
/// Example:
/// ```
/// const data::Image image = data::read_image("photos/000001.jpg");
/// ```
Image read_image(const std::filesystem::path& path, const ImageOptions& options = {});

/// What decodes JPEG files in this build: "libjpeg-turbo 2.1.5", or "stb_image".
std::string jpeg_decoder();

/// Endings of files that `list_images` takes, in lower case.
inline constexpr std::string_view kImageExtensions[] =
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif"};

/// Pictures (by their ending, in any case) below `folder`, at any depth, sorted by the
/// bytes of their paths relative to `folder`; those paths, with '/'. Links to folders
/// are not followed; names that begin with a dot are passed over.
///
/// Throws `DataError` when `folder` is none or cannot be read.
std::vector<std::string> list_images(const std::filesystem::path& folder);

/// How `resize` weighs pixels.
enum class Filter {
  kBilinear,  ///< Pillow's BILINEAR: triangle over 2 pixels
  kBicubic,   ///< Pillow's BICUBIC: cubic with a = -0.5 over 4 pixels
};

/// Which direction `resize` takes first. What is rounded, and cut off at 0 and 255, in
/// between makes a difference: mostly of one unit, in some bytes.
enum class PassOrder {
  kPillow13,   ///< columns if they lose more than twice the pixels that rows lose
  kRowsFirst,  ///< rows always, as Pillow up to 12 (and the features published with it)
};

/// Resizes with antialiasing, equal to Pillow's `Image.resize` to the bit.
///
/// Each output pixel is the weighted mean of input pixels around its centre, with the
/// filter stretched by the factor of the reduction; in two passes, along rows and along
/// columns, both in fixed point (22 bits) and rounded to 8 bits. A direction whose size
/// does not change is left alone.
///
/// `width` and `height` must be positive and the result at most 2^31 - 1 bytes, or
/// `std::invalid_argument` is thrown. For one picture one thread.
///
/// Example:
/// ```
/// const data::Image small = data::resize(image, 448, 448, data::Filter::kBicubic);
/// ```
Image resize(
    const Image& image,
    int width,
    int height,
    Filter filter = Filter::kBicubic,
    PassOrder order = PassOrder::kPillow13);

/// `resize(crop(image, box), ...)` without the copy between: nothing outside of `box`
/// is looked at. Throws `std::invalid_argument` also unless `box` is not empty and lies
/// inside.
Image resize_box(
    const Image& image,
    const Box& box,
    int width,
    int height,
    Filter filter = Filter::kBicubic,
    PassOrder order = PassOrder::kPillow13);

/// The rectangle of `width` x `height` pixels whose top left corner is at (`left`,
/// `top`). Throws `std::invalid_argument` unless it is not empty and lies inside.
Image crop(const Image& image, int left, int top, int width, int height);

/// The bytes channel by channel, [3, height, width], to `planes`.
void to_planes(const Image& image, std::uint8_t* planes);

/// What every byte of red, green and blue becomes.
using ByteTables = std::array<std::array<float, 256>, 3>;

/// Channel by channel through tables: planes[c, y, x] = tables[c][byte].
void to_planes(const Image& image, const ByteTables& tables, float* planes);

/// tables[c][x] = (x / 255 - mean[c]) / std[c], in this order in fp32: torchvision's
/// `ToTensor` and `Normalize`.
ByteTables normalize_tables(
    const std::array<float, 3>& mean,
    const std::array<float, 3>& std);

/// Throws `std::invalid_argument`, beginning with `where`, unless both sides are
/// positive and `rgb` has 3 * width * height bytes.
void check_image(const Image& image, std::string_view where);

}  // namespace trmml::data
