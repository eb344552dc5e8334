#pragma once

#include "trmml/core/check.hpp"
#include "trmml/data/dataset.hpp"
#include "trmml/data/scenes.hpp"

#include <ATen/ops/rand.h>

#include <utility>

namespace trmml::data {

/// Scenes as a `Dataset`: uint8 images [3, H, W] with the labels that training is
/// shown; with `flip`, each picture is mirrored in half of its epochs. Ours.
/// ```
/// auto scenes = make_scenes(photos, FashionMnist::Pool::kTrain, 0, 2000);
/// auto labels = known_label_proportion(scenes.labels, 0.1);
/// Loader loader(std::make_shared<SceneDataset>(scenes.images, labels), 64);
/// ```
class SceneDataset : public Dataset {
 public:
  /// `images` uint8 [N, H, W, 3] as in `SceneSet`; `labels` [N, C] in {-1, 0, +1}.
  SceneDataset(at::Tensor images, at::Tensor labels, bool flip = false)
      : images_(std::move(images)), labels_(std::move(labels)), flip_(flip) {
    constexpr auto kWhere = "SceneDataset";
    check_shape(images_, {kAnySize, kAnySize, kAnySize, 3}, kWhere, "images");
    check_labels(labels_, {images_.size(0), kAnySize}, kWhere);
  }

  int64_t size() const override { return images_.size(0); }

  Sample get(int64_t index, at::Generator& augmentation) const override {
    at::Tensor image = images_.select(0, index).permute({2, 0, 1});  // [3, H, W]
    if (flip_ && at::rand({1}, augmentation).item<float>() < 0.5F) {
      image = image.flip(2);
    }
    return {image.contiguous(), labels_.select(0, index), index};
  }

 private:
  at::Tensor images_;
  at::Tensor labels_;
  bool flip_;
};

}  // namespace trmml::data
