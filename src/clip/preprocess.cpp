#include "trmml/clip/preprocess.hpp"

#include <ATen/ops/empty.h>

#include <fmt/format.h>

#include <algorithm>

namespace trmml::clip {

namespace {

void check(const PreprocessOptions& options) {
  constexpr int64_t kMaxResolution = 16384;
  TORCH_CHECK_VALUE(
      options.resolution() >= 1 && options.resolution() <= kMaxResolution,
      "PreprocessOptions: expected resolution from 1 to ",
      kMaxResolution,
      ", got ",
      options.resolution());
  for (const float std : options.std()) {
    TORCH_CHECK_VALUE(std > 0, "PreprocessOptions: expected std above 0, got ", std);
  }
}

/// Half of a margin, to the even neighbour when it is not whole: Python's `round`.
int half(int margin) {
  const int down = margin / 2;
  return margin % 2 == 1 && down % 2 == 1 ? down + 1 : down;
}

}  // namespace

data::Image fit_image(const data::Image& image, const PreprocessOptions& options) {
  check(options);
  data::check_image(image, "fit_image");
  const int side = static_cast<int>(options.resolution());
  const auto resize = [&](int width, int height) {
    return data::resize(image, width, height, options.filter(), options.pass_order());
  };
  if (options.fit() == Fit::kSquash) {
    return resize(side, side);
  }
  const int64_t shorter = std::min(image.width, image.height);
  const int64_t longer = std::max(image.width, image.height);
  const int64_t target = side * longer / shorter;
  constexpr int64_t kMaxPixels = (int64_t{1} << 31) / 3;
  if (target * side > kMaxPixels) {
    throw std::invalid_argument(fmt::format(
        "fit_image: expected a picture whose long side becomes at most {} pixels, got "
        "{} x {} (it is a strip: use Fit::kSquash)",
        kMaxPixels / side,
        image.width,
        image.height));
  }
  const bool is_wide = image.width > image.height;
  const int width = is_wide ? static_cast<int>(target) : side;
  const int height = is_wide ? side : static_cast<int>(target);
  return data::crop(
      resize(width, height), half(width - side), half(height - side), side, side);
}

at::Tensor to_tensor(const data::Image& image, const PreprocessOptions& options) {
  check(options);
  data::check_image(image, "to_tensor");
  at::Tensor pixels = at::empty({3, image.height, image.width}, at::kFloat);
  data::to_planes(
      image,
      data::normalize_tables(options.mean(), options.std()),
      pixels.data_ptr<float>());
  return pixels;  // [3, H, W]
}

at::Tensor preprocess(const data::Image& image, const PreprocessOptions& options) {
  return to_tensor(fit_image(image, options), options);
}

}  // namespace trmml::clip
