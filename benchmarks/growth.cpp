// How a whole training step grows with the categories and the regions: text tower
// (width 512, 12 layers, generic context, 2 prompts a category) forward and backward,
// matching, all losses, gradients, prototypes, pseudo-labels by visual prototypes. A
// batch of 16 with cached features.
//
//   benchmark_growth [--threads N] [--runs N] [--out FILE] [--only NAME] [--ours]
//
// One record a size, growth_c<categories>_r<regions>; "relation_seconds" is what the
// other piece of the evidence takes for the batch: it compares every category with
// every other, and the trainer gathers it once an epoch. Then `growth`: seconds and
// memory at 20,000 categories, and the exponents of the seconds between 2,000 and
// 20,000 categories and between 49 and 784 regions (1: linear). No peer. Sizes above
// 1,000 run once; 20,000 take minutes. benchmarks/compare/plot_growth.py plots it.

#include "trmml/clip/freeze.hpp"
#include "trmml/clip/text_transformer.hpp"

#include <fmt/format.h>

#include <cmath>

#include "support/benchmark.hpp"
#include "support/trm_ml_step.hpp"

namespace {

using namespace trmml;

struct Cost {
  double seconds = 0.0;
  double memory_mb = 0.0;
};

std::string name_of(int64_t n_cls, int64_t regions) {
  return fmt::format("growth_c{}_r{}", n_cls, regions);
}

Cost measure(int64_t n_cls, int64_t regions, const benchmark::Options& options) {
  constexpr int64_t kBatch = 16;
  constexpr int64_t kWidth = benchmark::TrmMlStep::kWidth;
  clip::TextTransformer tower{clip::TextTransformerOptions(kWidth)};
  clip::freeze(*tower);
  benchmark::TrmMlStep step(
      n_cls,
      kBatch,
      [tower](const Prompts& prompts) mutable { return tower->forward(prompts); },
      /*saliency=*/false);
  const clip::ImageFeatures images = {
      at::randn({kBatch, kWidth}), at::randn({kBatch, regions, kWidth})};
  std::vector<double> times;
  double relation = 0.0;
  const double memory = benchmark::peak_memory_mb([&] {
    times.push_back(benchmark::seconds([&] { step.run(images); }));
    relation = benchmark::seconds([&] { step.relate(); });
  });
  if (n_cls <= 1000) {  // the first warmed up
    times.clear();
    for (int i = 0; i < options.runs; ++i) {
      times.push_back(benchmark::seconds([&] { step.run(images); }));
    }
  }
  const Cost cost{benchmark::median(times), memory};
  benchmark::record(
      name_of(n_cls, regions),
      "none",
      {{"ours_seconds", cost.seconds},
       {"spread", benchmark::spread(times)},
       {"peak_memory_mb", cost.memory_mb},
       {"relation_seconds", relation},
       {"categories", static_cast<double>(n_cls)},
       {"regions", static_cast<double>(regions)}},
      options);
  return cost;
}

/// 1 where the cost is proportional to the size.
double exponent(const Cost& small, const Cost& large, double factor) {
  return std::log(large.seconds / small.seconds) / std::log(factor);
}

}  // namespace

int main(int argc, char** argv) {
  const benchmark::Options options = benchmark::parse(argc, argv);
  std::map<std::string, Cost> costs;
  const auto visit = [&](int64_t n_cls, int64_t regions) {
    const std::string name = name_of(n_cls, regions);
    if (options.only.empty() || options.only == name) {
      costs[name] = measure(n_cls, regions, options);
    }
  };
  for (const int64_t regions : {49, 196, 784}) {
    visit(80, regions);
  }
  for (const int64_t n_cls : {500, 2000, 20000}) {
    visit(n_cls, 196);
  }
  if (options.only.empty()) {
    const Cost& large = costs["growth_c20000_r196"];
    benchmark::record(
        "growth",
        "none",
        {{"ours_seconds", large.seconds},
         {"peak_memory_mb", large.memory_mb},
         {"exponent_of_categories", exponent(costs["growth_c2000_r196"], large, 10)},
         {"exponent_of_regions",
          exponent(costs["growth_c80_r49"], costs["growth_c80_r784"], 16)}},
        options);
  }
  return 0;
}
