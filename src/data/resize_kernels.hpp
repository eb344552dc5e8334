#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

// The two passes of `resize`, in several forms that give the same bytes.

namespace trmml::data::detail {

/// Bits of fraction of the weights.
inline constexpr int kResizeBits = 32 - 8 - 2;

/// For each output position the input positions it is a mean of, and their weights.
struct ResizeWeights {
  std::vector<int> first;           // of the inputs
  std::vector<std::size_t> offset;  // of the weights; one more than outputs
  std::vector<std::int32_t> values;

  std::size_t outputs() const { return first.size(); }
  int count(std::size_t i) const { return static_cast<int>(offset[i + 1] - offset[i]); }
};

/// Rows of 3 bytes a pixel that follow each other `stride` bytes apart.
struct RowsView {
  const std::uint8_t* first = nullptr;
  std::size_t stride = 0;  // bytes
  std::size_t width = 0;   // pixels
  std::size_t height = 0;

  const std::uint8_t* row(std::size_t y) const { return first + y * stride; }
};

struct ResizeKernels {
  std::string_view name;

  /// Every row of `in` to `weights.outputs()` pixels; `out` has no gaps.
  void (*rows)(const RowsView& in, const ResizeWeights& weights, std::uint8_t* out);

  /// Every column of `in` to `weights.outputs()` pixels; `out` has no gaps. Row 0 of
  /// `in` is what the weights call row `begin`.
  void (*columns)(
      const RowsView& in,
      int begin,
      const ResizeWeights& weights,
      std::uint8_t* out);
};

/// What this machine can run: the plain form, which is there to be read and compared
/// with, first; the fastest last.
const std::vector<ResizeKernels>& resize_kernels();

}  // namespace trmml::data::detail
