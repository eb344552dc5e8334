#pragma once

#include "trmml/clip/clip_model.hpp"
#include "trmml/clip/tokenizer.hpp"
#include "trmml/data/scenes.hpp"
#include "trmml/training/clip_pretraining.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>

// What the small CLIP is made of: its towers, its vocabulary, and the pictures and
// captions that it is trained on.

namespace scenes {

using Photos = std::shared_ptr<const trmml::data::FashionMnist>;

/// A modified ResNet with one bottleneck a stage and a text tower of two layers; joint
/// width 128.
trmml::clip::ClipModelOptions small_clip_options(int64_t width, int64_t vocab_size);

/// Pictures in the order of their pool; captions and flips drawn by (seed, step), so
/// that a resumed run sees what an uninterrupted one would.
class PairSource {
 public:
  PairSource(
      const Photos& photos,
      trmml::clip::Tokenizer tokenizer,
      int64_t batch,
      uint64_t seed,
      int64_t first_step);

  /// Images [batch, 3, 96, 96], normalised, and ids [batch, 40].
  trmml::training::PairBatch next();

 private:
  trmml::clip::Tokenizer tokenizer_;
  int64_t batch_;
  uint64_t seed_;
  int64_t step_;
  trmml::data::SceneGenerator pictures_;
};

/// Learns `n_merges` byte-pair merges from 20,000 captions and writes them to `path`.
void learn_vocabulary(
    const Photos& photos,
    uint64_t seed,
    int64_t n_merges,
    const std::filesystem::path& path);

/// Writes the weights as fp16, with the sizes of the towers.
void write_weights(
    const trmml::clip::ClipModel& model,
    const std::filesystem::path& path);

}  // namespace scenes
