#include "trmml/data/image.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string_view>

#include "resize_kernels.hpp"

// Pillow's two-pass resampling of 8-bit pictures. Compiled without contraction of
// floating-point operations (CMakeLists.txt): the weights must be the same everywhere.

namespace trmml::data {

namespace {

using detail::ResizeWeights;
using detail::RowsView;
using Bytes = std::vector<std::uint8_t>;

double bilinear(double x) {
  x = std::abs(x);
  return x < 1.0 ? 1.0 - x : 0.0;
}

double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) {
    return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  }
  if (x < 2.0) {
    return (((x - 5) * x + 8) * x - 4) * a;
  }
  return 0.0;
}

ResizeWeights make_weights(int in, int out, Filter filter) {
  const auto shape = filter == Filter::kBilinear ? bilinear : bicubic;
  const double radius = filter == Filter::kBilinear ? 1.0 : 2.0;
  const double scale = static_cast<double>(in) / out;
  const double stretch = std::max(scale, 1.0);
  const double support = radius * stretch;
  const double shrink = 1.0 / stretch;

  ResizeWeights weights;
  weights.offset.push_back(0);
  for (int i = 0; i < out; ++i) {
    const double centre = (i + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(centre - support + 0.5));
    const int last = std::min(in, static_cast<int>(centre + support + 0.5));
    const auto weight = [&](int j) { return shape((j - centre + 0.5) * shrink); };
    double sum = 0.0;
    for (int j = first; j < last; ++j) {
      sum += weight(j);
    }
    for (int j = first; j < last; ++j) {
      const double share = sum != 0.0 ? weight(j) / sum : weight(j);
      const double fixed = share * (1 << detail::kResizeBits);
      weights.values.push_back(
          static_cast<std::int32_t>(share < 0 ? fixed - 0.5 : fixed + 0.5));
    }
    weights.first.push_back(first);
    weights.offset.push_back(weights.values.size());
  }
  return weights;
}

/// What lies inside of `box`.
RowsView view(const Image& image, const Box& box) {
  const std::size_t stride = std::size_t{3} * static_cast<std::size_t>(image.width);
  return {
      image.rgb.data() + stride * static_cast<std::size_t>(box.top) +
          std::size_t{3} * static_cast<std::size_t>(box.left),
      stride,
      static_cast<std::size_t>(box.width),
      static_cast<std::size_t>(box.height)};
}

/// Rows without gaps, of `width` pixels.
RowsView view(const Bytes& rgb, std::size_t width) {
  return {rgb.data(), 3 * width, width, rgb.size() / (3 * width)};
}

Bytes resize_rows(const RowsView& in, const ResizeWeights& weights) {
  Bytes out(3 * in.height * weights.outputs());
  detail::resize_kernels().back().rows(in, weights, out.data());
  return out;
}

/// Row 0 of `in` is what the weights call row `begin`.
Bytes resize_columns(const RowsView& in, const ResizeWeights& weights, int begin = 0) {
  Bytes out(3 * in.width * weights.outputs());
  detail::resize_kernels().back().columns(in, begin, weights, out.data());
  return out;
}

void check_inside(const Image& image, const Box& box, std::string_view where) {
  const bool is_inside = box.left >= 0 && box.top >= 0 && box.width > 0 &&
                         box.height > 0 && box.width <= image.width - box.left &&
                         box.height <= image.height - box.top;
  if (!is_inside) {
    throw std::invalid_argument(fmt::format(
        "{}: expected a rectangle inside of {} x {}, got {} x {} at ({}, {})",
        where,
        image.width,
        image.height,
        box.width,
        box.height,
        box.left,
        box.top));
  }
}

/// Of a picture and a box that were checked.
Image resize_checked(
    const Image& image,
    const Box& box,
    int width,
    int height,
    Filter filter,
    PassOrder order) {
  constexpr std::int64_t kMaxBytes = std::numeric_limits<std::int32_t>::max();
  if (width <= 0 || height <= 0 || std::int64_t{width} * height > kMaxBytes / 3) {
    throw std::invalid_argument(fmt::format(
        "resize: expected a positive width and height of at most 2^31 - 1 bytes, got "
        "{} x {}",
        width,
        height));
  }
  if (width == box.width && height == box.height) {
    const bool is_all = width == image.width && height == image.height;
    return is_all ? image : crop(image, box.left, box.top, width, height);
  }
  RowsView in = view(image, box);
  if (height == box.height) {
    return {width, height, resize_rows(in, make_weights(box.width, width, filter))};
  }
  const ResizeWeights columns = make_weights(box.height, height, filter);
  if (width == box.width) {
    return {width, height, resize_columns(in, columns)};
  }
  const ResizeWeights rows = make_weights(box.width, width, filter);
  const std::int64_t lost_rows = std::int64_t{box.height} - height;
  const std::int64_t lost_columns = std::int64_t{box.width} - width;
  if (order == PassOrder::kPillow13 && lost_rows > 0 && lost_rows > 2 * lost_columns) {
    const Bytes low = resize_columns(in, columns);
    return {width, height, resize_rows(view(low, in.width), rows)};
  }
  // Only the rows that the second pass looks at.
  const int begin = columns.first.front();
  const int end = columns.first.back() + columns.count(columns.outputs() - 1);
  in.first = in.row(static_cast<std::size_t>(begin));
  in.height = static_cast<std::size_t>(end - begin);
  const Bytes narrow = resize_rows(in, rows);
  return {
      width,
      height,
      resize_columns(view(narrow, static_cast<std::size_t>(width)), columns, begin)};
}

}  // namespace

Image resize(
    const Image& image,
    int width,
    int height,
    Filter filter,
    PassOrder order) {
  check_image(image, "resize");
  const Box all{0, 0, image.width, image.height};
  return resize_checked(image, all, width, height, filter, order);
}

Image resize_box(
    const Image& image,
    const Box& box,
    int width,
    int height,
    Filter filter,
    PassOrder order) {
  check_image(image, "resize_box");
  check_inside(image, box, "resize_box");
  return resize_checked(image, box, width, height, filter, order);
}

Image crop(const Image& image, int left, int top, int width, int height) {
  check_image(image, "crop");
  check_inside(image, {left, top, width, height}, "crop");
  const std::size_t in_row = std::size_t{3} * static_cast<std::size_t>(image.width);
  const std::size_t out_row = std::size_t{3} * static_cast<std::size_t>(width);
  Image result{width, height, {}};
  result.rgb.resize(out_row * static_cast<std::size_t>(height));
  for (int y = 0; y < height; ++y) {
    std::memcpy(
        result.rgb.data() + out_row * static_cast<std::size_t>(y),
        image.rgb.data() + in_row * static_cast<std::size_t>(top + y) +
            std::size_t{3} * static_cast<std::size_t>(left),
        out_row);
  }
  return result;
}

}  // namespace trmml::data
