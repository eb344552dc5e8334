// What a training step pays beside the text tower: 80 categories, 196 regions of width
// 512, a batch of 64 with cached features: matching, all losses, gradients, prototypes,
// and pseudo-labels of the batch.
//
//   benchmark_method [--threads N] [--runs N] [--out FILE] [--only NAME] [--ours]
//
// The peer is the text tower of the same step (width 512, 12 layers, generic context, 2
// prompts a category), which the rest should not exceed: ratio >= 1.

#include "trmml/clip/freeze.hpp"
#include "trmml/clip/text_transformer.hpp"

#include "support/benchmark.hpp"
#include "support/trm_ml_step.hpp"

namespace {

constexpr int64_t kClasses = 80;
constexpr int64_t kRegions = 196;
constexpr int64_t kBatch = 64;
constexpr int64_t kWidth = benchmark::TrmMlStep::kWidth;

// The large matrix products, of every picture and category: with the regions the
// scores, both sums and the gradients of the three; output projection and MLP (1, 2 and
// 2 square matrices), forward and twice backward; the relation to every text.
constexpr double kFlops =
    2.0 * kBatch * kClasses *
    (6 * kRegions * kWidth + 3 * 5 * kWidth * kWidth + kClasses * kWidth);

}  // namespace

int main(int argc, char** argv) {
  using namespace trmml;
  const benchmark::Options options = benchmark::parse(argc, argv);
  clip::TextTransformer tower{clip::TextTransformerOptions(kWidth)};
  clip::freeze(*tower);
  const at::Tensor text = at::randn({2, kClasses, kWidth}).requires_grad_();
  benchmark::TrmMlStep step(kClasses, kBatch, [text](const Prompts&) { return text; });
  const clip::ImageFeatures images = {
      at::randn({kBatch, kWidth}), at::randn({kBatch, kRegions, kWidth})};
  const auto ours = [&] {
    step.run(images);
    step.relate();
  };
  const auto peer = [&] {
    tower->forward(step.model()->prompt_learner->forward()).sum().backward();
  };
  benchmark::run(
      {"method_step",
       ours,
       peer,
       "the text tower of the same step",
       kFlops,
       benchmark::measured_peak(at::kFloat)},
      options);
  return 0;
}
