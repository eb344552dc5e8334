// How long the metrics take, by part: average precision in all definitions, the
// threshold, top-3, calibration; and the bootstrap of the mAP apart, if asked for.
//
//   benchmark_metrics [ROWS COLUMNS [RUNS [REPLICATES]]]
//
// Default: 40000 80 5 0. One thread, single-precision scores of a fixed hash, 3 % of
// the labels present. Prints the median of the core's time (other programs on the
// machine do not count) and its spread, the peak of memory, and the values, which
// benchmarks/compare/metrics.py compares with those of scikit-learn and NumPy on the
// same data.

#include "trmml/evaluation/average_precision.hpp"
#include "trmml/evaluation/bootstrap.hpp"
#include "trmml/evaluation/calibration.hpp"
#include "trmml/evaluation/multilabel_metrics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include "support/median.hpp"
#include <sys/resource.h>

namespace {

using namespace trmml::evaluation;

// SplitMix64 of the place, so that Python can make the same data.
std::uint64_t hash(std::uint64_t place) {
  std::uint64_t z = (place + 1) * 0x9e3779b97f4a7c15U;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

void fill(ScoreMatrix<float>& scores, LabelMatrix& labels) {
  for (Eigen::Index i = 0; i < scores.size(); ++i) {
    const std::uint64_t bits = hash(static_cast<std::uint64_t>(i));
    const bool is_present = bits % 256 < 8;
    const double noise = static_cast<double>(bits >> 40) / (1 << 24);
    scores.data()[i] = static_cast<float>(0.7 * noise + (is_present ? 0.3 : 0.0));
    labels.data()[i] = is_present ? 1 : -1;
  }
}

struct Part {
  std::string name;
  std::function<double()> body;  // returns a value to compare
  std::vector<double> seconds = {};
  double value = 0.0;
};

double seconds_of(Part& part) {
  const std::clock_t start = std::clock();
  part.value = part.body();
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

}  // namespace

int main(int argc, char** argv) {
  const auto argument = [&](int i, long otherwise) {
    return argc > i ? std::max(0L, std::atol(argv[i])) : otherwise;
  };
  const Eigen::Index rows = argument(1, 40'000);
  const Eigen::Index columns = argument(2, 80);
  const auto runs = std::max(1L, argument(3, 5));
  BootstrapOptions options;
  options.replicates = argument(4, 0);
  ScoreMatrix<float> scores(rows, columns);
  LabelMatrix labels(rows, columns);
  fill(scores, labels);

  std::vector<Part> parts = {
      {"AP",
       [&] { return mean_average_precision_by_definition(scores, labels)[2].mAP; }},
      {"threshold", [&] { return metrics_at_threshold(scores, labels).OF1; }},
      {"top 3", [&] { return metrics_at_top_k(scores, labels).OF1; }},
      {"ECE", [&] { return calibration(scores, labels).ECE; }}};
  if (options.replicates > 0) {
    parts.push_back({"bootstrap", [&] {
                       return bootstrap_mean_average_precision(
                                  scores, labels, ApDefinition::kTieGrouped, options)
                           .standard_error;
                     }});
  }
  std::vector<double> together;
  for (long run = 0; run < runs; ++run) {
    double sum = 0.0;
    for (Part& part : parts) {
      part.seconds.push_back(seconds_of(part));
      sum += part.name == "bootstrap" ? 0.0 : part.seconds.back();
    }
    together.push_back(sum);
  }
  const auto print = [](const std::string& name, const std::vector<double>& seconds) {
    const auto [low, high] = std::minmax_element(seconds.begin(), seconds.end());
    fmt::print(
        "{:<10} median {:.3f} s  ({:.3f} to {:.3f})",
        name,
        benchmark::median(seconds),
        *low,
        *high);
  };
  fmt::print("{} x {}, {} runs, one thread\n", rows, columns, runs);
  for (const Part& part : parts) {
    print(part.name, part.seconds);
    fmt::print("  value {:.15g}\n", part.value);
  }
  print("all four", together);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  fmt::print("\npeak memory {:.0f} MiB\n", static_cast<double>(usage.ru_maxrss) / 1024);
  return 0;
}
