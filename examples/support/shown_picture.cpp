#include "support/shown_picture.hpp"

#include "trmml/report/heatmap.hpp"

#include <algorithm>
#include <cmath>

namespace experiment {

trmml::data::Image shrink(const trmml::data::Image& image, int side) {
  const int longer = std::max(image.width, image.height);
  if (longer <= side) {
    return image;
  }
  const auto scaled = [&](int pixels) {
    return std::max(1, static_cast<int>(std::lround(double(pixels) * side / longer)));
  };
  return trmml::data::resize(image, scaled(image.width), scaled(image.height));
}

trmml::report::Picture saliency_map(
    const trmml::report::Picture& picture,
    const at::Tensor& saliency) {
  const at::Tensor map = saliency.to(at::kCPU, at::kFloat).contiguous();
  const auto cells =
      static_cast<int>(std::lround(std::sqrt(static_cast<double>(map.numel()))));
  return trmml::report::heatmap(
      picture, {map.data_ptr<float>(), static_cast<size_t>(map.numel())}, cells, cells);
}

}  // namespace experiment
