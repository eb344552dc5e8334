#include "support/saliency_maps.hpp"

#include "trmml/core/error.hpp"
#include "trmml/data/label_table.hpp"
#include "trmml/report/heatmap.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "support/program.hpp"

namespace experiment {

namespace {

std::string safe(const std::string& text) {
  constexpr size_t kLongest = 60;
  std::string name = text.substr(0, kLongest);
  for (char& c : name) {
    const bool is_safe = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                         (c >= '0' && c <= '9') || c == '-';
    c = is_safe ? c : '_';
  }
  return name;
}

}  // namespace

std::vector<int64_t> category_indices(
    const std::vector<std::string>& wanted,
    const std::vector<std::string>& names) {
  trmml::data::LabelTable table;
  table.classnames = names;
  std::vector<int64_t> indices;
  for (const std::string& name : wanted) {
    try {
      indices.push_back(table.index_of(name));
    } catch (const trmml::DataError& error) {
      throw program::UsageError(std::string("--categories: ") + error.what());
    }
  }
  return indices;
}

std::vector<int64_t> most_probable(const at::Tensor& probabilities, int64_t count) {
  const at::Tensor order =
      std::get<1>(probabilities.sort(/*stable=*/true, /*dim=*/0, /*descending=*/true));
  std::vector<int64_t> indices;
  for (int64_t k = 0; k < std::min(count, order.size(0)); ++k) {
    indices.push_back(order[k].item<int64_t>());
  }
  return indices;
}

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
    const trmml::data::Image& image,
    const at::Tensor& saliency) {
  const at::Tensor map = saliency.to(at::kCPU, at::kFloat).contiguous();
  const auto cells =
      static_cast<int>(std::lround(std::sqrt(static_cast<double>(map.numel()))));
  return trmml::report::heatmap(
      {image.width, image.height, image.rgb},
      {map.data_ptr<float>(), static_cast<size_t>(map.numel())},
      cells,
      cells);
}

std::string map_name(
    int64_t picture,
    const std::string& path,
    int64_t category,
    const std::string& name) {
  return fmt::format(
      "{:05}-{}-{:03}-{}.png",
      picture,
      safe(std::filesystem::path(path).stem().string()),
      category,
      safe(name));
}

}  // namespace experiment
