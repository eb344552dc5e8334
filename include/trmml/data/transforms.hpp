#pragma once

#include "trmml/data/image.hpp"
#include "trmml/data/image_ops.hpp"

#include <random>
#include <vector>

// What becomes of a picture before a model sees it. No LibTorch here: bytes in, bytes
// out. `data/image_dataset.hpp` makes tensors.
//
// All that is random is drawn from the engine that is passed, `std::mt19937`, by the
// rules of NumPy's `RandomState` (`core/random.hpp`), in the order that is documented:
// the same on every machine, and `RandomState(seed)` in Python makes the same pictures
// with Pillow (tests/reference/transforms.py).

namespace trmml::data {

/// Which part of a picture a random crop takes.
struct RandomCropOptions {
  /// Of the picture's area, 0 < min_area <= max_area. Ours: torchvision starts at 0.08.
  double min_area = 0.5;
  double max_area = 1.0;

  /// Width / height, 0 < min_ratio <= max_ratio.
  double min_ratio = 3.0 / 4.0;
  double max_ratio = 4.0 / 3.0;
};

/// The rectangle of torchvision's `RandomResizedCrop`: ten times an area, drawn
/// uniformly, and a ratio, whose logarithm is drawn uniformly; the first that fits lies
/// where top and left are drawn. If none fits, the middle of the picture with the
/// nearest ratio in range. Draws: area, ratio (each time); top, left.
///
/// Throws `std::invalid_argument` for sides or options out of their range.
Box random_crop_box(
    int width,
    int height,
    const RandomCropOptions& options,
    std::mt19937& engine);

/// Cutout (DeVries and Taylor, 2017): a rectangle of `ratio` of each side around a
/// centre drawn uniformly, less what lies beyond the border: it may be empty. Its sides
/// are twice floor(ratio * side / 2), rounded as in public multi-label code: ratio *
/// side to the nearest whole number first. `ratio` in [0, 1]. Draws: row, column of the
/// centre.
Box cutout_box(int width, int height, double ratio, std::mt19937& engine);

/// What RandAugment chooses from. With m = magnitude / 30 and * for a sign drawn at
/// random:
enum class Operation {
  kIdentity,
  kAutoContrast,
  kEqualize,
  kInvert,
  kRotate,      ///< by * 30 m degrees
  kPosterize,   ///< to 8 - round(4 m) bits
  kSolarize,    ///< from 255 (1 - m) on
  kColor,       ///< factor 1 * 0.9 m; so the next three
  kContrast,    ///< see kColor
  kBrightness,  ///< see kColor
  kSharpness,   ///< see kColor
  kShearX,      ///< by * 0.3 m
  kShearY,
  kTranslateX,  ///< by * trunc(150 / 331 m width) pixels
  kTranslateY,
};

/// Options for `rand_augment`.
struct RandAugmentOptions {
  /// Operations one after the other, N >= 0; 0: none.
  int count = 2;

  /// M in [0, 30].
  double magnitude = 9.0;

  /// What is drawn from, each with the same probability. Cubuk et al. have kIdentity
  /// where this list has kInvert.
  std::vector<Operation> operations = {
      Operation::kAutoContrast,
      Operation::kEqualize,
      Operation::kInvert,
      Operation::kRotate,
      Operation::kPosterize,
      Operation::kSolarize,
      Operation::kColor,
      Operation::kContrast,
      Operation::kBrightness,
      Operation::kSharpness,
      Operation::kShearX,
      Operation::kShearY,
      Operation::kTranslateX,
      Operation::kTranslateY};

  /// Where a picture was moved away from.
  Colour fill = {0, 0, 0};
};

/// One operation at `magnitude` in [0, 30], in place; `is_negative` is the drawn sign.
/// Strengths are torchvision's, pixels Pillow's, to the nearest one.
void apply_operation(
    Image& image,
    Operation operation,
    double magnitude,
    bool is_negative,
    const Colour& fill);

/// RandAugment (Cubuk et al., 2020) in place. Draws for each operation: which; then, if
/// it has one, the sign.
void rand_augment(
    Image& image,
    const RandAugmentOptions& options,
    std::mt19937& engine);

/// Options for `TrainTransform`: all ours, after public multi-label code.
///
/// Example:
/// ```
/// data::TrainTransformOptions options;
/// options.side = 224;
/// options.rand_augment.count = 0;
/// ```
struct TrainTransformOptions {
  /// Pixels S a side of what comes out, 1 to 16384.
  int side = 448;

  /// How often a random crop becomes S x S; else all of the picture does (squashed) and
  /// a part is cut out of it.
  double crop_probability = 0.5;
  RandomCropOptions crop;

  /// Of the side, in [0, 1]; 0: nothing is cut out.
  double cutout_ratio = 0.5;

  /// What is cut out becomes this: the mean colour of photographs, zero once it is
  /// normalised.
  Colour cutout_fill = {123, 117, 104};

  RandAugmentOptions rand_augment;
  double flip_probability = 0.5;
  Filter filter = Filter::kBicubic;
  PassOrder pass_order = PassOrder::kPillow13;
};

/// A picture for training: one of {random crop to S x S; squash to S x S, then cutout},
/// RandAugment, mirror. Draws: which of the two; those of the one; those of
/// RandAugment; whether to mirror. Threads may call it at the same time.
///
/// Throws `std::invalid_argument` for options out of their range.
///
/// Example:
/// ```
/// std::mt19937 engine(0);
/// const data::Image seen = data::TrainTransform({})(data::read_image(path), engine);
/// ```
class TrainTransform {
 public:
  explicit TrainTransform(const TrainTransformOptions& options);
  Image operator()(const Image& image, std::mt19937& engine) const;
  const TrainTransformOptions& options() const { return options_; }

 private:
  TrainTransformOptions options_;
};

/// Options for `TestTransform`.
struct TestTransformOptions {
  int side = 448;  ///< pixels S a side of what comes out, 1 to 16384
  Filter filter = Filter::kBicubic;
  PassOrder pass_order = PassOrder::kPillow13;
};

/// A picture for testing: squashed to S x S, as the multi-label protocols do. Draws
/// nothing. Throws as `TrainTransform` does.
class TestTransform {
 public:
  explicit TestTransform(const TestTransformOptions& options);
  Image operator()(const Image& image, std::mt19937& engine) const;
  const TestTransformOptions& options() const { return options_; }

 private:
  TestTransformOptions options_;
};

}  // namespace trmml::data
