#pragma once

#include "trmml/training/trainer.hpp"

#include <ATen/ATen.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "support/modules.hpp"
#include "support/tensors.hpp"
#include "training/toy_problem.hpp"

// Methods of one weight or two, whose training can be worked out, and a run of any.

namespace small {

using trmml::ParameterGroup;
using trmml::PseudoLabelerOptions;
using trmml::TrainingSet;
using trmml::TrmMlLoss;
using trmml::TrmMlLossOptions;
using trmml::TrmMlOutput;
using trmml::clip::ImageFeatures;
using trmml::training::EpochReport;
using trmml::training::HeldOutSet;
using trmml::training::StepReport;
using trmml::training::Trainer;
using trmml::training::TrainerCallbacks;
using trmml::training::TrainerOptions;
using trmml::training::TrainingResult;

/// z = x W + b on the global feature, in double. Remembers what it was trained on.
class Linear : public torch::nn::Module, public trmml::Method {
 public:
  torch::nn::Module& as_module() override { return *this; }
  Linear(int64_t d, int64_t c)
      : weight(register_parameter("weight", at::zeros({d, c}, at::kDouble))),
        bias(register_parameter("bias", at::zeros({c}, at::kDouble))) {}

  at::Tensor text_features() override { return at::zeros({2, 1, 1}); }
  TrmMlOutput forward(const ImageFeatures& images, const at::Tensor&) override {
    if (is_training()) {
      batches.push_back(images.global.select(1, 0).clone());
    }
    TrmMlOutput output;
    output.region_logits = images.global.to(at::kDouble).matmul(weight) + bias;
    return output;
  }
  std::vector<ParameterGroup> parameter_groups() override {
    return {{"prompts", {bias}}, {"matcher", {weight}}};
  }

  at::Tensor weight;
  at::Tensor bias;
  std::vector<at::Tensor> batches;  ///< first column of the features of each
};

/// Training pushes w up; the held-out score is right only while 0 < w < 1.
class Hill : public torch::nn::Module, public trmml::Method {
 public:
  torch::nn::Module& as_module() override { return *this; }
  Hill() : w(register_parameter("w", at::full({}, -0.2))) {}

  at::Tensor text_features() override { return at::zeros({2, 1, 1}); }
  TrmMlOutput forward(const ImageFeatures& images, const at::Tensor&) override {
    TrmMlOutput output;
    output.region_logits = images.global * (is_training() ? w : w * (1 - w));
    return output;
  }
  std::vector<ParameterGroup> parameter_groups() override { return {{"matcher", {w}}}; }

  at::Tensor w;
};

/// Features with numbers 0 .. n-1 in the first column, and labels by formula.
inline TrainingSet numbered(int64_t n, int64_t d, int64_t c) {
  at::Tensor global = support::fill({n, d}, 1).to(at::kFloat);
  global.select(1, 0).copy_(at::arange(n));
  return {
      ImageFeatures{global, at::zeros({n, 1, 1})},
      support::fill_labels({n, c}, 2),
      {},
      {}};
}

inline HeldOutSet held_out_of(const TrainingSet& train) {
  return {train.features, train.labels};
}

/// A method of the toy problem and what its training reported.
struct Run {
  TrainingResult result;
  std::vector<EpochReport> reports;
};

inline Run train(
    const std::shared_ptr<trmml::Method>& method,
    const toy::Problem& problem,
    const TrainerOptions& options = toy::trainer_options(),
    const TrmMlLossOptions& loss = {},
    const std::optional<PseudoLabelerOptions>& pseudo_labels = std::nullopt) {
  Run run;
  TrainerCallbacks callbacks;
  callbacks.epoch_end = [&run](const EpochReport& report) {
    run.reports.push_back(report);
  };
  Trainer trainer(method, TrmMlLoss(loss), options, pseudo_labels);
  run.result = trainer.fit(problem.train, problem.held_out, callbacks);
  return run;
}

inline std::vector<std::string> names_of(const EpochReport& report) {
  std::vector<std::string> names;
  for (const auto& [name, value] : report.losses) {
    names.push_back(name);
  }
  return names;
}

}  // namespace small
