#include "trmml/report/picture.hpp"

#include "support/arguments.hpp"
#include "support/catch.hpp"

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#include <stb/stb_image.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

using support::argument_error;
using trmml::report::base64;
using trmml::report::data_uri;
using trmml::report::encode_jpeg;
using trmml::report::encode_png;
using trmml::report::Picture;
using trmml::report::png_base64;
using trmml::report::write_png;

namespace {

Picture gradient(int width, int height) {
  Picture picture{width, height, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      picture.rgb.push_back(static_cast<std::uint8_t>(255 * x / width));
      picture.rgb.push_back(static_cast<std::uint8_t>(255 * y / height));
      picture.rgb.push_back(static_cast<std::uint8_t>(128));
    }
  }
  return picture;
}

Picture decode(const std::string& bytes) {
  Picture picture;
  int channels = 0;
  stbi_uc* pixels = stbi_load_from_memory(
      reinterpret_cast<const stbi_uc*>(bytes.data()),
      static_cast<int>(bytes.size()),
      &picture.width,
      &picture.height,
      &channels,
      3);
  if (pixels != nullptr) {
    picture.rgb.assign(pixels, pixels + 3 * picture.width * picture.height);
    stbi_image_free(pixels);
  }
  return picture;
}

}  // namespace

TEST_CASE("base 64 of RFC 4648") {
  CHECK(base64("").empty());
  CHECK(base64("f") == "Zg==");
  CHECK(base64("fo") == "Zm8=");
  CHECK(base64("foo") == "Zm9v");
  CHECK(base64("foob") == "Zm9vYg==");
  CHECK(base64("fooba") == "Zm9vYmE=");
  CHECK(base64("foobar") == "Zm9vYmFy");
  CHECK(base64(std::string("\xff\xef\xbe\x00", 4)) == "/+++AA==");
}

TEST_CASE("a PNG decodes to the same pixels") {
  const Picture picture = gradient(7, 5);
  const Picture decoded = decode(encode_png(picture));
  CHECK(decoded.width == 7);
  CHECK(decoded.height == 5);
  CHECK(decoded.rgb == picture.rgb);
  CHECK(png_base64(picture) == base64(encode_png(picture)));
}

TEST_CASE("a JPEG decodes to nearly the same pixels") {
  const Picture picture = gradient(40, 24);
  const Picture decoded = decode(encode_jpeg(picture, 90));
  REQUIRE(decoded.rgb.size() == picture.rgb.size());
  int largest = 0;
  for (std::size_t i = 0; i < picture.rgb.size(); ++i) {
    largest = std::max(largest, std::abs(decoded.rgb[i] - picture.rgb[i]));
  }
  CHECK(largest < 24);
}

TEST_CASE("small pictures are embedded exactly, large ones as JPEG") {
  CHECK(data_uri(gradient(256, 256)).rfind("data:image/png;base64,iVBOR", 0) == 0);
  CHECK(data_uri(gradient(257, 256)).rfind("data:image/jpeg;base64,/9j/", 0) == 0);
}

TEST_CASE("a PNG file") {
  const auto path = std::filesystem::temp_directory_path() / "trmml_picture_test.png";
  write_png(path, gradient(3, 2));
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::filesystem::remove(path);
  CHECK(decode(bytes).rgb == gradient(3, 2).rgb);
}

TEST_CASE("pictures of a wrong size") {
  CHECK(
      argument_error([] {
        encode_png(Picture{2, 2, {1, 2, 3}});
      }) ==
      "encode_png: expected a picture of positive sides and 3 bytes a pixel, got 2 x 2 "
      "and 3 bytes");
  CHECK(
      argument_error([] { encode_jpeg(Picture{}); }) ==
      "encode_jpeg: expected a picture of positive sides and 3 bytes a pixel, got 0 x "
      "0 and 0 bytes");
  CHECK(
      argument_error([] {
        data_uri(Picture{100000, 100000, {}});
      }) == "data_uri: expected a picture of at most 2^30 bytes, got 100000 x 100000");
  CHECK(argument_error([] {
          encode_jpeg(gradient(1, 1), 0);
        }) == "encode_jpeg: expected a quality from 1 to 100, got 0");
}
