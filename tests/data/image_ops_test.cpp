#include "trmml/data/image_ops.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "../../src/data/resize_kernels.hpp"
#include "reference/transforms.hpp"
#include "support/arguments.hpp"
#include "support/catch.hpp"
#include "support/pictures.hpp"

using namespace trmml::data;
using support::argument_error;
using support::crc;
using support::picture;

namespace {

constexpr Colour kFill = {9, 99, 199};

using Function = std::function<void(Image&, double)>;
const std::map<std::string, Function> kFunctions = {
    {"flip_horizontal", [](Image& image, double) { flip_horizontal(image); }},
    {"autocontrast", [](Image& image, double) { autocontrast(image); }},
    {"equalize", [](Image& image, double) { equalize(image); }},
    {"invert", [](Image& image, double) { invert(image); }},
    {"posterize",
     [](Image& image, double v) { posterize(image, static_cast<int>(v)); }},
    {"solarize", [](Image& image, double v) { solarize(image, v); }},
    {"color", [](Image& image, double v) { adjust_color(image, v); }},
    {"contrast", [](Image& image, double v) { adjust_contrast(image, v); }},
    {"brightness", [](Image& image, double v) { adjust_brightness(image, v); }},
    {"sharpness", [](Image& image, double v) { adjust_sharpness(image, v); }},
    {"rotate", [](Image& image, double v) { rotate(image, v, kFill); }},
};

}  // namespace

TEST_CASE("image ops: Pillow's ImageOps and ImageEnhance, to the bit") {
  std::map<std::string, int> cases;
  for (const auto& expected : reference::transforms::kPlain) {
    CAPTURE(
        expected.name, expected.value, expected.width, expected.height, expected.seed);
    Image image = picture(expected.width, expected.height, expected.seed);
    kFunctions.at(expected.name)(image, expected.value);
    CHECK(image.width == expected.width);
    CHECK(crc(image) == expected.crc);
    ++cases[expected.name];
  }
  CHECK(cases.size() == kFunctions.size());
}

TEST_CASE("image ops: Pillow's affine transform to the nearest pixel, to the bit") {
  for (const auto& expected : reference::transforms::kAffine) {
    std::array<double, 6> matrix;
    std::copy(std::begin(expected.matrix), std::end(expected.matrix), matrix.begin());
    CAPTURE(matrix, expected.width, expected.height);
    Image image = picture(expected.width, expected.height, 4);
    affine(image, matrix, kFill);
    CHECK(crc(image) == expected.crc);
  }
}

TEST_CASE("image ops: flip and box by hand") {
  Image image{3, 2, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18}};
  flip_horizontal(image);
  CHECK(
      image.rgb == std::vector<uint8_t>{
                       7, 8, 9, 4, 5, 6, 1, 2, 3, 16, 17, 18, 13, 14, 15, 10, 11, 12});
  fill_box(image, {1, 1, 2, 1}, {100, 101, 102});
  CHECK(
      image.rgb ==
      std::vector<uint8_t>{
          7, 8, 9, 4, 5, 6, 1, 2, 3, 16, 17, 18, 100, 101, 102, 100, 101, 102});
  const Image before = image;
  fill_box(image, {3, 0, 0, 2}, {0, 0, 0});
  CHECK(image.rgb == before.rgb);
}

TEST_CASE("image ops: channel by channel, as bytes and through a table") {
  const Image image = picture(5, 3, 2);
  std::vector<uint8_t> bytes(45);
  to_planes(image, bytes.data());
  std::vector<float> numbers(45);
  const auto tables = normalize_tables({0.5F, 0.25F, 0.0F}, {0.5F, 1.0F, 2.0F});
  to_planes(image, tables, numbers.data());
  const float mean[] = {0.5F, 0.25F, 0.0F};
  const float std[] = {0.5F, 1.0F, 2.0F};
  for (size_t c = 0; c < 3; ++c) {
    for (size_t i = 0; i < 15; ++i) {
      const uint8_t x = image.rgb[3 * i + c];
      CHECK(bytes[15 * c + i] == x);
      CHECK(numbers[15 * c + i] == (static_cast<float>(x) / 255.0F - mean[c]) / std[c]);
    }
  }
}

TEST_CASE("resize: every form of the passes gives the same bytes") {
  using namespace trmml::data::detail;
  const auto& all = resize_kernels();
  REQUIRE(all.size() >= 2);
  CHECK(all.front().name == "plain");
  std::mt19937 engine(1);
  const auto below = [&](uint32_t n) { return engine() % n; };
  for (int round = 0; round < 40; ++round) {
    const auto width = static_cast<int>(1 + below(90));
    const auto height = static_cast<int>(1 + below(60));
    const Image image = picture(width, height, engine() & ~1U);
    const size_t inputs = round % 2 == 0 ? image.width : image.height;
    // Any weights that lie inside will do; some pass the ends of the bytes.
    ResizeWeights weights;
    weights.offset.push_back(0);
    const size_t outputs = 1 + below(70);
    for (size_t i = 0; i < outputs; ++i) {
      const auto first = static_cast<int>(below(static_cast<uint32_t>(inputs)));
      const size_t count = 1 + below(static_cast<uint32_t>(inputs) - first);
      for (size_t k = 0; k < count; ++k) {
        const auto size = static_cast<int>((2U << kResizeBits) / count);
        weights.values.push_back(
            static_cast<int32_t>(below(static_cast<uint32_t>(size))) - size / 4);
      }
      weights.first.push_back(first);
      weights.offset.push_back(weights.values.size());
    }
    const auto stride = 3 * static_cast<size_t>(width);
    const auto run = [&](const ResizeKernels& kernels) {
      RowsView in{
          image.rgb.data(),
          stride,
          static_cast<size_t>(width),
          static_cast<size_t>(height)};
      std::vector<uint8_t> out;
      if (round % 2 == 0) {
        out.resize(3 * outputs * in.height);
        kernels.rows(in, weights, out.data());
      } else {
        out.resize(3 * outputs * in.width);
        kernels.columns(in, 0, weights, out.data());
      }
      return out;
    };
    const auto expected = run(all.front());
    for (const ResizeKernels& kernels : all) {
      CAPTURE(round, std::string(kernels.name));
      CHECK(run(kernels) == expected);
    }
  }
}

TEST_CASE("resize_box: the same as a crop that is resized") {
  const Image image = picture(61, 47, 2);
  std::mt19937 engine(2);
  for (int round = 0; round < 60; ++round) {
    const auto below = [&](int n) {
      return static_cast<int>(engine() % static_cast<uint32_t>(n));
    };
    Box box{0, 0, 1 + below(61), 1 + below(47)};
    box.left = below(61 - box.width + 1);
    box.top = below(47 - box.height + 1);
    const int width = round % 5 == 0 ? box.width : 1 + below(40);
    const int height = round % 7 == 0 ? box.height : 1 + below(40);
    for (const auto order : {PassOrder::kPillow13, PassOrder::kRowsFirst}) {
      CAPTURE(box.left, box.top, box.width, box.height, width, height);
      const Image cropped = crop(image, box.left, box.top, box.width, box.height);
      const Image expected = resize(cropped, width, height, Filter::kBicubic, order);
      const Image got = resize_box(image, box, width, height, Filter::kBicubic, order);
      CHECK(got.width == width);
      CHECK(got.height == height);
      CHECK(got.rgb == expected.rgb);
    }
  }
}

TEST_CASE("image ops: messages") {
  Image image = picture(4, 3, 2);
  const Image before = image;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(argument_error([&] {
          posterize(image, 0);
        }) == "posterize: expected 1 to 8 bits, got 0");
  CHECK(argument_error([&] {
          adjust_color(image, nan);
        }) == "adjust_color: expected a finite factor, got nan");
  CHECK(argument_error([&] {
          rotate(image, nan, kFill);
        }) == "rotate: expected a finite angle, got nan");
  CHECK(
      argument_error([&] {
        affine(image, {1, 0, 40000, 0, 1, 0}, kFill);
      }) ==
      "affine: expected places within +-32768, got (40000, 0) for the corner (0, 0)");
  CHECK(argument_error([&] {
          fill_box(image, {2, 0, 3, 1}, kFill);
        }) == "fill_box: expected a rectangle inside of 4 x 3, got 3 x 1 at (2, 0)");
  CHECK(argument_error([&] {
          resize_box(image, {0, 0, 0, 1}, 2, 2);
        }) == "resize_box: expected a rectangle inside of 4 x 3, got 0 x 1 at (0, 0)");
  CHECK(image.rgb == before.rgb);
  Image none{4, 3, {}};
  for (const auto& [name, function] : kFunctions) {
    CAPTURE(name);
    CHECK(argument_error([&, &call = function] {
            call(none, 1);
          }).find("expected a picture of positive sides") != std::string::npos);
  }
}
