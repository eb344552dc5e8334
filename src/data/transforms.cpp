#include "trmml/data/transforms.hpp"

#include "trmml/core/random.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string_view>

namespace trmml::data {

namespace {

template <typename T>
void expect(bool is_right, std::string_view what, const T& got) {
  if (!is_right) {
    throw std::invalid_argument(fmt::format("{}, got {}", what, got));
  }
}

void check_range(double low, double high, std::string_view what) {
  if (!(low > 0.0 && low <= high && std::isfinite(high))) {
    throw std::invalid_argument(fmt::format(
        "RandomCropOptions: expected 0 < min_{0} <= max_{0}, got {1} and {2}",
        what,
        low,
        high));
  }
}

void check(const RandomCropOptions& options) {
  check_range(options.min_area, options.max_area, "area");
  check_range(options.min_ratio, options.max_ratio, "ratio");
}

void check(const RandAugmentOptions& options) {
  expect(options.count >= 0, "RandAugmentOptions: expected count >= 0", options.count);
  expect(
      options.magnitude >= 0.0 && options.magnitude <= 30.0,
      "RandAugmentOptions: expected magnitude from 0 to 30",
      options.magnitude);
  expect(
      options.count == 0 || !options.operations.empty(),
      "RandAugmentOptions: expected an operation to draw from",
      "none");
}

void check_side(int side, std::string_view where) {
  constexpr int kMaxSide = 16384;
  if (side < 1 || side > kMaxSide) {
    throw std::invalid_argument(
        fmt::format("{}: expected side from 1 to {}, got {}", where, kMaxSide, side));
  }
}

void check_share(double share, std::string_view name) {
  if (!(share >= 0.0 && share <= 1.0)) {
    throw std::invalid_argument(
        fmt::format("transforms: expected {} from 0 to 1, got {}", name, share));
  }
}

double uniform(std::mt19937& engine, double low, double high) {
  return low + (high - low) * legacy_uniform(engine);
}

/// 0 .. n - 1.
int below(std::mt19937& engine, int n) {
  return static_cast<int>(legacy_interval(engine, static_cast<std::uint32_t>(n - 1)));
}

/// Half to even, as Python's `round`.
int rounded(double value) {
  return static_cast<int>(std::nearbyint(value));
}

bool has_sign(Operation operation) {
  switch (operation) {
    case Operation::kRotate:
    case Operation::kColor:
    case Operation::kContrast:
    case Operation::kBrightness:
    case Operation::kSharpness:
    case Operation::kShearX:
    case Operation::kShearY:
    case Operation::kTranslateX:
    case Operation::kTranslateY:
      return true;
    default:
      return false;
  }
}

}  // namespace

Box random_crop_box(
    int width,
    int height,
    const RandomCropOptions& options,
    std::mt19937& engine) {
  check(options);
  expect(
      width > 0 && height > 0,
      "random_crop_box: expected positive sides",
      fmt::format("{} x {}", width, height));
  const double area = static_cast<double>(width) * height;
  const double low = std::log(options.min_ratio);
  const double high = std::log(options.max_ratio);
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double target = area * uniform(engine, options.min_area, options.max_area);
    const double ratio = std::exp(uniform(engine, low, high));
    const double w = std::nearbyint(std::sqrt(target * ratio));
    const double h = std::nearbyint(std::sqrt(target / ratio));
    if (w > 0 && w <= width && h > 0 && h <= height) {
      Box box{0, 0, static_cast<int>(w), static_cast<int>(h)};
      box.top = below(engine, height - box.height + 1);
      box.left = below(engine, width - box.width + 1);
      return box;
    }
  }
  Box box{0, 0, width, height};
  const double ratio = static_cast<double>(width) / height;
  if (ratio < options.min_ratio) {
    box.height = std::max(1, rounded(width / options.min_ratio));
  } else if (ratio > options.max_ratio) {
    box.width = std::max(1, rounded(height * options.max_ratio));
  }
  box.top = (height - box.height) / 2;
  box.left = (width - box.width) / 2;
  return box;
}

Box cutout_box(int width, int height, double ratio, std::mt19937& engine) {
  check_share(ratio, "cutout_ratio");
  expect(
      width > 0 && height > 0,
      "cutout_box: expected positive sides",
      fmt::format("{} x {}", width, height));
  const int y = below(engine, height);
  const int x = below(engine, width);
  const int half_height = static_cast<int>(ratio * height + 0.5) / 2;
  const int half_width = static_cast<int>(ratio * width + 0.5) / 2;
  const int top = std::max(y - half_height, 0);
  const int left = std::max(x - half_width, 0);
  return {
      left,
      top,
      std::min(x + half_width, width) - left,
      std::min(y + half_height, height) - top};
}

void apply_operation(
    Image& image,
    Operation operation,
    double magnitude,
    bool is_negative,
    const Colour& fill) {
  check_image(image, "apply_operation");
  expect(
      magnitude >= 0.0 && magnitude <= 30.0,
      "apply_operation: expected magnitude from 0 to 30",
      magnitude);
  const double share = magnitude / 30.0;
  const double sign = is_negative ? -1.0 : 1.0;
  const double factor = 1.0 + sign * 0.9 * share;
  const double shear = sign * 0.3 * share;
  const auto pixels = [&](int side) {
    return sign * std::trunc(150.0 / 331.0 * share * side);
  };
  switch (operation) {
    case Operation::kIdentity:
      break;
    case Operation::kAutoContrast:
      autocontrast(image);
      break;
    case Operation::kEqualize:
      equalize(image);
      break;
    case Operation::kInvert:
      invert(image);
      break;
    case Operation::kRotate:
      rotate(image, sign * 30.0 * share, fill);
      break;
    case Operation::kPosterize:
      posterize(image, 8 - rounded(4.0 * share));
      break;
    case Operation::kSolarize:
      solarize(image, 255.0 - 8.5 * magnitude);
      break;
    case Operation::kColor:
      adjust_color(image, factor);
      break;
    case Operation::kContrast:
      adjust_contrast(image, factor);
      break;
    case Operation::kBrightness:
      adjust_brightness(image, factor);
      break;
    case Operation::kSharpness:
      adjust_sharpness(image, factor);
      break;
    case Operation::kShearX:
      affine(image, {1.0, shear, 0.0, 0.0, 1.0, 0.0}, fill);
      break;
    case Operation::kShearY:
      affine(image, {1.0, 0.0, 0.0, shear, 1.0, 0.0}, fill);
      break;
    case Operation::kTranslateX:
      affine(image, {1.0, 0.0, -pixels(image.width), 0.0, 1.0, 0.0}, fill);
      break;
    case Operation::kTranslateY:
      affine(image, {1.0, 0.0, 0.0, 0.0, 1.0, -pixels(image.height)}, fill);
      break;
  }
}

void rand_augment(
    Image& image,
    const RandAugmentOptions& options,
    std::mt19937& engine) {
  check(options);
  for (int i = 0; i < options.count; ++i) {
    const int which = below(engine, static_cast<int>(options.operations.size()));
    const Operation operation = options.operations[static_cast<std::size_t>(which)];
    const bool is_negative = has_sign(operation) && legacy_uniform(engine) < 0.5;
    apply_operation(image, operation, options.magnitude, is_negative, options.fill);
  }
}

TrainTransform::TrainTransform(const TrainTransformOptions& options)
    : options_(options) {
  check_side(options.side, "TrainTransformOptions");
  check_share(options.crop_probability, "crop_probability");
  check_share(options.cutout_ratio, "cutout_ratio");
  check_share(options.flip_probability, "flip_probability");
  check(options.crop);
  check(options.rand_augment);
}

Image TrainTransform::operator()(const Image& image, std::mt19937& engine) const {
  check_image(image, "TrainTransform");
  const int side = options_.side;
  const Filter filter = options_.filter;
  const PassOrder order = options_.pass_order;
  Image seen;
  if (legacy_uniform(engine) < options_.crop_probability) {
    const Box box = random_crop_box(image.width, image.height, options_.crop, engine);
    seen = resize_box(image, box, side, side, filter, order);
  } else {
    seen = resize(image, side, side, filter, order);
    fill_box(
        seen,
        cutout_box(side, side, options_.cutout_ratio, engine),
        options_.cutout_fill);
  }
  rand_augment(seen, options_.rand_augment, engine);
  if (legacy_uniform(engine) < options_.flip_probability) {
    flip_horizontal(seen);
  }
  return seen;
}

TestTransform::TestTransform(const TestTransformOptions& options) : options_(options) {
  check_side(options.side, "TestTransformOptions");
}

Image TestTransform::operator()(const Image& image, std::mt19937& /*engine*/) const {
  return resize(
      image, options_.side, options_.side, options_.filter, options_.pass_order);
}

}  // namespace trmml::data
