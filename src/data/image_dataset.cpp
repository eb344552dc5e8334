#include "trmml/data/image_dataset.hpp"

#include "trmml/core/check.hpp"
#include "trmml/core/random.hpp"

#include <ATen/ops/empty.h>

#include <utility>

namespace trmml::data {

ImageDataset::ImageDataset(
    std::filesystem::path root,
    std::vector<std::string> images,
    at::Tensor labels,
    Transform transform,
    const ImageDatasetOptions& options)
    : root_(std::move(root)),
      images_(std::move(images)),
      labels_(std::move(labels)),
      transform_(std::move(transform)),
      options_(options),
      tables_(normalize_tables(options.mean(), options.std())) {
  constexpr auto kWhere = "ImageDataset";
  check_labels(labels_, {size(), kAnySize}, kWhere);
  TORCH_CHECK_VALUE(
      transform_ != nullptr, kWhere, ": expected a transform, got an empty function");
  for (const float std : options_.std()) {
    TORCH_CHECK_VALUE(std > 0, kWhere, ": expected std above 0, got ", std);
  }
}

ImageDataset::ImageDataset(
    const Split& split,
    at::Tensor labels,
    Transform transform,
    const ImageDatasetOptions& options)
    : ImageDataset(
          split.root,
          split.table.images,
          std::move(labels),
          std::move(transform),
          options) {}

std::filesystem::path ImageDataset::path(int64_t index) const {
  TORCH_CHECK_INDEX(
      index >= 0 && index < size(),
      "ImageDataset: expected an index from 0 to ",
      size() - 1,
      ", got ",
      index);
  return root_ / images_[static_cast<size_t>(index)];
}

Sample ImageDataset::get(int64_t index, at::Generator& augmentation) const {
  const std::filesystem::path file = path(index);
  Image image;
  try {
    image = read_image(file, options_.reading());
  } catch (const DataError& error) {
    throw UnreadablePicture(index, error.what());
  }
  std::mt19937 engine = make_engine(augmentation);
  const Image seen = transform_(image, engine);
  at::Tensor pixels = at::empty(
      {3, seen.height, seen.width}, options_.normalized() ? at::kFloat : at::kByte);
  if (options_.normalized()) {
    to_planes(seen, tables_, pixels.data_ptr<float>());
  } else {
    to_planes(seen, pixels.data_ptr<uint8_t>());
  }
  return {pixels, labels_.select(0, index), index};
}

}  // namespace trmml::data
