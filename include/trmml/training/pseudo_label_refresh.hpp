#pragma once

#include "trmml/method/evidence.hpp"
#include "trmml/method/method.hpp"
#include "trmml/modules/pseudo_labeler.hpp"
#include "trmml/training/ema.hpp"
#include "trmml/training/evaluate.hpp"
#include "trmml/training/options.hpp"
#include "trmml/training/state_file.hpp"

#include <cstdint>
#include <functional>
#include <optional>

namespace trmml::training {

/// The pseudo-labels that a training uses, estimated anew at the start of each epoch
/// from the averaged weights; none without `PseudoLabelerOptions`.
class PseudoLabelRefresh {
 public:
  PseudoLabelRefresh(
      const std::optional<PseudoLabelerOptions>& labeler,
      const TrainerOptions& options)
      : options_(options) {
    if (labeler) {
      labeler_ = PseudoLabeler(*labeler);
    }
  }

  bool is_on() const { return !labeler_.is_empty(); }

  /// At the start of `epoch`; before `TrainerOptions::pseudo_from_epoch` nothing.
  /// Throws `Interrupted` when `should_stop`, which may be empty, says so; then nothing
  /// has changed.
  void estimate(
      Method& method,
      const Ema& ema,
      const TrainingSet& train,
      int64_t epoch,
      const std::function<bool()>& should_stop = {}) {
    if (!is_on() || epoch < options_.pseudo_from_epoch()) {
      return;
    }
    const Ema::Applied averaged(ema);
    const PseudoLabels pseudo =
        labeler_->forward(evidence(method, train, should_stop), train.labels);
    labels_ = pseudo.labels;
    if (labeler_->options.policy() == PseudoLabelPolicy::kRelationsSoft &&
        labeler_->can_expect(train.labels)) {
      soft_targets_ = pseudo.soft_targets.to(at::kFloat);
    }
  }

  /// int8 [N, C] in {-1, 0, +1}; undefined before the first estimate.
  const at::Tensor& labels() const { return labels_; }

  /// float [N, C] in [0, 1], for the soft policy; else undefined.
  const at::Tensor& soft_targets() const { return soft_targets_; }

  void save(io::TensorMap& state) const {
    if (labels_.defined()) {
      state["pseudo.labels"] = labels_;
    }
    if (soft_targets_.defined()) {
      state["pseudo.soft_targets"] = soft_targets_;
    }
  }

  void load(const SavedState& state, const TrainingSet& train) {
    labels_ = state.find("pseudo.labels", train.labels.sizes());
    soft_targets_ = state.find("pseudo.soft_targets", train.labels.sizes());
  }

 private:
  // What the policy reads, [N, C] on the CPU.
  at::Tensor evidence(
      Method& method,
      const TrainingSet& train,
      const std::function<bool()>& should_stop) const {
    const auto logits = [&] {
      return predict(
          method, train.features, options_.score(), /*batch_size=*/0, should_stop);
    };
    switch (evidence_of(labeler_->options.policy())) {
      case PseudoLabelEvidence::kLogits:
        return logits();
      case PseudoLabelEvidence::kProbabilities:
        return logits().sigmoid();
      case PseudoLabelEvidence::kRelations:
        break;
    }
    return gather_evidence(
        method, train, options_.evidence(), /*batch_size=*/0, should_stop);
  }

  TrainerOptions options_;
  PseudoLabeler labeler_{nullptr};
  at::Tensor labels_;
  at::Tensor soft_targets_;
};

}  // namespace trmml::training
