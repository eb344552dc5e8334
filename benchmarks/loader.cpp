// How many pictures a second one core makes ready: JPEG files to batches.
//
//   benchmark_loader FOLDER [SIDE [RUNS]]
//
// One thread, batches of 16, every kind in turn. Prints milliseconds of the core's time
// a picture (other programs on the machine do not count): each run, kind after kind,
// then where the time goes. benchmarks/compare/loader.py runs it side by side with
// Python.

#include "trmml/data/loader.hpp"

#include "trmml/clip/preprocess.hpp"
#include "trmml/core/error.hpp"
#include "trmml/data/image_dataset.hpp"
#include "trmml/data/normalize.hpp"
#include "trmml/data/transforms.hpp"

#include <ATen/Parallel.h>
#include <ATen/ops/ones.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

namespace {

using namespace trmml::data;
using trmml::clip::kPixelMean;
using trmml::clip::kPixelStd;

double milliseconds(const std::function<void()>& work) {
  const std::clock_t start = std::clock();
  work();
  return static_cast<double>(std::clock() - start) * 1e3 / CLOCKS_PER_SEC;
}

struct Pictures {
  std::string folder;
  std::vector<std::string> names;

  Loader loader(Transform transform, bool normalized) const {
    const auto n = static_cast<int64_t>(names.size());
    return {
        std::make_shared<ImageDataset>(
            folder,
            names,
            at::ones({n, 1}, at::kChar),
            std::move(transform),
            ImageDatasetOptions()
                .normalized(normalized)
                .mean(kPixelMean)
                .std(kPixelStd)),
        LoaderOptions(16)};
  }
};

/// Milliseconds a picture of one epoch; `on_batch` counts too.
double epoch(
    const Loader& loader,
    int64_t number,
    const std::function<void(const Batch&)>& on_batch) {
  int64_t pictures = 0;
  const double time = milliseconds([&] {
    for (const Batch& batch : loader.epoch(number)) {
      on_batch(batch);
      pictures += batch.size();
    }
  });
  return time / static_cast<double>(pictures);
}

/// The steps of the test kind, one after the other over all pictures.
void print_steps(const Pictures& pictures, int side) {
  std::vector<std::string> files;
  for (const std::string& name : pictures.names) {
    std::ifstream file(pictures.folder + "/" + name, std::ios::binary);
    files.emplace_back(
        std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  const auto n = static_cast<double>(files.size());
  std::vector<Image> images(files.size());
  const auto print = [n](const char* step, double time) {
    fmt::print("step {} {:.4f}\n", step, time / n);
  };
  print("decode", milliseconds([&] {
          for (size_t i = 0; i < files.size(); ++i) {
            images[i] = decode_image(files[i]);
          }
        }));
  print("resize", milliseconds([&] {
          for (Image& image : images) {
            image = resize(image, side, side);
          }
        }));
  std::vector<uint8_t> bytes(images[0].rgb.size());
  print("to-bytes", milliseconds([&] {
          for (const Image& image : images) {
            to_planes(image, bytes.data());
          }
        }));
  std::vector<float> numbers(images[0].rgb.size());
  const ByteTables tables = normalize_tables(kPixelMean, kPixelStd);
  print("to-floats", milliseconds([&] {
          for (const Image& image : images) {
            to_planes(image, tables, numbers.data());
          }
        }));
}

void run(const std::string& folder, int side, int runs) {
  at::set_num_threads(1);
  const Pictures pictures{folder, list_images(folder)};
  if (pictures.names.empty()) {
    throw trmml::DataError(folder + ": expected pictures, got none");
  }
  TestTransformOptions test;
  test.side = side;
  TrainTransformOptions train;
  train.side = side;
  TrainTransformOptions plain = train;
  plain.rand_augment.count = 0;

  const auto keep = [](const Batch&) {};
  const auto make_floats = [](const Batch& batch) {
    normalize(batch.images, kPixelMean, kPixelStd);
  };
  struct Kind {
    std::string name;
    Loader loader;
    std::function<void(const Batch&)> on_batch;
  };
  std::vector<Kind> kinds;
  const auto add = [&](const std::string& name, const Transform& transform) {
    kinds.push_back({name + "-bytes", pictures.loader(transform, false), keep});
    kinds.push_back(
        {name + "-bytes-to-floats", pictures.loader(transform, false), make_floats});
    kinds.push_back({name + "-floats", pictures.loader(transform, true), keep});
  };
  add("test", TestTransform(test));
  add("train", TrainTransform(plain));
  add("train-randaugment", TrainTransform(train));
  for (int i = -1; i < runs; ++i) {
    for (const Kind& kind : kinds) {
      const double time = epoch(kind.loader, i + 1, kind.on_batch);
      if (i >= 0) {  // the first warms up
        fmt::print("run {} {:.4f}\n", kind.name, time);
      }
    }
  }
  print_steps(pictures, side);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: benchmark_loader FOLDER [SIDE [RUNS]]\n");
    return 2;
  }
  try {
    run(argv[1],
        argc > 2 ? std::max(1, std::atoi(argv[2])) : 448,
        argc > 3 ? std::max(1, std::atoi(argv[3])) : 1);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 3;
  }
  return 0;
}
