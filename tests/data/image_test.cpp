#include "trmml/data/image.hpp"

#include "trmml/core/error.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <random>
#include <set>
#include <string>

#include "reference/image.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/pictures.hpp"
#include "support/temporary_folder.hpp"
#include "support/tensors.hpp"
#include <zlib.h>

using namespace trmml::data;
using support::contains;
using support::crc;
using support::error_of;
using trmml::DataError;

namespace {

const std::filesystem::path kFolder = TRMML_TEST_PICTURES;

/// tests/reference/image.py: noise.
Image noise(int width, int height, uint32_t seed) {
  Image image{width, height, {}};
  image.rgb.resize(static_cast<size_t>(3 * width * height));
  for (uint8_t& value : image.rgb) {
    seed = seed * 1664525U + 1013904223U;
    value = static_cast<uint8_t>(seed >> 24);
  }
  return image;
}

bool is_jpeg(const std::string& file) {
  return file.size() > 4 && file.substr(file.size() - 4) == ".jpg";
}

/// Without libjpeg-turbo JPEG values may differ a little from Pillow's.
bool is_exact(const std::string& file) {
  return !is_jpeg(file) || jpeg_decoder() != "stb_image";
}

std::string bytes_of(const std::string& file) {
  std::string bytes = support::read_bytes(kFolder / file);
  REQUIRE_FALSE(bytes.empty());
  return bytes;
}

std::string decoding_message(const std::string& bytes) {
  return error_of<DataError>([&] { decode_image(bytes, {}, "x"); });
}

bool same(const Image& a, const Image& b) {
  return a.width == b.width && a.height == b.height && a.rgb == b.rgb;
}

void put(std::string& bytes, size_t at, uint32_t value, int n, bool big_endian) {
  for (int i = 0; i < n; ++i) {
    const int shift = 8 * (big_endian ? n - 1 - i : i);
    bytes[at + static_cast<size_t>(i)] = static_cast<char>((value >> shift) & 0xFFU);
  }
}

/// `png` with another size and a checksum that fits.
std::string png_of_size(std::string png, uint32_t width, uint32_t height) {
  put(png, 16, width, 4, true);
  put(png, 20, height, 4, true);
  const auto* type = reinterpret_cast<const Bytef*>(png.data() + 12);
  put(png, 29, static_cast<uint32_t>(crc32(0, type, 17)), 4, true);
  return png;
}

/// `jpeg` with another size in its frame header.
std::string jpeg_of_size(std::string jpeg, uint32_t width, uint32_t height) {
  size_t at = jpeg.find("\xFF\xC0");
  at = at == std::string::npos ? jpeg.find("\xFF\xC2") : at;
  put(jpeg, at + 5, height, 2, true);
  put(jpeg, at + 7, width, 2, true);
  return jpeg;
}

}  // namespace

// ---------------------------------------------------------------- decoding

TEST_CASE("decode_image: every kind of file as Pillow decodes it") {
  REQUIRE(reference::kPictures.size() > 90);
  for (const reference::Picture& expected : reference::kPictures) {
    CAPTURE(expected.file, jpeg_decoder());
    const Image image = read_image(kFolder / expected.file);
    CHECK(image.width == expected.width);
    CHECK(image.height == expected.height);
    CHECK(image.rgb.size() == static_cast<size_t>(3 * image.width * image.height));
    if (is_exact(expected.file)) {
      CHECK(crc(image) == expected.crc);
    }
  }
}

TEST_CASE("decode_image: EXIF turns the picture when asked, as exif_transpose does") {
  ImageOptions options;
  options.exif_orientation = true;
  int turned = 0;
  for (const reference::Picture& expected : reference::kPictures) {
    CAPTURE(expected.file);
    const Image image = read_image(kFolder / expected.file, options);
    CHECK(image.width == expected.upright_width);
    CHECK(image.height == expected.upright_height);
    if (is_exact(expected.file)) {
      CHECK(crc(image) == expected.upright_crc);
    }
    turned += expected.crc == expected.upright_crc ? 0 : 1;
  }
  CHECK(turned == 6);  // 2, 3, 5, 6, 8 of JPEG and a PNG; not 4 and 7, of one byte
}

TEST_CASE("decode_image: EXIF that makes no sense turns nothing") {
  ImageOptions options;
  options.exif_orientation = true;
  const std::string good = bytes_of("exif-6.png");
  const size_t at = good.find("eXIf");
  REQUIRE(at != std::string::npos);
  const Image plain = decode_image(good);
  const size_t length = static_cast<unsigned char>(good[at - 1]);
  const auto with = [&](size_t place, int value) {
    std::string bytes = good;
    bytes[at + 4 + place] = static_cast<char>(value);
    const auto* type = reinterpret_cast<const Bytef*>(bytes.data() + at);
    const auto checksum = crc32(0, type, static_cast<uInt>(length + 4));
    put(bytes, at + 4 + length, static_cast<uint32_t>(checksum), 4, true);
    return decode_image(bytes, options);
  };
  CHECK_FALSE(same(with(0, 'I'), plain));   // as it was: turned
  CHECK(same(with(0, 'X'), plain));         // no byte order
  CHECK(same(with(2, 43), plain));          // no TIFF
  CHECK(same(with(7, 0x7F), plain));        // a directory behind the end
  CHECK(same(with(18, 9), plain));          // no orientation
  CHECK(same(with(14, 2), plain));          // two of them
  CHECK(same(with(12, 5), plain));          // a fraction
  CHECK(same(with(12, 1), plain));          // a byte: Pillow wants 16 or 32 bits
  CHECK_FALSE(same(with(9, 0xFF), plain));  // 65281 entries: those that are there count
  std::string unchecked = good;             // a checksum that does not fit
  unchecked[at + 4 + 18] = 3;
  CHECK(same(decode_image(unchecked, options), plain));
}

TEST_CASE(
    "decode_image: 16-bit grey is cut off as Pillow does, or keeps its high byte") {
  // One pixel: 0x0102, stored (level 0) so that its bytes can be seen.
  std::string png("\x89PNG\r\n\x1A\n", 8);
  const auto chunk = [&png](const std::string& type, const std::string& data) {
    std::string part(4, '\0');
    put(part, 0, static_cast<uint32_t>(data.size()), 4, true);
    const std::string body = type + data;
    const auto* begin = reinterpret_cast<const Bytef*>(body.data());
    std::string checksum(4, '\0');
    const auto n = static_cast<uInt>(body.size());
    put(checksum, 0, static_cast<uint32_t>(crc32(0, begin, n)), 4, true);
    png += part + body + checksum;
  };
  chunk("IHDR", std::string("\0\0\0\1\0\0\0\1\x10\0\0\0\0", 13));
  chunk(
      "IDAT",
      std::string("\x78\x01\x01\x03\x00\xFC\xFF\x00\x01\x02\x00\x06\x00\x04", 14));
  chunk("IEND", "");
  CHECK(decode_image(png).rgb == std::vector<uint8_t>{255, 255, 255});
  ImageOptions options;
  options.grey16 = Grey16::kHighByte;
  CHECK(decode_image(png, options).rgb == std::vector<uint8_t>{1, 1, 1});
}

// ---------------------------------------------------------------- bad files

TEST_CASE("decode_image: a file that ends early is an error, wherever it ends") {
  for (const reference::Picture& picture : reference::kPictures) {
    const std::string bytes = bytes_of(picture.file);
    const Image whole = decode_image(bytes);
    for (size_t n = 0; n < bytes.size(); n += n + 24 < bytes.size() ? 5 : 1) {
      CAPTURE(picture.file, n, bytes.size());
      bool is_right = false;
      try {
        // What does not matter may be missing: bytes behind the end.
        is_right = same(decode_image(bytes.substr(0, n)), whole);
      } catch (const DataError& error) {
        is_right = std::string(error.what()).substr(0, 9) == "picture: ";
      }
      CHECK(is_right);
    }
  }
}

TEST_CASE("decode_image: half of the pixels missing, by name") {
  const auto cut = [](const std::string& file, size_t bytes) {
    const std::string whole = bytes_of(file);
    return decoding_message(whole.substr(0, whole.size() - bytes));
  };
  if (jpeg_decoder() != "stb_image") {
    const std::string message = cut("quality-100.jpg", 300);
    CHECK(contains(message, "x: JPEG: at row "));
    CHECK(contains(message, " of 15, byte "));
    CHECK(contains(message, "Premature end of JPEG file"));
    CHECK(contains(message, "(the file is cut off or damaged: fetch it again)"));
    CHECK(contains(cut("cmyk-420-progressive.jpg", 40), "Premature end"));
  }
  CHECK(contains(cut("rgb-8.png", 100), "x: PNG: the file ends at byte "));
  CHECK(contains(cut("rgb.bmp", 10), "x: BMP: expected 0 bytes of palette and 199 of"));
  CHECK(contains(cut("plain.gif", 10), "x: GIF: the file ends at byte "));
}

TEST_CASE("decode_image: damaged pixels of PNG are noticed by their checksum") {
  const std::string good = bytes_of("rgba-8.png");
  const size_t begin = good.find("IDAT");
  for (size_t i = begin; i + 16 < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x10);
    CAPTURE(i);
    CHECK(decoding_message(bad) != "no error");
  }
  std::string bad = good;
  bad[begin + 6] = static_cast<char>(bad[begin + 6] ^ 1);
  CHECK(
      decoding_message(bad) ==
      "x: PNG: at byte 33: the checksum of the chunk IDAT does not fit (the file is "
      "cut off or damaged: fetch it again)");
}

TEST_CASE("decode_image: GIF whose data end early") {
  // 4 x 4 pixels of which the codes give one.
  const std::string gif(
      "GIF87a\x04\0\x04\0\x80\0\0\0\0\0\xFF\xFF\xFF,\0\0\0\0\x04\0\x04\0\0\x02\x02\x0C"
      "\x0A\0;",
      36);
  CHECK(
      decoding_message(gif) ==
      "x: GIF: the data end in row 0 of 4 (the file is cut off or damaged: fetch it "
      "again)");
}

TEST_CASE("decode_image: what is no picture, or one of another format") {
  using namespace std::string_literals;
  CHECK(
      decoding_message("") ==
      "x: expected a picture, got an empty file (fetch it again)");
  CHECK(
      decoding_message(std::string(20, '\0')) ==
      "x: expected a JPEG, PNG, BMP or GIF file, got the bytes 00 00 00 00 00 00 00 00 "
      "(convert it, or leave it out)");
  CHECK(contains(decoding_message("RIFF\1\2\3\4WEBPVP8 "), "got WebP (convert it"));
  CHECK(contains(decoding_message("RIFF"), "got the bytes 52 49 46 46 (convert it"));
  CHECK(contains(decoding_message("II*\0 "s), "got TIFF"));
  CHECK(contains(decoding_message("<html>404</html>"), "got HTML or SVG"));
  CHECK(contains(
      decoding_message("\0\0\0\x18"
                       "ftypheic"s),
      "got HEIF or AVIF"));
  CHECK(contains(decoding_message("\xFF\xD8"), "got the bytes FF D8"));
  for (const char* magic : {"\xFF\xD8\xFF", "\x89PNG\r\n\x1A\n", "GIF89a", "BM"}) {
    CHECK(decoding_message(magic) != "no error");
    CHECK(decoding_message(magic + std::string(500, '\0')) != "no error");
    CHECK(decoding_message(magic + std::string(500, '\xFF')) != "no error");
  }
}

TEST_CASE("decode_image: sizes that a file claims but cannot hold") {
  const std::string png = bytes_of("rgb-8.png");
  CHECK(
      decoding_message(png_of_size(png, 2147483647, 2147483647)) ==
      "x: PNG: expected at most 178956970 pixels, got 2147483647 x 2147483647 (if that "
      "is its true size, raise ImageOptions::max_pixels)");
  CHECK(contains(
      decoding_message(png_of_size(png, 13000, 13000)),
      "x: PNG: expected at least 491292 bytes for 13000 x 13000 pixels, got "));
  CHECK(
      contains(decoding_message(png_of_size(png, 0, 5)), "sides of at least 1 pixel"));
  CHECK(decoding_message(png_of_size(png, 13, 12)) != "no error");  // a row too many

  const std::string jpeg = bytes_of("rgb-420-progressive.jpg");
  CHECK(contains(
      decoding_message(jpeg_of_size(jpeg, 65500, 65500)), "at most 178956970"));
  CHECK(decoding_message(jpeg_of_size(jpeg, 13000, 13000)) != "no error");
  if (jpeg_decoder() != "stb_image") {
    CHECK(contains(
        decoding_message(jpeg_of_size(jpeg, 13000, 13000)),
        "x: JPEG: expected at least 330078 bytes for 13000 x 13000 pixels, got "));
  }
  CHECK(decoding_message(jpeg_of_size(jpeg, 0, 7)) != "no error");
  CHECK(decoding_message(jpeg_of_size(jpeg, 7, 0)) != "no error");

  std::string gif = bytes_of("plain.gif");
  put(gif, 6, 65535, 2, false);
  put(gif, 8, 65535, 2, false);
  CHECK(contains(decoding_message(gif), "x: GIF: expected at most 178956970 pixels"));
  std::string bmp = bytes_of("rgb.bmp");
  put(bmp, 18, 0x7FFFFFFF, 4, false);
  CHECK(contains(decoding_message(bmp), "x: BMP: expected at most 178956970 pixels"));
  put(bmp, 18, 0x80000000U, 4, false);
  CHECK(contains(decoding_message(bmp), "x: BMP: expected sides of at least 1 pixel"));
  put(bmp, 18, 13, 4, false);
  put(bmp, 22, 0x80000000U, 4, false);
  CHECK(contains(decoding_message(bmp), "x: BMP: expected at most 178956970 pixels"));
}

TEST_CASE("decode_image: limits") {
  const std::string png = bytes_of("rgb-8.png");  // 13 x 11
  ImageOptions options;
  options.max_pixels = 143;
  CHECK(decode_image(png, options).width == 13);
  options.max_pixels = 142;
  CHECK(
      error_of<DataError>([&] { decode_image(png, options, "x"); }) ==
      "x: PNG: expected at most 142 pixels, got 13 x 11 (if that is its true size, "
      "raise ImageOptions::max_pixels)");
  options = {};
  options.max_file_bytes = 100;
  CHECK(
      error_of<DataError>([&] { read_image(kFolder / "rgb-8.png", options); }) ==
      (kFolder / "rgb-8.png").string() + ": expected at most 100 bytes, got " +
          std::to_string(png.size()) +
          " (is it a picture? if so, raise ImageOptions::max_file_bytes)");
  options.max_pixels = 0;
  CHECK(
      error_of<std::invalid_argument>([&] { decode_image(png, options); }) ==
      "ImageOptions: expected max_pixels and max_file_bytes of at least 1, got 0 and "
      "100");
}

TEST_CASE("decode_image: kinds of BMP and PNG that are not read say so") {
  std::string bmp = bytes_of("rgb.bmp");
  put(bmp, 28, 16, 2, false);
  CHECK(
      decoding_message(bmp) ==
      "x: BMP: expected 1, 4, 8, 24 or 32 bits a pixel without compression, got 16 "
      "bits, compression 0 (convert it to PNG)");
  bmp = bytes_of("palette.bmp");
  put(bmp, 30, 1, 4, false);
  CHECK(contains(decoding_message(bmp), "got 8 bits, compression 1"));
  bmp = bytes_of("palette.bmp");
  put(bmp, 46, 70000, 4, false);
  CHECK(contains(decoding_message(bmp), "expected at most 256 colours, got 70000"));
  put(bmp, 14, 41, 4, false);
  CHECK(contains(decoding_message(bmp), "a header of 41 bytes is none that BMP has"));

  std::string png = bytes_of("palette-8.png");
  const size_t palette = png.find("PLTE");
  png[palette + 3] = 'F';
  CHECK(contains(decoding_message(png), "checksum of the chunk PLTF"));
  png = bytes_of("rgb-8.png");
  png[25] = 7;
  const auto* type = reinterpret_cast<const Bytef*>(png.data() + 12);
  put(png, 29, static_cast<uint32_t>(crc32(0, type, 17)), 4, true);
  CHECK(
      contains(decoding_message(png), "IHDR: expected a kind of picture that PNG has"));
}

TEST_CASE("decode_image: damaged files of every kind end in a picture or a message") {
  // TRMML_TEST_MUTATIONS: how many; a run under the sanitizers wants more.
  const char* wanted = std::getenv("TRMML_TEST_MUTATIONS");
  const int mutations = wanted == nullptr ? 2000 : std::atoi(wanted);
  std::mt19937 random(5);
  const auto below = [&random](size_t n) { return random() % n; };
  ImageOptions options;
  options.max_pixels = 1 << 20;
  std::vector<std::string> files;
  for (const reference::Picture& picture : reference::kPictures) {
    files.push_back(bytes_of(picture.file));
  }
  int pictures = 0;
  int errors = 0;
  for (int i = 0; i < mutations; ++i) {
    std::string bytes = files[below(files.size())];
    const size_t edits = 1 + below(4);
    for (size_t k = 0; k < edits; ++k) {
      const size_t at = below(bytes.size());
      switch (below(4)) {
        case 0:
          bytes[at] = static_cast<char>(random() & 0xFFU);
          break;
        case 1:
          bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
          break;
        case 2:
          bytes.insert(at, bytes.substr(below(bytes.size()), below(40)));
          break;
        default:
          bytes.erase(at, std::min(below(20), bytes.size() - 1 - at));
      }
    }
    // So that the checksums of PNG do not stop every one of them.
    if (bytes.size() > 40 && bytes[1] == 'P' && below(2) == 0) {
      for (size_t at = 8; at + 12 <= bytes.size();) {
        size_t length = 0;
        for (size_t k = 0; k < 4; ++k) {
          length = length << 8 | static_cast<unsigned char>(bytes[at + k]);
        }
        if (length > bytes.size() - at - 12) {
          break;
        }
        const auto* type = reinterpret_cast<const Bytef*>(bytes.data() + at + 4);
        const auto checksum = crc32(0, type, static_cast<uInt>(length + 4));
        put(bytes, at + 8 + length, static_cast<uint32_t>(checksum), 4, true);
        at += length + 12;
      }
    }
    options.exif_orientation = below(2) == 0;
    try {
      const Image image = decode_image(bytes, options);
      pictures += image.rgb.size() == size_t{3} * static_cast<size_t>(image.width) *
                                          static_cast<size_t>(image.height);
    } catch (const DataError& error) {
      errors += std::string(error.what()).substr(0, 9) == "picture: ";
    }
  }
  CHECK(pictures + errors == mutations);
  CHECK(pictures > 0);
  CHECK(errors > 0);
}

// ---------------------------------------------------------------- files

TEST_CASE("read_image: the path stands in front of every message") {
  const support::TemporaryFolder folder;
  const std::string missing = (folder / "none.jpg").string();
  CHECK(
      error_of<DataError>([&] { read_image(missing); }) == missing + ": no such file");
  CHECK(error_of<DataError>([&] {
          read_image(folder.path());
        }) == folder.path().string() + ": expected a file, got something else");
  const std::string cut = (folder / "cut.png").string();
  support::write_bytes(cut, bytes_of("rgb-8.png").substr(0, 60));
  CHECK(
      error_of<DataError>([&] { read_image(cut); }) ==
      cut +
          ": PNG: the file ends at byte 60, in the middle of the picture (the file is "
          "cut off or damaged: fetch it again)");
}

TEST_CASE("list_images: pictures below a folder in the order of their paths") {
  const support::TemporaryFolder folder;
  std::filesystem::create_directories(folder / "b/c");
  std::filesystem::create_directories(folder / ".hidden");
  for (const char* name :
       {"z.png",
        "b/2.JPG",
        "b/10.jpeg",
        "b/c/1.bmp",
        "a.gif",
        "notes.txt",
        ".x.jpg",
        ".hidden/y.jpg",
        "B.jfif"}) {
    support::write_bytes(folder / name, "x");
  }
  CHECK(
      list_images(folder.path()) ==
      std::vector<std::string>{
          "B.jfif", "a.gif", "b/10.jpeg", "b/2.JPG", "b/c/1.bmp", "z.png"});
  const std::string missing = (folder / "none").string();
  CHECK(error_of<DataError>([&] {
          list_images(missing);
        }) == missing + ": expected a folder of pictures");
}

// ---------------------------------------------------------------- resizing

TEST_CASE("resize: Pillow's bytes, up and down, odd sizes, sides of one pixel") {
  REQUIRE(reference::kResizes.size() > 200);
  int differ = 0;
  for (const reference::Resize& c : reference::kResizes) {
    CAPTURE(c.width, c.height, c.to_width, c.to_height);
    const Image image = noise(c.width, c.height, c.seed);
    const Image now = resize(image, c.to_width, c.to_height, c.filter);
    CHECK(now.width == c.to_width);
    CHECK(now.height == c.to_height);
    CHECK(crc(now) == c.crc);
    const Image before =
        resize(image, c.to_width, c.to_height, c.filter, PassOrder::kRowsFirst);
    CHECK(crc(before) == c.rows_first_crc);
    differ += c.crc != c.rows_first_crc;
  }
  CHECK(differ > 10);
}

TEST_CASE("resize: a mean by hand, and no pass without need") {
  // Two pixels to one: both count alike with either filter.
  const Image two{2, 1, {0, 10, 255, 101, 20, 255}};
  for (const Filter filter : {Filter::kBilinear, Filter::kBicubic}) {
    const Image one = resize(two, 1, 1, filter);
    CHECK(one.rgb == std::vector<uint8_t>{51, 15, 255});  // 50.5 goes up
  }
  const Image image = noise(20, 10, 3);
  CHECK(same(resize(image, 20, 10), image));
  const Image flat{3, 4, std::vector<uint8_t>(36, 77)};
  CHECK(resize(flat, 200, 100).rgb == std::vector<uint8_t>(60000, 77));
}

TEST_CASE("resize and crop: messages") {
  const Image image = noise(4, 3, 1);
  CHECK(
      error_of<std::invalid_argument>([&] { resize(image, 0, 3); }) ==
      "resize: expected a positive width and height of at most 2^31 - 1 bytes, got 0 x "
      "3");
  CHECK(error_of<std::invalid_argument>([&] {
          resize(image, 65536, 65536);
        }) != "no error");
  CHECK(
      error_of<std::invalid_argument>([&] {
        resize({4, 3, {1, 2}}, 2, 2);
      }) ==
      "resize: expected a picture of positive sides and 3 bytes a pixel, got 4 x 3 and "
      "2 bytes");
  CHECK(error_of<std::invalid_argument>([&] {
          crop(image, 1, 1, 4, 1);
        }) == "crop: expected a rectangle inside of 4 x 3, got 4 x 1 at (1, 1)");
  CHECK(
      error_of<std::invalid_argument>([&] { crop(image, -1, 0, 1, 1); }) != "no error");
  const Image part = crop(image, 1, 1, 2, 2);
  CHECK(part.rgb.size() == 12);
  CHECK(part.rgb[0] == image.rgb[15]);
  CHECK(part.rgb[11] == image.rgb[32]);
}
