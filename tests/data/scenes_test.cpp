#include "trmml/data/scenes.hpp"

#include "trmml/core/error.hpp"
#include "trmml/data/missing_labels.hpp"

#include <ATen/ATen.h>

#include <filesystem>
#include <fstream>
#include <memory>

#include "support/catch.hpp"
#include <zlib.h>

using namespace trmml::data;
using Pool = FashionMnist::Pool;

namespace {

std::shared_ptr<const FashionMnist> photos() {
  static const auto loaded =
      std::make_shared<const FashionMnist>(FashionMnist::load(kFashionMnistFolder));
  return loaded;
}

uint32_t crc(const void* data, size_t size) {
  return static_cast<uint32_t>(
      crc32(0, static_cast<const Bytef*>(data), static_cast<uInt>(size)));
}

uint32_t crc(const at::Tensor& tensor) {
  return crc(tensor.data_ptr(), tensor.nbytes());
}

}  // namespace

// The checksums come from the Python prototype (CRC-32 of the first 100 pictures, and
// of their labels as 0/1 bytes).
TEST_CASE("scenes are the prototype's, byte for byte") {
  const SceneSet train = make_scenes(photos(), Pool::kTrain, 0, 100);
  CHECK(crc(train.images) == 0x8f724aeeU);
  CHECK(crc(train.labels.gt(0).to(at::kByte)) == 0x6b98afb7U);
  const auto corner = train.images[0][0][0];
  CHECK(corner[0].item<int>() == 110);
  CHECK(corner[1].item<int>() == 81);
  CHECK(corner[2].item<int>() == 96);

  const SceneSet test = make_scenes(photos(), Pool::kTest, 0, 100);
  CHECK(crc(test.images) == 0x39340133U);
  CHECK(crc(test.labels.gt(0).to(at::kByte)) == 0xd7b95158U);
}

TEST_CASE("pictures for pre-training are the prototype's, byte for byte") {
  SceneGenerator web(photos(), Pool::kPretrain, SceneKind::kWeb);
  std::vector<uint8_t> pixels;
  std::vector<uint8_t> labels;
  for (int i = 0; i < 100; ++i) {
    const Scene scene = web.next();
    pixels.insert(pixels.end(), scene.rgb.begin(), scene.rgb.end());
    std::vector<uint8_t> row(kSceneCategories, 0);
    for (const SceneItem& item : scene.items) {
      row[static_cast<size_t>(item.garment)] = 1;
      row[static_cast<size_t>(kSceneGarments + item.colour)] = 1;
    }
    labels.insert(labels.end(), row.begin(), row.end());
  }
  CHECK(crc(pixels.data(), pixels.size()) == 0xf910b240U);
  CHECK(crc(labels.data(), labels.size()) == 0xd0b057e7U);
}

TEST_CASE("a scene does not depend on where the run of scenes starts") {
  const SceneSet whole = make_scenes(photos(), Pool::kTrain, 0, 20);
  const SceneSet part = make_scenes(photos(), Pool::kTrain, 15, 5);
  CHECK(at::equal(whole.images.slice(0, 15), part.images));
  CHECK(at::equal(whole.labels.slice(0, 15), part.labels));
}

TEST_CASE("the facts of the split that the documents state") {
  const SceneSet train = make_scenes(photos(), Pool::kTrain, 0, 2000);
  const auto frequency = train.labels.gt(0).to(at::kDouble).mean(0);
  CHECK(
      train.labels.gt(0).sum().item<double>() / 2000 ==
      Catch::Approx(4.6).margin(0.05));
  CHECK(frequency.min().item<double>() > 0.18);
  CHECK(frequency.max().item<double>() < 0.35);

  // Prototype, seed 0: known positives of trouser 37, sandal 36, sneaker 30.
  const auto salient =
      keep_one_positive(train.labels, salient_categories(train.items, 0));
  CHECK(salient.sum().item<int64_t>() == 2000);
  CHECK(salient.select(1, 1).sum().item<int64_t>() == 37);
  CHECK(salient.select(1, 5).sum().item<int64_t>() == 36);
  CHECK(salient.select(1, 7).sum().item<int64_t>() == 30);
  CHECK(salient.select(1, 2).sum().item<int64_t>() == 160);
}

TEST_CASE("captions mention a part of what is there") {
  SceneGenerator web(photos(), Pool::kPretrain, SceneKind::kWeb);
  std::mt19937 engine(7);
  int shorter = 0;
  for (int i = 0; i < 200; ++i) {
    const Scene scene = web.next();
    const std::string caption = scene_caption(scene, engine);
    CHECK(caption.back() == '.');
    const bool mentions_two = caption.find(" and ") != std::string::npos;
    CHECK((scene.items.size() > 1 || !mentions_two));
    shorter += scene.items.size() == 2 && !mentions_two;
  }
  CHECK(shorter > 10);
}

TEST_CASE("a scene without items is refused") {
  std::mt19937 engine(7);
  CHECK_THROWS_AS(scene_caption({}, engine), c10::ValueError);
  CHECK_THROWS_AS(salient_categories({Scene()}, 0), c10::ValueError);
}

TEST_CASE("a missing or broken Fashion-MNIST is named") {
  const auto folder = std::filesystem::temp_directory_path() / "trmml_no_fashion";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const auto message = [&folder]() -> std::string {
    try {
      FashionMnist::load(folder);
    } catch (const trmml::DataError& error) {
      return error.what();
    }
    return "";
  };
  CHECK(message().find("train-images-idx3-ubyte.gz") != std::string::npos);
  CHECK(message().find("dataset-fashion-mnist") != std::string::npos);
  std::ofstream(folder / "train-images-idx3-ubyte") << "too short";
  CHECK(message().find("expected 47040016 bytes") != std::string::npos);

  // Complete files, of which the labels leave out the last garment.
  const auto write_idx = [&folder](
                             const std::string& name, uint32_t count, bool images) {
    std::string bytes = {0, 0, 8, static_cast<char>(images ? 3 : 1)};
    for (const int shift : {24, 16, 8, 0}) {
      bytes.push_back(static_cast<char>(count >> shift & 255));
    }
    bytes.append(images ? std::string("\0\0\0\x1c\0\0\0\x1c", 8) : "");
    for (uint32_t i = 0; i < count && !images; ++i) {
      bytes.push_back(static_cast<char>(i % 9));
    }
    std::ofstream(folder / name, std::ios::binary) << bytes;
    if (images) {
      std::filesystem::resize_file(folder / name, 16 + uintmax_t{count} * 28 * 28);
    }
  };
  write_idx("train-images-idx3-ubyte", 60000, true);
  write_idx("t10k-images-idx3-ubyte", 10000, true);
  write_idx("train-labels-idx1-ubyte", 60000, false);
  write_idx("t10k-labels-idx1-ubyte", 10000, false);
  CHECK(message().find("got none with the label 9") != std::string::npos);
  std::filesystem::remove_all(folder);
}
