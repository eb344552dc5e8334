#pragma once

#include "trmml/clip/image_features.hpp"
#include "trmml/functional/prompts.hpp"
#include "trmml/functional/similarity.hpp"
#include "trmml/modules/category_prototype_bank.hpp"
#include "trmml/modules/prompt_learner.hpp"

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <functional>
#include <string>
#include <unordered_set>
#include <vector>

namespace trmml {

/// What a method computes for a batch. Methods without category-aware regions leave all
/// but `region_logits` and `text_features` undefined.
struct TrmMlOutput {
  at::Tensor saliency;         ///< [B, C, R], each row sums to 1
  at::Tensor region_features;  ///< [B, C, D] r, normalised
  at::Tensor query_features;   ///< [B, C, D] q, normalised
  at::Tensor region_logits;    ///< [B, C] z^r
  at::Tensor query_logits;     ///< [B, C] z^q
  at::Tensor text_features;    ///< [P, C, D], normalised
};

/// Which logits are the score of a category at test.
enum class Score { kMean, kRegion, kQuery };

/// The score [B, C] (a logit) of an output; `region_logits` where there is no other.
inline at::Tensor score_of(const TrmMlOutput& output, Score score = Score::kMean) {
  if (!output.query_logits.defined() || score == Score::kRegion) {
    return output.region_logits;
  }
  if (score == Score::kQuery) {
    return output.query_logits;
  }
  return (output.region_logits + output.query_logits) / 2;
}

/// Turns prompts into text features [P, C, D]: a frozen text tower, usually
/// `[text](const Prompts& p) mutable { return text->forward(p); }`. Its weights are not
/// part of the method: they are neither trained nor saved with it.
using TextEncoder = std::function<at::Tensor(const Prompts&)>;

/// Parameters that share a learning rate.
struct ParameterGroup {
  std::string name;  ///< "prompts" or "matcher"
  std::vector<at::Tensor> parameters;
};

/// A method of multi-label recognition with learned prompts on a frozen CLIP. What the
/// trainer needs to know of TRM-ML and of the baselines, which are of equal rank.
///
/// An interface only: the classes that implement it are `torch::nn::Cloneable`, which
/// brings its own `Module`.
class Method {
 public:
  virtual ~Method() = default;

  /// The method as a module: parameters, buffers, mode.
  virtual torch::nn::Module& as_module() = 0;

  /// Text features [P, C, D] of the current prompts, normalised. At test, compute them
  /// once and give them to every `forward`.
  virtual at::Tensor text_features() = 0;

  /// Scores a batch of frozen image features. `text_features` are computed when they
  /// are not given.
  virtual TrmMlOutput forward(
      const clip::ImageFeatures& images,
      const at::Tensor& text_features = {}) = 0;

  /// Everything that is trained, by learning rate.
  virtual std::vector<ParameterGroup> parameter_groups() = 0;

  /// The category prototypes, for methods that keep some; else null.
  virtual CategoryPrototypeBankImpl* prototypes() { return nullptr; }

  /// Of an output, the features [B, C, D] that the prototypes are made of.
  virtual at::Tensor prototype_features(const TrmMlOutput& output) {
    return output.query_features;
  }

  /// Where the parameters are (the CPU, if there are none): what `forward` takes has to
  /// be there.
  at::Device device() {
    for (const ParameterGroup& group : parameter_groups()) {
      if (!group.parameters.empty()) {
        return group.parameters.front().device();
      }
    }
    return at::kCPU;
  }
};

/// While it lives, a module and all modules below it are in evaluation mode; then each
/// is in the mode it was in.
class EvaluationMode {
 public:
  explicit EvaluationMode(torch::nn::Module& module) : module_(module) {
    module_.apply([this](torch::nn::Module& part) {
      if (part.is_training()) {
        in_training_.insert(&part);
      }
    });
    module_.eval();
  }
  ~EvaluationMode() {
    module_.train();  // goes down to every part, so those that were not come after it
    module_.apply([this](torch::nn::Module& part) {
      if (in_training_.count(&part) == 0) {
        part.eval();
      }
    });
  }
  EvaluationMode(const EvaluationMode&) = delete;
  EvaluationMode& operator=(const EvaluationMode&) = delete;

 private:
  torch::nn::Module& module_;
  std::unordered_set<const torch::nn::Module*> in_training_;
};

}  // namespace trmml
