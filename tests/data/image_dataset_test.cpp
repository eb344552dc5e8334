#include "trmml/data/image_dataset.hpp"

#include "trmml/clip/preprocess.hpp"
#include "trmml/core/random.hpp"
#include "trmml/data/loader.hpp"
#include "trmml/data/normalize.hpp"
#include "trmml/data/transforms.hpp"

#include <ATen/ATen.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "support/batches.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/temporary_folder.hpp"
#include "support/tensors.hpp"

using namespace trmml::data;
using support::all_batches;
using support::error_of;
using support::same_batches;

namespace {

const std::filesystem::path kFolder = TRMML_TEST_PICTURES;
const std::vector<std::string> kFiles =
    {"rgb-8.png", "grey-8.png", "rgb.bmp", "palette-8.png", "plain.gif", "core.bmp"};

// Row i holds i - 1 in base 3, shifted.
at::Tensor labels_of(size_t n) {
  const auto rows = static_cast<int64_t>(n);
  return at::arange(rows * 4).remainder(3).sub(1).to(at::kChar).view({rows, 4});
}

TestTransform squash(int side) {
  TestTransformOptions options;
  options.side = side;
  return TestTransform(options);
}

TrainTransform train(int side) {
  TrainTransformOptions options;
  options.side = side;
  return TrainTransform(options);
}

Image read(size_t i) {
  return read_image(kFolder / kFiles[i]);
}

// [3, H, W] of interleaved bytes, by LibTorch.
at::Tensor planes(const Image& image) {
  std::vector<uint8_t> bytes = image.rgb;
  return at::from_blob(bytes.data(), {image.height, image.width, 3}, at::kByte)
      .permute({2, 0, 1})
      .contiguous();
}

// Pictures 0 .. 7 of which 1, 2, 3 and 6 cannot be read.
struct Damaged {
  Damaged() {
    for (int i = 0; i < 8; ++i) {
      const std::string name = "a/" + std::to_string(i) + ".png";
      std::filesystem::create_directories(folder / "a");
      std::string bytes = support::read_bytes(kFolder / "rgb-8.png");
      if (i == 1 || i == 3) {
        bytes.resize(bytes.size() / 2);
      } else if (i == 6) {
        bytes.clear();
      }
      if (i != 2) {
        support::write_bytes(folder / name, bytes);
      }
      names.push_back(name);
    }
  }

  std::shared_ptr<ImageDataset> dataset() const {
    return std::make_shared<ImageDataset>(
        folder.path(), names, labels_of(names.size()), squash(8));
  }

  support::TemporaryFolder folder;
  std::vector<std::string> names;
};

}  // namespace

TEST_CASE("image data set: the bytes of each file, squashed, with its labels") {
  const at::Tensor labels = labels_of(kFiles.size());
  Split split;
  split.name = "six files";
  split.root = kFolder;
  split.table.images = kFiles;
  split.table.labels = at::ones_like(labels);
  const ImageDataset dataset(split, labels, squash(9));
  REQUIRE(dataset.size() == 6);
  CHECK(dataset.path(4) == kFolder / "plain.gif");
  for (int64_t i = 0; i < dataset.size(); ++i) {
    at::Generator generator = augmentation_generator(0, 0, i);
    const Sample sample = dataset.get(i, generator);
    const Image expected = resize(read(static_cast<size_t>(i)), 9, 9);
    CHECK(at::equal(sample.image, planes(expected)));
    CHECK(at::equal(sample.labels, labels[i]));
    CHECK(sample.index == i);
  }
}

TEST_CASE("image data set: draws come from the picture's generator alone") {
  const auto dataset = std::make_shared<ImageDataset>(
      kFolder, kFiles, labels_of(kFiles.size()), train(12));
  const auto batches = [&](int64_t workers, int64_t epoch) {
    return all_batches(
        Loader(dataset, LoaderOptions(4).workers(workers).seed(5)), epoch);
  };
  const auto alone = batches(0, 2);
  REQUIRE(alone.size() == 2);
  for (const int64_t workers : {1, 3}) {
    CHECK(same_batches(batches(workers, 2), alone));
  }
  CHECK_FALSE(same_batches(batches(0, 3), alone));
  for (const Batch& batch : alone) {
    for (int64_t i = 0; i < batch.size(); ++i) {
      const auto index = batch.indices[i].item<int64_t>();
      at::Generator generator = augmentation_generator(5, 2, index);
      std::mt19937 engine = trmml::make_engine(generator);
      const Image expected = train(12)(read(static_cast<size_t>(index)), engine);
      CHECK(at::equal(batch.images[i], planes(expected)));
    }
  }
}

TEST_CASE("image data set: normalised by the worker or on the batch, the same bits") {
  using trmml::clip::kPixelMean;
  using trmml::clip::kPixelStd;
  const at::Tensor labels = labels_of(kFiles.size());
  const auto batch_of = [&](const ImageDatasetOptions& options) {
    return *Loader(
                std::make_shared<ImageDataset>(
                    kFolder, kFiles, labels, squash(10), options),
                LoaderOptions(6).shuffle(false))
                .epoch(0)
                .begin();
  };
  const Batch bytes = batch_of({});
  CHECK(bytes.images.scalar_type() == at::kByte);
  const Batch numbers =
      batch_of(ImageDatasetOptions().normalized(true).mean(kPixelMean).std(kPixelStd));
  CHECK(numbers.images.scalar_type() == at::kFloat);
  CHECK(numbers.images.sizes() == at::IntArrayRef({6, 3, 10, 10}));
  CHECK(at::equal(normalize(bytes.images, kPixelMean, kPixelStd), numbers.images));
  for (int64_t i = 0; i < 6; ++i) {
    const Image image = resize(read(static_cast<size_t>(i)), 10, 10);
    CHECK(at::equal(numbers.images[i], trmml::clip::to_tensor(image)));
  }
  // Every byte.
  const at::Tensor all = at::arange(256).to(at::kByte).view({1, 1, 16, 16});
  const ByteTables tables = normalize_tables(kPixelMean, kPixelStd);
  const at::Tensor normalised =
      normalize(all.expand({1, 3, 16, 16}), kPixelMean, kPixelStd);
  for (int64_t c = 0; c < 3; ++c) {
    const auto& table = tables[static_cast<size_t>(c)];
    CHECK(at::equal(
        normalised[0][c].reshape({256}), at::tensor(at::ArrayRef<float>(table))));
  }
}

TEST_CASE("image data set: a picture that cannot be read is an error with its path") {
  const Damaged damaged;
  for (const int64_t workers : {0, 2}) {
    const Loader loader(
        damaged.dataset(), LoaderOptions(1).shuffle(false).workers(workers));
    int64_t seen = 0;
    int64_t index = -1;
    std::string message;
    try {
      for (const Batch& batch : loader.epoch(0)) {
        seen += batch.size();
      }
    } catch (const UnreadablePicture& error) {
      index = error.index();
      message = error.what();
    }
    CHECK(seen == 1);
    CHECK(index == 1);
    CHECK(message.rfind((damaged.folder / "a/1.png").string() + ": PNG: ", 0) == 0);
    CHECK(loader.unreadable().empty());
  }
}

TEST_CASE("image data set: pictures that cannot be read are left out when asked") {
  const Damaged damaged;
  std::vector<Batch> alone;
  for (const int64_t workers : {0, 1, 3}) {
    const Loader loader(
        damaged.dataset(),
        LoaderOptions(2).shuffle(false).workers(workers).skip_unreadable(true));
    const auto batches = all_batches(loader, 0);
    if (workers == 0) {
      alone = batches;
      REQUIRE(batches.size() == 3);  // that of 2 and 3 is none
      CHECK(at::equal(batches[0].indices, at::zeros({1}, at::kLong)));
      CHECK(batches[1].indices[0].item<int64_t>() == 4);
      CHECK(batches[1].indices[1].item<int64_t>() == 5);
      CHECK(batches[2].indices[0].item<int64_t>() == 7);
      CHECK(at::equal(batches[2].labels[0], labels_of(8)[7]));
    }
    CHECK(same_batches(batches, alone));
    all_batches(loader, 1);
    const auto list = loader.unreadable();
    REQUIRE(list.size() == 4);
    const int64_t expected[] = {1, 2, 3, 6};
    for (size_t i = 0; i < 4; ++i) {
      const std::string path = (damaged.folder / damaged.names[expected[i]]).string();
      CHECK(list[i].index == expected[i]);
      CHECK(list[i].message.rfind(path + ": ", 0) == 0);
    }
    CHECK(list[1].message == (damaged.folder / "a/2.png").string() + ": no such file");
  }
}

TEST_CASE("image data set: messages") {
  const at::Tensor labels = labels_of(2);
  const std::vector<std::string> files = {"a.jpg", "b.jpg"};
  using c10::ValueError;
  CHECK(error_of<ValueError>([&] {
          ImageDataset("x", {"a.jpg"}, labels, squash(4));
        }) == "ImageDataset: expected labels of shape [1, *], got [2, 4]");
  CHECK(error_of<ValueError>([&] {
          ImageDataset("x", files, labels, nullptr);
        }) == "ImageDataset: expected a transform, got an empty function");
  CHECK(error_of<ValueError>([&] {
          ImageDataset(
              "x", files, labels, squash(4), ImageDatasetOptions().std({1, 0, 1}));
        }) == "ImageDataset: expected std above 0, got 0");
  CHECK(error_of<c10::IndexError>([&] {
          at::Generator generator = augmentation_generator(0, 0, 2);
          ImageDataset("x", files, labels, squash(4)).get(2, generator);
        }) == "ImageDataset: expected an index from 0 to 1, got 2");
  CHECK(error_of<c10::TypeError>([&] {
          normalize(at::zeros({1, 3, 2, 2}), {0, 0, 0}, {1, 1, 1});
        }) == "data::normalize: expected images of type uint8, got Float");
}
