// How much the common prefix saves: text features of 80 categories with a generic
// context of 16 tokens, forward and backward to the context, by the packed path (the
// prefix once, each category's own tokens only) and by the padded path (every prompt in
// full, cut at the longest). The text tower of RN101: width 512, 8 heads, 12 layers,
// random weights.
//
//   benchmark_text_prompts [THREADS [RUNS]]
//
// The two paths run in turn; prints the median of each, the spread, and the median
// ratio.

#include "trmml/clip/freeze.hpp"
#include "trmml/clip/text_transformer.hpp"
#include "trmml/core/device.hpp"
#include "trmml/modules/prompt_learner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <vector>

namespace {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

template <typename Body>
double seconds(Body&& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
      .count();
}

}  // namespace

int main(int argc, char** argv) {
  trmml::set_threads(argc > 1 ? std::atoi(argv[1]) : 0);
  const int runs = argc > 2 ? std::atoi(argv[2]) : 5;
  constexpr int64_t kClasses = 80;
  constexpr int64_t kWidth = 512;
  trmml::clip::TextTransformer tower(trmml::clip::TextTransformerOptions(512));
  trmml::clip::freeze(*tower);
  std::vector<at::Tensor> names;
  for (int64_t c = 0; c < kClasses; ++c) {
    names.push_back(at::randn({1 + c % 3, kWidth}) * 0.02);  // names of 1 to 3 tokens
  }
  const auto token = [] { return at::randn({1, kWidth}) * 0.02; };
  trmml::PromptLearner prompts(
      trmml::PromptLearnerOptions(kClasses, kWidth).n_prompts(1),
      trmml::pack_classnames(token(), names, token()));

  const auto packed = [&] { tower->forward(prompts->forward()).sum().backward(); };
  const auto padded = [&] {
    const trmml::DensePrompts dense = prompts->forward().dense();
    tower->forward_embeddings(dense.embeddings.flatten(0, 1), dense.end_positions)
        .sum()
        .backward();
  };
  packed();
  padded();
  std::vector<double> times[3];
  for (int i = 0; i < runs; ++i) {
    times[0].push_back(seconds(packed));
    times[1].push_back(seconds(padded));
    times[2].push_back(times[1].back() / times[0].back());
  }
  fmt::print("{}, {} runs of each in turn\n", trmml::describe_backend(), runs);
  const char* labels[] = {"packed, s", "padded, s", "padded / packed"};
  for (int i = 0; i < 3; ++i) {
    const auto [low, high] = std::minmax_element(times[i].begin(), times[i].end());
    fmt::print(
        "{:<16} median {:.3f}  ({:.3f} to {:.3f})\n",
        labels[i],
        median(times[i]),
        *low,
        *high);
  }
  return 0;
}
