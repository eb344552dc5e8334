#include "trmml/data/transforms.hpp"

#include <cmath>
#include <limits>
#include <random>
#include <set>
#include <string>

#include "reference/transforms.hpp"
#include "support/arguments.hpp"
#include "support/catch.hpp"
#include "support/pictures.hpp"

using namespace trmml::data;
using support::argument_error;
using support::crc;
using support::picture;

namespace {

const std::vector<Operation> kDefault = RandAugmentOptions().operations;

TrainTransformOptions small() {
  TrainTransformOptions options;
  options.side = 24;
  options.rand_augment.count = 0;
  options.flip_probability = 0;
  return options;
}

}  // namespace

TEST_CASE("transforms: RandAugment's operations, to the bit") {
  REQUIRE(kDefault.size() == 14);
  for (const auto& expected : reference::transforms::kOperate) {
    CAPTURE(expected.operation, expected.magnitude, expected.is_negative);
    Image image = picture(41, 29, 3);
    apply_operation(
        image,
        kDefault[static_cast<size_t>(expected.operation)],
        expected.magnitude,
        expected.is_negative,
        {0, 0, 0});
    CHECK(crc(image) == expected.crc);
  }
  Image image = picture(41, 29, 3);
  apply_operation(image, Operation::kIdentity, 30, true, {0, 0, 0});
  CHECK(image.rgb == picture(41, 29, 3).rgb);
}

TEST_CASE("transforms: rectangles of RandomResizedCrop, drawn as RandomState draws") {
  for (const auto& expected : reference::transforms::kCrop) {
    CAPTURE(expected.width, expected.height, expected.seed);
    std::mt19937 engine(expected.seed);
    const Box box = random_crop_box(expected.width, expected.height, {}, engine);
    CHECK(box.left == expected.box[0]);
    CHECK(box.top == expected.box[1]);
    CHECK(box.width == expected.box[2]);
    CHECK(box.height == expected.box[3]);
  }
}

TEST_CASE("transforms: rectangles are uniform in area, and lie everywhere") {
  std::mt19937 engine(3);
  double area = 0;
  double ratio = 0;
  std::set<int> lefts;
  constexpr int kDraws = 4000;
  for (int i = 0; i < kDraws; ++i) {
    const Box box = random_crop_box(400, 400, {0.2, 0.4, 3.0 / 4.0, 4.0 / 3.0}, engine);
    const double share = box.width * box.height / 160000.0;
    CHECK(share > 0.195);
    CHECK(share < 0.405);
    area += share / kDraws;
    ratio += std::log(static_cast<double>(box.width) / box.height) / kDraws;
    CHECK(box.left + box.width <= 400);
    CHECK(box.top + box.height <= 400);
    lefts.insert(box.left);
  }
  CHECK(std::abs(area - 0.3) < 0.005);
  CHECK(std::abs(ratio) < 0.02);
  CHECK(*lefts.begin() == 0);
  CHECK(lefts.size() > 150);
}

TEST_CASE("transforms: cutout's rectangle by its definition") {
  std::mt19937 engine(4);
  std::set<std::pair<int, int>> sizes;
  int whole = 0;
  for (int i = 0; i < 3000; ++i) {
    const Box box = cutout_box(20, 12, 0.5, engine);
    CHECK(box.left >= 0);
    CHECK(box.top >= 0);
    CHECK(box.left + box.width <= 20);
    CHECK(box.top + box.height <= 12);
    CHECK(box.width >= 5);  // centre in the first column: half of 10
    CHECK(box.height >= 3);
    whole += box.width == 10 && box.height == 6 ? 1 : 0;
    sizes.insert({box.width, box.height});
  }
  // Whole with centres in 5..15 of 20 columns and 3..9 of 12 rows.
  CHECK(std::abs(whole / 3000.0 - 11.0 / 20 * 7 / 12) < 0.03);
  CHECK(sizes.size() == 6 * 4);
  CHECK(cutout_box(20, 12, 0.0, engine).width == 0);
}

TEST_CASE("transforms: a picture for training, as Pillow and RandomState make it") {
  TrainTransformOptions options;
  options.side = 48;
  const TrainTransform transform(options);
  for (const auto& expected : reference::transforms::kTrain) {
    CAPTURE(expected.width, expected.height, expected.seed);
    std::mt19937 engine(expected.seed);
    const Image image = transform(
        picture(expected.width, expected.height, 2 + expected.seed % 2), engine);
    CHECK(image.width == 48);
    CHECK(image.height == 48);
    CHECK(crc(image) == expected.crc);
  }
}

TEST_CASE("transforms: each part can be switched off") {
  const Image image = picture(40, 30, 2);
  std::mt19937 engine(5);
  const Image squashed = resize(image, 24, 24);

  TrainTransformOptions options = small();
  options.crop_probability = 0;
  options.cutout_ratio = 0;
  CHECK(TrainTransform(options)(image, engine).rgb == squashed.rgb);

  options.flip_probability = 1;
  Image mirrored = squashed;
  flip_horizontal(mirrored);
  CHECK(TrainTransform(options)(image, engine).rgb == mirrored.rgb);

  options = small();
  options.crop_probability = 0;
  options.cutout_ratio = 1;
  options.cutout_fill = {1, 2, 3};
  const Image cut = TrainTransform(options)(image, engine);
  size_t filled = 0;
  for (size_t i = 0; i < cut.rgb.size(); i += 3) {
    const bool is_filled =
        cut.rgb[i] == 1 && cut.rgb[i + 1] == 2 && cut.rgb[i + 2] == 3;
    filled += is_filled ? 1 : 0;
    CHECK((is_filled || cut.rgb[i] == squashed.rgb[i]));
  }
  CHECK(filled >= 24 * 24 / 4);

  options = small();
  options.crop_probability = 1;
  options.crop = {1.0, 1.0, 4.0 / 3.0, 4.0 / 3.0};
  CHECK(TrainTransform(options)(image, engine).rgb == squashed.rgb);

  options = small();
  options.crop_probability = 0;
  options.cutout_ratio = 0;
  options.rand_augment.count = 2;
  options.rand_augment.operations = {Operation::kInvert};
  CHECK(TrainTransform(options)(image, engine).rgb == squashed.rgb);  // twice

  TestTransformOptions test;
  test.side = 24;
  CHECK(TestTransform(test)(image, engine).rgb == squashed.rgb);
  test.filter = Filter::kBilinear;
  CHECK(
      TestTransform(test)(image, engine).rgb ==
      resize(image, 24, 24, Filter::kBilinear).rgb);
}

TEST_CASE("transforms: messages") {
  std::mt19937 engine(6);
  TrainTransformOptions options;
  const auto message = [&] { return argument_error([&] { TrainTransform{options}; }); };
  options.side = 0;
  CHECK(message() == "TrainTransformOptions: expected side from 1 to 16384, got 0");
  options = {};
  options.crop_probability = 1.5;
  CHECK(message() == "transforms: expected crop_probability from 0 to 1, got 1.5");
  options = {};
  options.flip_probability = std::numeric_limits<double>::quiet_NaN();
  CHECK(message() == "transforms: expected flip_probability from 0 to 1, got nan");
  options = {};
  options.crop.min_area = 0;
  CHECK(
      message() == "RandomCropOptions: expected 0 < min_area <= max_area, got 0 and 1");
  options = {};
  options.crop.max_ratio = 0.5;
  CHECK(
      message() ==
      "RandomCropOptions: expected 0 < min_ratio <= max_ratio, got 0.75 and 0.5");
  options = {};
  options.rand_augment.magnitude = 31;
  CHECK(message() == "RandAugmentOptions: expected magnitude from 0 to 30, got 31");
  options = {};
  options.rand_augment.operations.clear();
  CHECK(
      message() == "RandAugmentOptions: expected an operation to draw from, got none");
  options.rand_augment.count = 0;
  CHECK(message() == "no error");
  CHECK(argument_error([&] {
          cutout_box(4, 4, 1.5, engine);
        }) == "transforms: expected cutout_ratio from 0 to 1, got 1.5");
  CHECK(argument_error([&] {
          random_crop_box(4, 0, {}, engine);
        }) == "random_crop_box: expected positive sides, got 4 x 0");
  CHECK(argument_error([&] {
          TestTransform{{-1, Filter::kBicubic, PassOrder::kPillow13}};
        }) == "TestTransformOptions: expected side from 1 to 16384, got -1");
}
