#pragma once

#include "trmml/functional/pseudo_label.hpp"
#include "trmml/method/trm_ml.hpp"
#include "trmml/method/trm_ml_loss.hpp"
#include "trmml/modules/pseudo_labeler.hpp"

#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cstdint>

#include "support/coco_prompts.hpp"

// One step of TRM-ML on region features that are there: what several benchmarks time.

namespace benchmark {

class TrmMlStep {
 public:
  static constexpr int64_t kWidth = 512;

  TrmMlStep(
      int64_t n_cls,
      int64_t batch,
      const trmml::TextEncoder& encode_text,
      bool saliency = true)
      : frozen_text_(trmml::functional::l2_normalise(at::randn({n_cls, kWidth}))),
        model_(
            make_options(n_cls, saliency),
            coco_like_names(n_cls, kWidth),
            encode_text,
            frozen_text_) {
    // A few positives a picture however many categories, 5 % known absences.
    const double positives = std::min(0.05, 8.0 / static_cast<double>(n_cls));
    targets_.labels = at::rand({batch, n_cls}).lt(positives).to(at::kChar);
    targets_.labels.masked_fill_(
        at::rand({batch, n_cls}).lt(0.05).logical_and(targets_.labels.eq(0)), -1);
    targets_.pseudo_labels = at::zeros_like(targets_.labels);
  }

  /// Matching, all losses, gradients, prototypes, and pseudo-labels by the visual
  /// prototypes; `images.regions` [B, R, D].
  void run(const trmml::clip::ImageFeatures& images) {
    const trmml::TrmMlOutput output = model_->forward(images);
    loss_->forward(output, targets_, model_->prototypes()).total.backward();
    model_->bank->update(
        output.query_features.detach(),
        targets_.labels,
        output.text_features.detach(),
        output.region_logits.detach().sigmoid());
    const c10::NoGradGuard no_grad;
    pieces_ = {trmml::functional::prototype_evidence(
        output.query_features, model_->bank->visual(), model_->bank->negative())};
    region_features_ = output.region_features.detach();
    label();
  }

  /// The piece of the evidence that compares all categories with all, on the last
  /// `run`; the trainer gathers it once an epoch.
  void relate() {
    const c10::NoGradGuard no_grad;
    pieces_.push_back(
        trmml::functional::text_relation_evidence(region_features_, frozen_text_));
    label();
  }

  trmml::TrmMl& model() { return model_; }

 private:
  static trmml::TrmMlOptions make_options(int64_t n_cls, bool saliency) {
    trmml::TrmMlOptions options(n_cls, kWidth, kWidth);
    options.matcher().return_saliency(saliency);
    return options;
  }

  void label() {
    const at::Tensor evidence = trmml::functional::combine_evidence(pieces_);
    targets_.pseudo_labels = labeler_->forward(evidence, targets_.labels).labels;
  }

  at::Tensor frozen_text_;
  trmml::TrmMl model_;
  trmml::TrmMlLoss loss_;
  trmml::PseudoLabeler labeler_;
  trmml::TrmMlTargets targets_;
  std::vector<at::Tensor> pieces_;
  at::Tensor region_features_;
};

}  // namespace benchmark
