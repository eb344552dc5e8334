#pragma once

#include "trmml/clip/clip_model.hpp"
#include "trmml/clip/image_features.hpp"
#include "trmml/data/split.hpp"
#include "trmml/method/classnames.hpp"
#include "trmml/method/feature_source.hpp"
#include "trmml/report/picture.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

// What an experiment needs of its data and its CLIP, wherever they come from.

namespace experiment {

/// Pictures with their frozen features and complete labels.
struct Part {
  trmml::Features features;  ///< of n pictures
  at::Tensor labels;         ///< int8 [n, C]; 0 what a test leaves out
  at::Tensor zero_shot;      ///< [n, C] or undefined: then `zero_shot_of` computes it
  std::function<trmml::report::Picture(int64_t)> picture;  ///< for reports
};

/// Everything that does not depend on method, protocol or seed.
struct World {
  trmml::clip::ClipModel clip{nullptr};
  std::string clip_description;  ///< file and shape, for reports; may be empty
  trmml::TokenizedClassnames classnames;
  at::Tensor frozen_text;  ///< [C, D] text features of "a photo of a {name}."

  std::string dataset;              ///< "FashionScenes", for reports
  trmml::data::Split all_train;     ///< from which protocols hide labels
  std::vector<int64_t> train_rows;  ///< [n] rows of `all_train` that `train` holds
  /// Where the salient category of a picture is a draw: in place of
  /// `all_train.salient`.
  std::function<std::vector<int64_t>(uint32_t seed)> salient;
  std::string test_name;  ///< of the test split, for reports
  /// How many pictures of each part were left out because they cannot be read, for
  /// reports; empty: nobody looked.
  std::vector<std::pair<std::string, int64_t>> unreadable;
  Part train;  ///< empty where its pictures are not looked at
  Part held_out;
  Part test;

  trmml::clip::ImageFeatures sample;  ///< of a few pictures: of a dry run, which has no
                                      ///< parts

  const std::vector<std::string>& names() const { return all_train.table.classnames; }
};

/// Which views of the training pictures are looked at, the least first.
enum class TrainingViews { kNone, kPlain, kAll };

/// How often runs look at all pictures of each part, which is what they cost where
/// features are computed on the fly.
struct Passes {
  int64_t train = 0;
  int64_t held_out = 0;
  int64_t test = 0;
  int64_t batch = 0;  ///< pictures of a step that are in memory; 0: nothing is trained
};

/// What loading a world tells and asks.
struct WorldCallbacks {
  std::function<void(const std::string&)> log;
  std::function<bool()> should_stop;

  /// Before anything is encoded, which takes long: the world has its labels, its rows
  /// and its texts, and no features. Throws when it is of no use. May be empty.
  std::function<void(const World&)> check;

  /// Pictures in files are encoded in no other views of the training part.
  TrainingViews training_views = TrainingViews::kAll;

  /// Of all that is run on the world, for what a dry run says.
  Passes passes = {};
};

/// Pictures that `collect` looks at together: on the fly, one may take a second.
inline constexpr int64_t kCollected = 32;

/// What `map` makes of the features of all pictures, batch by batch, as one tensor.
/// Throws `trmml::Interrupted` between two batches when `should_stop`, which may be
/// empty, says so.
at::Tensor collect(
    const Part& part,
    const std::function<bool()>& should_stop,
    const std::function<at::Tensor(const trmml::clip::ImageFeatures&)>& map);

/// The zero-shot scores [n, C] of a part, computed by `collect` when first asked for.
const at::Tensor&
zero_shot_of(const World& world, Part& part, const std::function<bool()>& should_stop);

}  // namespace experiment
