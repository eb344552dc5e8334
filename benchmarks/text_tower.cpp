// What a training step pays for its text features: 80 categories with names as long as
// COCO's, 16 context tokens, two prompts a category, the text tower of RN101 and ViT-B
// (width 512, 12 layers) with random weights, forward and backward to the context.
//
//   benchmark_text_tower [--threads N] [--runs N] [--out FILE] [--only NAME]
//
// Ours: `TextTransformer::forward(Prompts)`, with a generic context (whose activations
// all categories share) and with one for each category. The peer encodes all 77
// positions of every prompt, as prompt tuners do; its weights are frozen, too, which
// not all of them do. Take care: it needs some 10 GiB.

#include "trmml/clip/freeze.hpp"
#include "trmml/clip/text_transformer.hpp"
#include "trmml/modules/prompt_learner.hpp"

#include <string>
#include <vector>

#include "support/benchmark.hpp"

namespace {

constexpr int64_t kClasses = 80;
constexpr int64_t kWidth = 512;

/// COCO's names are 97 tokens in all.
std::vector<at::Tensor> names() {
  std::vector<at::Tensor> embeddings;
  for (int64_t c = 0; c < kClasses; ++c) {
    embeddings.push_back(at::randn({c < 17 ? 2 : 1, kWidth}) * 0.02);
  }
  return embeddings;
}

at::Tensor tokens(int64_t n) {
  return at::randn({n, kWidth}) * 0.02;
}

/// All positions of all prompts, in every block.
at::Tensor in_full(
    trmml::clip::TextTransformerImpl& tower,
    const trmml::DensePrompts& prompts) {
  const int64_t length = tower.options.context_length();
  const at::Tensor some = prompts.embeddings.flatten(0, 1);
  const at::Tensor padding =
      at::zeros({some.size(0), length - some.size(1), some.size(2)});
  at::Tensor x = at::cat({some, padding}, 1) + tower.positional_embedding;
  const at::Tensor mask = trmml::clip::detail::causal_mask(length, padding.options());
  x = tower.transformer->last().forward(
      tower.transformer->forward_but_last(x, mask), mask);
  const at::Tensor rows =
      at::arange(x.size(0), at::kLong) * length + prompts.end_positions;
  return at::matmul(tower.ln_final(x), tower.text_projection)
      .flatten(0, 1)
      .index_select(0, rows);
}

void compare(
    const std::string& name,
    trmml::clip::TextTransformerImpl& tower,
    bool class_specific,
    const benchmark::Options& options) {
  trmml::PromptLearner prompts(
      trmml::PromptLearnerOptions(kClasses, kWidth).class_specific(class_specific),
      trmml::pack_classnames(tokens(1), names(), tokens(2)));
  const int64_t n_prompts = prompts->forward().n_prompts();
  const auto ours = [&] { tower.forward(prompts->forward()).sum().backward(); };
  const auto peer = [&] {
    in_full(tower, prompts->forward().dense()).sum().backward();
  };
  benchmark::run(
      {name,
       ours,
       peer,
       "77 positions of every prompt, in C++",
       0.0,
       0.0,
       {{"prompts", static_cast<double>(n_prompts * kClasses)}}},
      options);
}

}  // namespace

int main(int argc, char** argv) {
  const benchmark::Options options = benchmark::parse(argc, argv);
  trmml::clip::TextTransformer tower(trmml::clip::TextTransformerOptions(512));
  trmml::clip::freeze(*tower);
  compare("text_tower_generic", *tower, false, options);
  compare("text_tower_class_specific", *tower, true, options);
  return 0;
}
