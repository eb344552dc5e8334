#pragma once

#include "trmml/data/label_table.hpp"

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

// FashionScenes: multi-label scenes composed of real photographs (Fashion-MNIST), the
// embedded default of this library. Ours. Integer arithmetic on raw outputs of
// std::mt19937 only: the same bytes on every machine.

namespace trmml::data {

/// The photographs of Fashion-MNIST, 28 x 28 grey, in the three pools of FashionScenes:
/// pretrain = training photographs 0..39999, train = 40000..59999, test = the test set.
class FashionMnist {
 public:
  static constexpr int kSide = 28;
  enum class Pool { kPretrain = 0, kTrain = 1, kTest = 2 };

  /// Reads the four IDX files (plain or .gz) of a folder. Throws `DataError` that names
  /// the file and what is wrong with it.
  static FashionMnist load(const std::filesystem::path& folder);

  /// The `index`-th photograph (modulo their number) of a garment in a pool.
  const uint8_t* photo(Pool pool, int garment, uint32_t index) const;

 private:
  std::vector<uint8_t> pixels_;  // all pools, one after the other
  std::array<std::array<std::vector<uint32_t>, 10>, 3> by_garment_;
};

/// Where Debian's package dataset-fashion-mnist puts the files.
inline constexpr const char* kFashionMnistFolder = "/usr/share/datasets/fashion-mnist";

/// The 18 categories: ten garments, then "<colour> garment" for eight colours.
const std::vector<std::string>& scene_classnames();
inline constexpr int kSceneGarments = 10;
inline constexpr int kSceneColours = 8;
inline constexpr int kSceneCategories = kSceneGarments + kSceneColours;

/// One painted garment.
struct SceneItem {
  int garment = 0;       ///< 0..9
  int colour = 0;        ///< 0..7
  int visible_area = 0;  ///< pixels that no later garment covers
};

/// One picture.
struct Scene {
  int side = 0;                  ///< width and height in pixels
  std::vector<uint8_t> rgb;      ///< [side, side, 3]
  std::vector<SceneItem> items;  ///< in the order they were painted
};

/// kScene: 96 x 96, up to five garments, clutter, coloured light, outfits that
/// co-occur; kWeb: 48 x 48, one or two garments, drawn uniformly: pictures for
/// pre-training.
enum class SceneKind { kScene, kWeb };

/// The pictures of one pool in order; each uses a fixed number of random outputs, so
/// any picture can be reached directly.
class SceneGenerator {
 public:
  SceneGenerator(
      std::shared_ptr<const FashionMnist> photos,
      FashionMnist::Pool pool,
      SceneKind kind);

  /// Skips `n` pictures (cheap: no picture is painted).
  void skip(int64_t n);

  /// Paints the next picture.
  Scene next();

 private:
  std::shared_ptr<const FashionMnist> photos_;
  FashionMnist::Pool pool_;
  SceneKind kind_;
  std::mt19937 engine_;
};

/// Pictures and complete labels of a run of scenes.
struct SceneSet {
  at::Tensor images;         ///< uint8 [N, 96, 96, 3]
  at::Tensor labels;         ///< int8 [N, 18] in {-1, +1}
  std::vector<Scene> items;  ///< [N], without their pixels

  /// The same as a table; images are called "train/000017" after their pool.
  LabelTable table(FashionMnist::Pool pool, int64_t first) const;
};

/// Scenes `first` .. `first + count - 1` of a pool. The library's splits: train =
/// 0..1999 and held-out = 2000..2999 of the training pool, test = 0..1999 of the test
/// pool.
SceneSet make_scenes(
    const std::shared_ptr<const FashionMnist>& photos,
    FashionMnist::Pool pool,
    int64_t first,
    int64_t count);

/// The category that an annotator in a hurry would name: of the item with the largest
/// visible area, its garment or its colour by a fair draw
/// (`RandomState(1200 + seed).randint(0, 2)`). One category a scene; for
/// `keep_one_positive`.
std::vector<int64_t> salient_categories(const std::vector<Scene>& items, uint32_t seed);

/// A caption that mentions a random part of what is in the picture, e.g. "a photo of a
/// red sneaker and a bag." (each item with probability 0.7, at least one).
std::string scene_caption(const Scene& scene, std::mt19937& engine);

}  // namespace trmml::data
