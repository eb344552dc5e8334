// How long reading annotations in COCO's form takes on one core, and how much memory.
// tests/reference/coco_annotations.py writes a file with the size and the shape of COCO
// 2014 train.
//
//   benchmark_coco_reader FILE [RUNS]
//
// Prints the median of the core's time (other programs on the machine do not count) and
// the spread, and the largest resident memory of the process, before (LibTorch) and
// after.

#include "trmml/core/device.hpp"
#include "trmml/data/coco.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <vector>

#include <sys/resource.h>

namespace {

double peak_megabytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024 / 1e6;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: benchmark_coco_reader FILE [RUNS]\n");
    return 2;
  }
  const std::filesystem::path file = argv[1];
  const int runs = argc > 2 ? std::max(1, std::atoi(argv[2])) : 5;
  trmml::set_threads(1);
  const double before = peak_megabytes();
  std::vector<double> times;
  trmml::data::Split split;
  for (int i = 0; i < runs; ++i) {
    const std::clock_t start = std::clock();
    split = trmml::data::read_coco_json(file, ".");
    times.push_back(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
  }
  std::sort(times.begin(), times.end());
  const auto counts = trmml::data::count_labels(split.table.labels);
  fmt::print(
      "{}: {:.0f} MB, {} images, {} categories, {} positives\n",
      split.name,
      static_cast<double>(std::filesystem::file_size(file)) / 1e6,
      split.table.images.size(),
      split.table.classnames.size(),
      counts.present);
  fmt::print(
      "one thread, {} runs: median {:.2f} s  ({:.2f} to {:.2f})\n",
      runs,
      times[times.size() / 2],
      times.front(),
      times.back());
  fmt::print("peak memory {:.0f} MB, {:.0f} before\n", peak_megabytes(), before);
  return 0;
}
