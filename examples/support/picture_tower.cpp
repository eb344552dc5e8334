#include "support/picture_tower.hpp"

#include "trmml/clip/frozen_image_tower.hpp"
#include "trmml/clip/preprocess.hpp"
#include "trmml/data/normalize.hpp"

#include <memory>

namespace experiment {

clip_program::Options clip_options(const PictureOptions& options) {
  clip_program::Options clip;
  clip.clip = options.clip;
  clip.vocab = options.vocab;
  clip.quick_gelu = options.quick_gelu;
  clip.threads = options.threads;
  clip.device = options.device;
  return clip;
}

trmml::data::TestTransform test_transform(const PictureOptions& options) {
  trmml::data::TestTransformOptions test;
  test.side = static_cast<int>(options.resolution);
  return trmml::data::TestTransform(test);
}

trmml::training::ImageEncoder encoder_of(
    const clip_program::Clip& clip,
    const PictureOptions& options) {
  using trmml::clip::DenseForm;
  using trmml::clip::FrozenImageTower;
  const auto form = options.dense == "plain" ? DenseForm::kPlain : DenseForm::kDualCoOp;
  const auto dtype = options.precision == "bf16" ? at::kBFloat16 : at::kFloat;
  trmml::clip::ClipModel model = clip.model;
  return [tower = std::make_shared<const FrozenImageTower>(*model, dtype),
          device = clip.device,
          form,
          pixels = trmml::clip::PreprocessOptions(options.resolution)](
             const at::Tensor& images) {
    return tower->image_features(
        trmml::data::normalize(images.to(device), pixels.mean(), pixels.std()), form);
  };
}

}  // namespace experiment
