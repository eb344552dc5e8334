#include "support/picture_tower.hpp"

#include "trmml/clip/preprocess.hpp"
#include "trmml/core/torch_version.hpp"
#include "trmml/data/normalize.hpp"

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
  const auto form = options.dense == "plain" ? DenseForm::kPlain : DenseForm::kDualCoOp;
  return [model = clip.model,
          device = clip.device,
          form,
          pixels = trmml::clip::PreprocessOptions(options.resolution),
          is_bf16 = options.precision == "bf16"](const at::Tensor& images) mutable {
    const at::Tensor x =
        trmml::data::normalize(images.to(device), pixels.mean(), pixels.std())
            .contiguous(at::MemoryFormat::ChannelsLast);
    const trmml::CpuAutocastGuard autocast(is_bf16 && device.is_cpu());
    return model->image_features(x, form);
  };
}

}  // namespace experiment
