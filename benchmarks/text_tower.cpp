// The text tower of a training step, forward and backward to the context: COCO's 80
// names, 16 context tokens, 2 prompts a category, width 512, 8 heads, 12 layers, random
// weights, frozen.
//
//   benchmark_text_tower [--threads N] [--runs N] [--out FILE] [--only NAME] [--ours]
//
// Ours: `TextTransformer::forward(Prompts)`. The peer encodes all 77 positions of every
// prompt through the plain blocks, every row of the last one too, and reads the end
// tokens off: what prompt tuners do (with frozen weights, which not all of them have).

#include "trmml/clip/freeze.hpp"
#include "trmml/clip/text_transformer.hpp"
#include "trmml/modules/prompt_learner.hpp"

#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/matmul.h>

#include "support/benchmark.hpp"
#include "support/coco_prompts.hpp"

namespace {

using namespace trmml;

constexpr int64_t kWidth = 512;
constexpr int64_t kPositions = 77;

/// Of the packed path, forward and backward: 2 x multiplications, those of linear
/// layers twice (their weights have no gradient), those of attention three times.
double flops_of(const Prompts& prompts, const clip::TextTransformerOptions& options) {
  const auto w = static_cast<double>(options.width());
  const auto shared = static_cast<double>(prompts.n_common());
  const auto categories = static_cast<double>(prompts.n_cls());
  const double tokens = shared + static_cast<double>(prompts.own.size(-2));
  double pairs = shared * (shared + 1) / 2;  // of a query and a key that it sees
  double end_pairs = 0.0;
  for (int64_t c = 0; c < prompts.n_cls(); ++c) {
    const auto own = static_cast<double>(prompts.own_length(c));
    pairs += own * shared + own * (own + 1) / 2;
    end_pairs += shared + own;
  }
  const auto full = static_cast<double>(options.layers() - 1);
  const double linear = full * tokens * 12 * w * w + tokens * 2 * w * w +
                        categories * (10 * w * w + w * w);
  const double attention = (full * pairs + end_pairs) * 2 * w;
  return 2 * static_cast<double>(prompts.n_prompts()) * (2 * linear + 3 * attention);
}

/// [P, C, D] by all positions.
at::Tensor encode_padded(clip::TextTransformerImpl& tower, const Prompts& prompts) {
  const DensePrompts dense = prompts.dense();
  at::Tensor x = at::constant_pad_nd(
      dense.embeddings, {0, 0, 0, kPositions - dense.embeddings.size(2)});
  x = x.flatten(0, 1) + tower.positional_embedding;
  const at::Tensor mask =
      clip::detail::causal_mask(kPositions, x.options().requires_grad(false));
  for (int64_t i = 0; i < tower.options.layers(); ++i) {
    x = tower.transformer->block(i).forward(x, mask);
  }
  x = tower.ln_final(x);
  const at::Tensor rows = at::arange(x.size(0)) * kPositions +
                          dense.end_positions.repeat({prompts.n_prompts()});
  return at::matmul(x.flatten(0, 1).index_select(0, rows), tower.text_projection)
      .view({prompts.n_prompts(), prompts.n_cls(), -1});
}

void compare(
    const std::string& name,
    bool class_specific,
    const benchmark::Options& options) {
  if (!options.only.empty() && options.only != name) {
    return;
  }
  constexpr int64_t kClasses = 80;
  clip::TextTransformer tower{clip::TextTransformerOptions(kWidth)};
  clip::freeze(*tower);
  PromptLearner learner(
      PromptLearnerOptions(kClasses, kWidth).class_specific(class_specific),
      benchmark::coco_like_names(kClasses, kWidth));
  const auto ours = [&] { tower->forward(learner->forward()).sum().backward(); };
  const auto peer = [&] { encode_padded(*tower, learner->forward()).sum().backward(); };
  benchmark::run(
      {name,
       ours,
       peer,
       "all 77 positions, in C++",
       flops_of(learner->forward(), tower->options),
       benchmark::measured_peak(at::kFloat)},
      options);
}

}  // namespace

int main(int argc, char** argv) {
  const benchmark::Options options = benchmark::parse(argc, argv);
  compare("text_tower_generic", false, options);
  compare("text_tower_class_specific", true, options);
  return 0;
}
