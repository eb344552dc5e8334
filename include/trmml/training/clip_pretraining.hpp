#pragma once

#include "trmml/clip/clip_model.hpp"
#include "trmml/core/error.hpp"
#include "trmml/core/torch_version.hpp"
#include "trmml/functional/similarity.hpp"
#include "trmml/io/module_weights.hpp"
#include "trmml/training/optimizer_state.hpp"
#include "trmml/training/state_file.hpp"

#include <torch/arg.h>
#include <torch/nn/utils/clip_grad.h>
#include <torch/optim/adamw.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace trmml::training {

/// Pictures and the texts that belong to them, row by row.
struct PairBatch {
  at::Tensor images;  ///< float [B, 3, H, W]
  at::Tensor ids;     ///< int64 [B, L] token ids
};

/// Options of `ClipPretraining`. All ours, sized for a small CLIP.
struct ClipPretrainingOptions {
  /*implicit*/ ClipPretrainingOptions(int64_t steps) : steps_(steps) {}

  /// Length of the whole run; the learning rate follows a cosine over it.
  TORCH_ARG(int64_t, steps);

  /// Largest learning rate of AdamW (betas 0.9, 0.98); > 0.
  TORCH_ARG(double, learning_rate) = 2e-3;

  /// Steps over which the learning rate rises linearly.
  TORCH_ARG(int64_t, warmup) = 100;

  /// Weight decay of matrices and kernels, >= 0; vectors and scalars have none.
  TORCH_ARG(double, weight_decay) = 0.02;

  /// Largest norm of the gradient; > 0.
  TORCH_ARG(double, max_grad_norm) = 1.0;

  /// Runs the image tower in bfloat16 (the loss and the text tower stay in float).
  TORCH_ARG(bool, bfloat16) = false;
};

/// Contrastive pre-training of a CLIP from scratch: symmetric InfoNCE over a batch
/// (Radford et al., "Learning Transferable Visual Models From Natural Language
/// Supervision", 2021, section 2.3)
/// \f[ L = \tfrac12 (\mathrm{CE}(s\,\hat v \hat t^T) + \mathrm{CE}(s\,\hat t \hat v^T))
/// \f] with the scale s learned and kept in [1, 100].
///
/// Draws no random numbers: with the same weights, batches and one thread, the same
/// weights come out. Throws `c10::ValueError` for options out of range.
class ClipPretraining {
 public:
  ClipPretraining(clip::ClipModel model, const ClipPretrainingOptions& options)
      : options_(options), model_(std::move(model)), optimizer_(groups()) {
    TORCH_CHECK_VALUE(
        options_.steps() > 0 && options_.warmup() >= 0,
        "ClipPretraining: expected steps > 0 and warmup >= 0, got ",
        options_.steps(),
        " and ",
        options_.warmup());
    TORCH_CHECK_VALUE(
        options_.learning_rate() > 0 && options_.weight_decay() >= 0 &&
            options_.max_grad_norm() > 0,
        "ClipPretraining: expected learning_rate > 0, weight_decay >= 0 and "
        "max_grad_norm > 0, got ",
        options_.learning_rate(),
        ", ",
        options_.weight_decay(),
        " and ",
        options_.max_grad_norm());
    model_->train();
  }

  /// One step of training; returns the loss. Throws `trmml::Error` when the loss or the
  /// gradient is not finite, before any weight changes, and `c10::ValueError` behind
  /// the last step.
  double step(const PairBatch& batch) {
    TORCH_CHECK_VALUE(
        step_ < options_.steps(),
        "ClipPretraining::step: expected at most ",
        options_.steps(),
        " steps, as the options say");
    set_learning_rate();
    at::Tensor image_features;
    {
      const AutocastGuard autocast(batch.images.device().type(), options_.bfloat16());
      image_features = model_->encode_image(batch.images);
    }
    const at::Tensor v = functional::l2_normalise(image_features.to(at::kFloat));
    const at::Tensor t = functional::l2_normalise(model_->encode_text(batch.ids));
    const at::Tensor logits =
        model_->logit_scale.exp() * at::matmul(v, t.t());  // [B, B]
    const at::Tensor target = at::arange(v.size(0), batch.ids.options());
    const at::Tensor loss = 0.5 * (at::cross_entropy_loss(logits, target) +
                                   at::cross_entropy_loss(logits.t(), target));
    const double value = loss.item<double>();
    expect_finite("loss", value);
    optimizer_.zero_grad();
    loss.backward();
    expect_finite(
        "gradient",
        torch::nn::utils::clip_grad_norm_(
            model_->parameters(), options_.max_grad_norm()));
    optimizer_.step();
    {
      const torch::NoGradGuard no_grad;
      model_->logit_scale.clamp_(0.0, std::log(100.0));
    }
    ++step_;
    return value;
  }

  /// Steps done so far.
  int64_t steps_done() const { return step_; }

  /// Writes weights, moments and step into one file, complete or not at all.
  void save(const std::filesystem::path& path) const {
    io::TensorMap tensors;
    for (const auto& [name, tensor] : io::module_tensors(*model_)) {
      tensors["model." + name] = tensor;
    }
    save_optimizer(optimizer_, "adamw", tensors);
    io::write_safetensors(
        path,
        tensors,
        {{"format", kFormat},
         {"step", std::to_string(step_)},
         {"steps", std::to_string(options_.steps())}});
  }

  /// Continues from a file that `save` wrote. Throws `CheckpointError` when it belongs
  /// to a run of another length or another model.
  void load(const std::filesystem::path& path) {
    const SavedState state(path, io::read_safetensors(path));
    state.expect_format(kFormat);
    state.expect("steps", options_.steps());
    io::load_module(*model_, state.below("model."), path.string());
    load_optimizer(optimizer_, "adamw", state.tensors(), path.string());
    step_ = state.number("step", 0, options_.steps());
  }

 private:
  static constexpr auto kFormat = "trmml.clip_pretraining.1";

  std::vector<torch::optim::OptimizerParamGroup> groups() const {
    std::vector<at::Tensor> decayed;
    std::vector<at::Tensor> plain;
    for (const at::Tensor& parameter : model_->parameters()) {
      (parameter.dim() > 1 ? decayed : plain).push_back(parameter);
    }
    const auto settings = [this](double weight_decay) {
      return std::make_unique<torch::optim::AdamWOptions>(
          torch::optim::AdamWOptions(options_.learning_rate())
              .betas(std::make_tuple(0.9, 0.98))
              .weight_decay(weight_decay));
    };
    std::vector<torch::optim::OptimizerParamGroup> all;
    all.emplace_back(decayed, settings(options_.weight_decay()));
    all.emplace_back(plain, settings(0.0));
    return all;
  }

  void expect_finite(const char* what, double value) const {
    if (!std::isfinite(value)) {
      throw Error(fmt::format(
          "ClipPretraining::step: expected a finite {} at step {}, got {} (lower the "
          "learning rate)",
          what,
          step_,
          value));
    }
  }

  void set_learning_rate() {
    const double done = static_cast<double>(step_);
    const double rise =
        std::min(1.0, (done + 1.0) / static_cast<double>(options_.warmup()));
    const double fall =
        0.5 + 0.5 * std::cos(M_PI * done / static_cast<double>(options_.steps()));
    for (auto& group : optimizer_.param_groups()) {
      static_cast<torch::optim::AdamWOptions&>(group.options())
          .lr(options_.learning_rate() * rise * fall + 1e-6);
    }
  }

  ClipPretrainingOptions options_;
  clip::ClipModel model_;
  torch::optim::AdamW optimizer_;
  int64_t step_ = 0;
};

}  // namespace trmml::training
