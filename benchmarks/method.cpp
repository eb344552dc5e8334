// What a training step pays beside the text tower, and how it grows.
//
//   benchmark_method [--threads N] [--runs N] [--out FILE] [--only NAME]
//
// method_step: 80 categories, 196 regions of width 512, a batch of 64 with cached
// features: matching, all losses, gradients, prototypes, and pseudo-labels of the
// batch. The peer is the text tower of the same step (width 512, 12 layers, generic
// context), which it should not exceed.
//
// growth_*: the matcher's forward and backward for more categories and regions, with
// `category_chunk` 80 (ours) and all categories at once (the peer); "seconds_per_entry"
// is per picture, category and region.

#include "trmml/clip/freeze.hpp"
#include "trmml/clip/text_transformer.hpp"
#include "trmml/functional/pseudo_label.hpp"
#include "trmml/method/trm_ml.hpp"
#include "trmml/method/trm_ml_loss.hpp"
#include "trmml/modules/pseudo_labeler.hpp"

#include <ATen/ATen.h>

#include <vector>

#include "support/benchmark.hpp"

namespace {

using namespace trmml;

constexpr int64_t kWidth = 512;

ClassnameEmbeddings names(int64_t n_cls) {
  std::vector<at::Tensor> embeddings;
  for (int64_t c = 0; c < n_cls; ++c) {
    embeddings.push_back(at::randn({c % 5 == 0 ? 2 : 1, kWidth}) * 0.02);
  }
  return pack_classnames(
      at::randn({1, kWidth}) * 0.02, embeddings, at::randn({2, kWidth}) * 0.02);
}

void method_step(const benchmark::Options& options) {
  constexpr int64_t kClasses = 80;
  constexpr int64_t kRegions = 196;
  constexpr int64_t kBatch = 64;
  clip::TextTransformer tower{clip::TextTransformerOptions(kWidth)};
  clip::freeze(*tower);
  const at::Tensor text = at::randn({2, kClasses, kWidth}).requires_grad_();
  const at::Tensor frozen_text =
      functional::l2_normalise(at::randn({kClasses, kWidth}));
  TrmMl model(
      TrmMlOptions(kClasses, kWidth, kWidth),
      names(kClasses),
      [text](const Prompts&) { return text; },
      frozen_text);
  TrmMlLoss loss;
  PseudoLabeler labeler;
  const clip::ImageFeatures images = {
      at::randn({kBatch, kWidth}), at::randn({kBatch, kRegions, kWidth})};
  TrmMlTargets targets;
  targets.labels =
      (at::rand({kBatch, kClasses}).lt(0.05).to(at::kChar) -
       at::rand({kBatch, kClasses}).lt(0.05).to(at::kChar));  // some of them known
  targets.pseudo_labels = at::zeros_like(targets.labels);
  const auto ours = [&] {
    const TrmMlOutput output = model->forward(images);
    loss->forward(output, targets, model->prototypes()).total.backward();
    model->bank->update(
        output.query_features.detach(),
        targets.labels,
        output.text_features.detach(),
        output.region_logits.detach().sigmoid());
    const c10::NoGradGuard no_grad;
    const at::Tensor evidence = functional::combine_evidence(
        {functional::prototype_evidence(
             output.query_features, model->bank->visual(), model->bank->negative()),
         functional::text_relation_evidence(output.region_features, frozen_text)},
        {1.0, 1.0});
    targets.pseudo_labels = labeler->forward(evidence, targets.labels).labels;
  };
  const auto peer = [&] {
    tower->forward(model->prompt_learner->forward()).sum().backward();
  };
  benchmark::run(
      {"method_step", ours, peer, "the text tower of the same step", 0.0, 0.0},
      options);
}

void growth(int64_t n_cls, int64_t regions, const benchmark::Options& options) {
  constexpr int64_t kBatch = 2;
  const at::Tensor text =
      functional::l2_normalise(at::randn({2, n_cls, kWidth})).requires_grad_();
  const at::Tensor cells = at::randn({kBatch, regions, kWidth});
  const auto matcher = [&](int64_t chunk) {
    return RegionMatcher(RegionMatcherOptions(n_cls, kWidth)
                             .query_init(QueryInit::kRandom)
                             .category_chunk(chunk)
                             .return_saliency(false));
  };
  RegionMatcher in_chunks = matcher(80);
  RegionMatcher at_once = matcher(0);
  const auto step = [&](RegionMatcher& m) {
    const RegionMatch match = m->forward(cells, text);
    (match.region_logits.sum() + match.query_logits.sum()).backward();
  };
  const auto ours = [&] { step(in_chunks); };
  ours();
  const double entries = static_cast<double>(kBatch * n_cls * regions);
  benchmark::run(
      {fmt::format("growth_c{}_r{}", n_cls, regions),
       ours,
       [&] { step(at_once); },
       "all categories at once",
       0.0,
       0.0,
       {{"categories", static_cast<double>(n_cls)},
        {"regions", static_cast<double>(regions)},
        {"seconds_per_entry", benchmark::seconds(ours) / entries}}},
      options);
}

}  // namespace

int main(int argc, char** argv) {
  const benchmark::Options options = benchmark::parse(argc, argv);
  method_step(options);
  for (const int64_t n_cls : {80, 500, 2000, 20000}) {
    growth(n_cls, 196, options);
  }
  for (const int64_t regions : {49, 784}) {
    growth(80, regions, options);
  }
  return 0;
}
