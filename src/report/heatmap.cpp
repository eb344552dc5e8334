#include "trmml/report/heatmap.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <vector>

namespace trmml::report {

namespace {

using Color = std::array<std::uint8_t, 3>;

// Anchors at 0, 1/8, ... 1; between them linear.
constexpr std::array<Color, 9> kColors = {{
    {68, 1, 84},
    {71, 44, 122},
    {59, 82, 139},
    {44, 114, 142},
    {33, 145, 140},
    {40, 174, 128},
    {94, 201, 98},
    {173, 220, 48},
    {253, 231, 37},
}};

std::uint8_t mix(std::uint8_t a, std::uint8_t b, double share) {
  const double mixed = (1.0 - share) * a + share * b;
  return static_cast<std::uint8_t>(std::lround(mixed));
}

// Where pixel `i` of `size` lies among `cells`: the two cells around its centre and the
// share of the second.
struct Position {
  int first;
  int second;
  double share;
};

std::vector<Position> cell_positions(int size, int cells) {
  std::vector<Position> positions;
  positions.reserve(static_cast<std::size_t>(size));
  for (int i = 0; i < size; ++i) {
    const double center = (i + 0.5) * cells / size - 0.5;
    const double held = std::clamp(center, 0.0, cells - 1.0);
    const int first = static_cast<int>(held);
    positions.push_back({first, std::min(first + 1, cells - 1), held - first});
  }
  return positions;
}

void check_map(
    std::span<const float> saliency,
    int rows,
    int columns,
    const HeatmapOptions& options) {
  const std::int64_t cells = std::int64_t{1} * rows * columns;
  if (rows < 1 || columns < 1 || static_cast<std::int64_t>(saliency.size()) != cells) {
    throw std::invalid_argument(fmt::format(
        "heatmap: expected saliency of {} x {} cells, got {} values",
        rows,
        columns,
        saliency.size()));
  }
  for (std::size_t i = 0; i < saliency.size(); ++i) {
    if (!std::isfinite(saliency[i])) {
      throw std::invalid_argument(fmt::format(
          "heatmap: expected finite saliency, got {} at row {}, column {}",
          std::isnan(saliency[i]) ? std::abs(saliency[i]) : saliency[i],
          i / static_cast<std::size_t>(columns),
          i % static_cast<std::size_t>(columns)));
    }
  }
  if (!(options.opacity >= 0.0 && options.opacity <= 1.0)) {
    throw std::invalid_argument(
        fmt::format("heatmap: expected an opacity in [0, 1], got {}", options.opacity));
  }
  if (options.lowest && options.highest && !(*options.lowest < *options.highest)) {
    throw std::invalid_argument(fmt::format(
        "heatmap: expected lowest < highest, got {} and {}",
        *options.lowest,
        *options.highest));
  }
}

}  // namespace

std::array<std::uint8_t, 3> heat_color(double value) {
  constexpr int kSteps = static_cast<int>(kColors.size()) - 1;
  const double place = std::clamp(value, 0.0, 1.0) * kSteps;
  const int first = std::min(static_cast<int>(place), kSteps - 1);
  const Color& a = kColors[static_cast<std::size_t>(first)];
  const Color& b = kColors[static_cast<std::size_t>(first) + 1];
  Color color;
  for (std::size_t i = 0; i < 3; ++i) {
    color[i] = mix(a[i], b[i], place - first);
  }
  return color;
}

Picture heatmap(
    const Picture& picture,
    std::span<const float> saliency,
    int rows,
    int columns,
    const HeatmapOptions& options) {
  check_picture(picture, "heatmap");
  check_map(saliency, rows, columns, options);
  const auto [smallest, largest] =
      std::minmax_element(saliency.begin(), saliency.end());
  const double lowest = options.lowest.value_or(*smallest);
  const double range = options.highest.value_or(*largest) - lowest;

  const auto cell = [&](int row, int column) -> double {
    return saliency
        [static_cast<std::size_t>(row) * static_cast<std::size_t>(columns) +
         static_cast<std::size_t>(column)];
  };
  const auto down = cell_positions(picture.height, rows);
  const auto across = cell_positions(picture.width, columns);
  Picture painted = picture;
  std::uint8_t* pixel = painted.rgb.data();
  for (const Position& y : down) {
    for (const Position& x : across) {
      const double above =
          std::lerp(cell(y.first, x.first), cell(y.first, x.second), x.share);
      const double below =
          std::lerp(cell(y.second, x.first), cell(y.second, x.second), x.share);
      const double value = std::lerp(above, below, y.share);
      const double heat =
          range > 0.0 ? std::clamp((value - lowest) / range, 0.0, 1.0) : 0.0;
      const double share = options.fade ? options.opacity * heat : options.opacity;
      const Color color = heat_color(heat);
      for (const std::uint8_t channel : color) {
        *pixel = mix(*pixel, channel, share);
        ++pixel;
      }
    }
  }
  return painted;
}

}  // namespace trmml::report
