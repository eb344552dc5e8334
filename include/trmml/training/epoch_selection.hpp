#pragma once

#include "trmml/method/method.hpp"
#include "trmml/training/ema.hpp"
#include "trmml/training/evaluate.hpp"
#include "trmml/training/state_file.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace trmml::training {

/// Pictures that are never trained on, such as the part of the training pool on which
/// the best epoch is chosen.
struct HeldOutSet {
  Features features;
  at::Tensor labels;  ///< int8 [n, C], on the CPU
};

/// How good an epoch is.
struct EpochScores {
  double held_out_mAP = 0.0;       ///< of the averaged weights
  double held_out_mAP_raw = 0.0;   ///< of the weights themselves
  std::optional<double> test_mAP;  ///< of the averaged weights, if a test was given
  at::Tensor held_out_logits;      ///< [n, C] of the averaged weights
};

/// Scores every epoch and keeps the averaged weights of the best, by held-out mAP; of
/// the last, while no category of the held-out pictures has an average precision (NaN).
class EpochSelection {
 public:
  /// By which logits an epoch is scored.
  explicit EpochSelection(Score score = Score::kMean) : score_(score) {}

  /// Scores the weights as they are and the averaged ones; these become the best if
  /// they gain on the held-out pictures. `test` may be null. Throws `Interrupted` when
  /// `should_stop`, which may be empty, says so; then nothing has changed.
  EpochScores score(
      Method& method,
      const Ema& ema,
      const HeldOutSet& held_out,
      const HeldOutSet* test,
      int64_t epoch,
      const std::function<bool()>& should_stop = {}) {
    const auto logits_of = [&](const HeldOutSet& set) {
      return predict(method, set.features, score_, /*batch_size=*/0, should_stop);
    };
    EpochScores scores;
    scores.held_out_mAP_raw = mAP_of(logits_of(held_out), held_out);
    {
      const Ema::Applied averaged(ema);
      scores.held_out_logits = logits_of(held_out);
      scores.held_out_mAP = mAP_of(scores.held_out_logits, held_out);
      if (test != nullptr) {
        scores.test_mAP = mAP_of(logits_of(*test), *test);
        best_test_mAP_ = std::fmax(best_test_mAP_, *scores.test_mAP);  // not a NaN
      }
    }
    const bool is_no_gain = scores.held_out_mAP <= best_mAP_;  // false for NaN
    if (best_.empty() || !is_no_gain) {
      best_mAP_ = scores.held_out_mAP;
      best_epoch_ = epoch;
      best_.clear();
      for (const at::Tensor& average : ema.average()) {
        best_.push_back(average.clone());
      }
    }
    return scores;
  }

  /// Whether the last `patience` of `epochs` epochs brought no gain; never for 0.
  bool is_over(int64_t epochs, int64_t patience) const {
    return patience > 0 && !best_.empty() && epochs - 1 - best_epoch_ >= patience;
  }

  /// Gives the method the best weights.
  void apply(const Ema& ema) const {
    const c10::NoGradGuard no_grad;
    for (size_t i = 0; i < best_.size(); ++i) {
      at::Tensor parameter = ema.parameters()[i].second;
      parameter.copy_(best_[i]);
    }
  }

  int64_t best_epoch() const { return best_epoch_; }
  double best_mAP() const { return best_mAP_; }
  double best_test_mAP() const { return best_test_mAP_; }  ///< NaN without one

  void save(const Ema& ema, io::TensorMap& state, io::Metadata& metadata) const {
    for (size_t i = 0; i < best_.size(); ++i) {
      state["best." + ema.parameters()[i].first] = best_[i];
    }
    state["best_mAP"] = at::full({}, best_mAP_, at::kDouble);
    state["best_test_mAP"] = at::full({}, best_test_mAP_, at::kDouble);
    metadata["best_epoch"] = std::to_string(best_epoch_);
  }

  void load(const Ema& ema, const SavedState& state) {
    const at::Tensor best_mAP = state.find("best_mAP", {});
    const at::Tensor best_test_mAP = state.find("best_test_mAP", {});
    if (!best_mAP.defined() || !best_test_mAP.defined()) {
      state.fail("expected best_mAP and best_test_mAP, got a file without");
    }
    best_mAP_ = best_mAP.item<double>();
    best_test_mAP_ = best_test_mAP.item<double>();
    best_epoch_ = state.number("best_epoch");
    best_.clear();
    for (size_t i = 0; i < ema.average().size(); ++i) {
      const at::Tensor& average = ema.average()[i];
      const at::Tensor best =
          state.find("best." + ema.parameters()[i].first, average.sizes());
      if (best.defined()) {
        best_.push_back(best.to(average.device()));
      }
    }
    if (!best_.empty() && best_.size() != ema.average().size()) {
      state.fail(fmt::format(
          "expected the best weights of all {} parameters or of none, got those of {}",
          ema.average().size(),
          best_.size()));
    }
  }

 private:
  static double mAP_of(const at::Tensor& scores, const HeldOutSet& set) {
    return mean_average_precision(scores, set.labels).mAP;
  }

  Score score_;
  std::vector<at::Tensor> best_;
  double best_mAP_ = -std::numeric_limits<double>::infinity();
  double best_test_mAP_ = std::numeric_limits<double>::quiet_NaN();
  int64_t best_epoch_ = 0;
};

}  // namespace trmml::training
