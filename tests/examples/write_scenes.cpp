// FashionScenes as pictures in files, for scenes_as_pictures_test.py:
//
//   write_scenes FASHION_MNIST OUT N SCALE
//
// writes the first N training and N test scenes as PNG files, each pixel SCALE times
// SCALE ones, and OUT/train.csv and OUT/test.csv with a column of 0 and 1 a category.

#include "trmml/data/scenes.hpp"
#include "trmml/report/picture.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
using trmml::data::FashionMnist;

trmml::report::Picture picture_of(const at::Tensor& pixels, int64_t scale) {
  const at::Tensor large =
      pixels.repeat_interleave(scale, 0).repeat_interleave(scale, 1).contiguous();
  const auto* bytes = large.data_ptr<uint8_t>();
  return {
      static_cast<int>(large.size(1)),
      static_cast<int>(large.size(0)),
      {bytes, bytes + large.numel()}};
}

void write_part(
    const std::shared_ptr<const FashionMnist>& photos,
    FashionMnist::Pool pool,
    const fs::path& out,
    const std::string& name,
    int64_t count,
    int64_t scale) {
  const auto scenes = trmml::data::make_scenes(photos, pool, 0, count);
  const std::vector<std::string>& names = trmml::data::scene_classnames();
  fs::create_directories(out / name);
  std::ofstream csv(out / (name + ".csv"));
  csv << fmt::format("image,{}\n", fmt::join(names, ","));
  const auto* label = scenes.labels.data_ptr<int8_t>();
  for (int64_t i = 0; i < count; ++i) {
    const std::string file = fmt::format("{}/{:06}.png", name, i);
    trmml::report::write_png(out / file, picture_of(scenes.images[i], scale));
    csv << file;
    for (size_t c = 0; c < names.size(); ++c) {
      csv << (*label++ > 0 ? ",1" : ",0");
    }
    csv << "\n";
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    fmt::print(stderr, "usage: {} FASHION_MNIST OUT N SCALE\n", argv[0]);
    return 2;
  }
  const auto photos = std::make_shared<const FashionMnist>(FashionMnist::load(argv[1]));
  const int64_t count = std::atoll(argv[3]);
  const int64_t scale = std::atoll(argv[4]);
  write_part(photos, FashionMnist::Pool::kTrain, argv[2], "train", count, scale);
  write_part(photos, FashionMnist::Pool::kTest, argv[2], "test", count, scale);
  return 0;
}
