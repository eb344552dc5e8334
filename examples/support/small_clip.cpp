#include "support/small_clip.hpp"

#include "trmml/clip/preprocess.hpp"
#include "trmml/core/random.hpp"
#include "trmml/io/module_weights.hpp"
#include "trmml/io/safetensors.hpp"

#include <ATen/ATen.h>

#include <random>
#include <string>
#include <utility>
#include <vector>

namespace scenes {

namespace clip = trmml::clip;

namespace {

constexpr int64_t kContextLength = 40;

trmml::data::SceneGenerator web_pictures(const Photos& photos) {
  return {
      photos, trmml::data::FashionMnist::Pool::kPretrain, trmml::data::SceneKind::kWeb};
}

}  // namespace

clip::ClipModelOptions small_clip_options(int64_t width, int64_t vocab_size) {
  return {
      clip::ModifiedResNetOptions(128)
          .width(width)
          .layers({1, 1, 1, 1})
          .heads(8)
          .input_resolution(96),
      clip::TextTransformerOptions(128)
          .vocab_size(vocab_size)
          .context_length(kContextLength)
          .width(128)
          .heads(2)
          .layers(2)};
}

PairSource::PairSource(
    const Photos& photos,
    clip::Tokenizer tokenizer,
    int64_t batch,
    uint64_t seed,
    int64_t first_step)
    : tokenizer_(std::move(tokenizer)),
      batch_(batch),
      seed_(seed),
      step_(first_step),
      pictures_(web_pictures(photos)) {
  pictures_.skip(first_step * batch);
}

trmml::training::PairBatch PairSource::next() {
  std::mt19937 engine(static_cast<uint32_t>(
      trmml::derive_seed(seed_, static_cast<uint64_t>(step_++), "captions")));
  at::Tensor images = at::empty({batch_, 48, 48, 3}, at::kByte);
  std::vector<std::string> captions;
  for (int64_t i = 0; i < batch_; ++i) {
    const trmml::data::Scene scene = pictures_.next();
    const at::Tensor image = at::tensor(at::ArrayRef<uint8_t>(scene.rgb), at::kByte)
                                 .view({scene.side, scene.side, 3});
    const bool flip = (engine() & 1U) != 0;
    images[i].copy_(flip ? image.flip(1) : image);
    captions.push_back(trmml::data::scene_caption(scene, engine));
  }
  return {
      clip::normalize_images(images, 2), tokenizer_.tokenize(captions, kContextLength)};
}

void learn_vocabulary(
    const Photos& photos,
    uint64_t seed,
    int64_t n_merges,
    const std::filesystem::path& path) {
  trmml::data::SceneGenerator pictures = web_pictures(photos);
  std::mt19937 engine(static_cast<uint32_t>(trmml::derive_seed(seed, 0, "vocabulary")));
  std::vector<std::string> captions;
  for (int i = 0; i < 20000; ++i) {
    captions.push_back(trmml::data::scene_caption(pictures.next(), engine));
  }
  clip::write_merges(path, clip::learn_merges(captions, n_merges));
}

void write_weights(const clip::ClipModel& model, const std::filesystem::path& path) {
  trmml::io::TensorMap tensors = trmml::io::module_tensors(*model);
  for (auto& [name, tensor] : tensors) {
    if (tensor.is_floating_point()) {
      tensor = tensor.to(at::kHalf);
    }
  }
  trmml::io::write_safetensors(path, tensors, model->options.to_metadata());
}

}  // namespace scenes
