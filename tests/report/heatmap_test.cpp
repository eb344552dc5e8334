#include "trmml/report/heatmap.hpp"

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "support/arguments.hpp"
#include "support/catch.hpp"

using support::argument_error;
using trmml::report::heat_color;
using trmml::report::heatmap;
using trmml::report::HeatmapOptions;
using trmml::report::Picture;

namespace {

using Color = std::array<std::uint8_t, 3>;

Picture gray(int width, int height, std::uint8_t value) {
  const auto bytes = static_cast<std::size_t>(3 * width * height);
  return {width, height, std::vector<std::uint8_t>(bytes, value)};
}

Color pixel(const Picture& picture, int x, int y) {
  const auto first = static_cast<std::size_t>(3 * (y * picture.width + x));
  return {picture.rgb[first], picture.rgb[first + 1], picture.rgb[first + 2]};
}

// The colour alone, so that a pixel tells the value that was painted.
HeatmapOptions opaque() {
  HeatmapOptions options;
  options.opacity = 1.0;
  options.fade = false;
  return options;
}

}  // namespace

TEST_CASE("the colours rise from violet to yellow") {
  CHECK(heat_color(0.0) == Color{68, 1, 84});
  CHECK(heat_color(0.5) == Color{33, 145, 140});
  CHECK(heat_color(1.0) == Color{253, 231, 37});
  CHECK(heat_color(-3.0) == heat_color(0.0));
  CHECK(heat_color(7.0) == heat_color(1.0));
  CHECK(heat_color(1.0 / 16.0) == Color{70, 23, 103});  // halfway to the second anchor
  double lightness = -1.0;
  for (int i = 0; i <= 100; ++i) {
    const Color color = heat_color(i / 100.0);
    const double next = 0.2126 * color[0] + 0.7152 * color[1] + 0.0722 * color[2];
    CHECK(next > lightness);
    lightness = next;
  }
}

TEST_CASE("bilinear enlargement by hand") {
  // Two cells over four pixels: centres at -0.25 (held: 0), 0.25, 0.75, 1.25 (held: 1).
  const std::vector<float> saliency = {0.0F, 1.0F};
  const Picture wide = heatmap(gray(4, 1, 0), saliency, 1, 2, opaque());
  CHECK(pixel(wide, 0, 0) == heat_color(0.0));
  CHECK(pixel(wide, 1, 0) == heat_color(0.25));
  CHECK(pixel(wide, 2, 0) == heat_color(0.75));
  CHECK(pixel(wide, 3, 0) == heat_color(1.0));

  const Picture tall = heatmap(gray(1, 4, 0), saliency, 2, 1, opaque());
  CHECK(pixel(tall, 0, 1) == heat_color(0.25));
  CHECK(pixel(tall, 0, 3) == heat_color(1.0));

  // One pixel a cell: the cells themselves, row by row, brought to [0, 1].
  const std::vector<float> cells = {-2.0F, 0.0F, 2.0F, 6.0F, 4.0F, -1.0F};
  const Picture exact = heatmap(gray(3, 2, 0), cells, 2, 3, opaque());
  CHECK(pixel(exact, 0, 0) == heat_color(0.0));
  CHECK(pixel(exact, 2, 0) == heat_color(0.5));
  CHECK(pixel(exact, 0, 1) == heat_color(1.0));
  CHECK(pixel(exact, 1, 1) == heat_color(0.75));

  // A pixel in the middle of four cells is their mean.
  const std::vector<float> four = {0.0F, 1.0F, 1.0F, 0.0F};
  const Picture middle = heatmap(gray(3, 3, 0), four, 2, 2, opaque());
  CHECK(pixel(middle, 1, 1) == heat_color(0.5));
}

TEST_CASE("the picture shows through where the saliency is low") {
  const std::vector<float> saliency = {0.0F, 1.0F};
  HeatmapOptions options;
  options.opacity = 0.5;
  const Picture faded = heatmap(gray(2, 1, 100), saliency, 1, 2, options);
  CHECK(pixel(faded, 0, 0) == Color{100, 100, 100});
  CHECK(
      pixel(faded, 1, 0) ==
      Color{177, 166, 69});  // half of (253, 231, 37), half of 100
  options.fade = false;
  const Picture even = heatmap(gray(2, 1, 100), saliency, 1, 2, options);
  CHECK(pixel(even, 0, 0) == Color{84, 51, 92});  // half of (68, 1, 84), half of 100
}

TEST_CASE("constant maps and a given range") {
  const std::vector<float> constant = {3.0F, 3.0F};
  const Picture low = heatmap(gray(2, 1, 0), constant, 1, 2, opaque());
  CHECK(pixel(low, 1, 0) == heat_color(0.0));

  HeatmapOptions options = opaque();
  options.lowest = 2.0F;
  options.highest = 4.0F;
  CHECK(
      pixel(heatmap(gray(2, 1, 0), constant, 1, 2, options), 0, 0) == heat_color(0.5));
  const std::vector<float> beyond = {0.0F, 9.0F};
  const Picture clamped = heatmap(gray(2, 1, 0), beyond, 1, 2, options);
  CHECK(pixel(clamped, 0, 0) == heat_color(0.0));
  CHECK(pixel(clamped, 1, 0) == heat_color(1.0));
}

TEST_CASE("wrong maps and options") {
  const Picture picture = gray(2, 2, 0);
  std::vector<float> map = {0.0F, 1.0F, 2.0F};
  CHECK(argument_error([&] {
          heatmap(picture, map, 2, 2);
        }) == "heatmap: expected saliency of 2 x 2 cells, got 3 values");
  map = {0.0F, 1.0F, std::numeric_limits<float>::quiet_NaN(), 2.0F};
  CHECK(argument_error([&] {
          heatmap(picture, map, 2, 2);
        }) == "heatmap: expected finite saliency, got nan at row 1, column 0");
  map[2] = 0.0F;
  HeatmapOptions options;
  options.opacity = 1.5;
  CHECK(argument_error([&] {
          heatmap(picture, map, 2, 2, options);
        }) == "heatmap: expected an opacity in [0, 1], got 1.5");
  options.opacity = 0.5;
  options.lowest = 1.0F;
  options.highest = 1.0F;
  CHECK(argument_error([&] {
          heatmap(picture, map, 2, 2, options);
        }) == "heatmap: expected lowest < highest, got 1 and 1");
  CHECK(
      argument_error([&] { heatmap(Picture{}, map, 2, 2); }) ==
      "heatmap: expected a picture of positive sides and 3 bytes a pixel, got 0 x 0 "
      "and 0 bytes");
}
