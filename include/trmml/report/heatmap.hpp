#pragma once

#include "trmml/report/picture.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <span>

namespace trmml::report {

/// How `heatmap` paints. All values are ours.
struct HeatmapOptions {
  /// Share of the colour where the saliency is highest, in [0, 1].
  double opacity = 0.65;

  /// Whether the share of the colour falls with the saliency, so that the picture stays
  /// as it is where the saliency is lowest; else it is `opacity` everywhere.
  bool fade = true;

  /// Saliency shown as the lowest and the highest colour; not set: the smallest and the
  /// largest value of the map. Set both to compare maps with one another.
  std::optional<float> lowest = {};
  std::optional<float> highest = {};
};

/// The colour of `value` in [0, 1] (clamped): dark violet, blue, teal, green, yellow;
/// rising in lightness, so that it reads in grey and for the colour-blind.
std::array<std::uint8_t, 3> heat_color(double value);

/// Paints a saliency map over a picture.
///
/// With v the map enlarged bilinearly (cell centres, edges held) and brought to [0, 1]:
/// \f[ \mathrm{pixel}' = (1 - a)\,\mathrm{pixel} + a\,\mathrm{color}(v), \quad
///     a = \mathrm{opacity} \cdot v \f]
/// (a = opacity without `fade`).
///
/// Shapes: saliency [rows, columns], row-major, any finite values; picture of any size.
/// A constant map is painted as its lowest colour. Draws no random numbers.
/// Throws `std::invalid_argument` on a wrong size, a value that is not finite, an
/// opacity outside [0, 1], or lowest >= highest.
///
/// Example:
/// ```
/// // saliency [B, C, R] of RegionMatcher, R = 6 * 6 cells
/// const Picture painted = heatmap(picture, {map.data_ptr<float>(), 36}, 6, 6);
/// ```
Picture heatmap(
    const Picture& picture,
    std::span<const float> saliency,
    int rows,
    int columns,
    const HeatmapOptions& options = {});

}  // namespace trmml::report
