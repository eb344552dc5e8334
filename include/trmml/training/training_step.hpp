#pragma once

#include "trmml/core/torch_version.hpp"
#include "trmml/functional/pseudo_label.hpp"
#include "trmml/method/evidence.hpp"
#include "trmml/method/method.hpp"
#include "trmml/method/trm_ml_loss.hpp"
#include "trmml/training/ema.hpp"
#include "trmml/training/optimizer_state.hpp"
#include "trmml/training/options.hpp"
#include "trmml/training/schedule.hpp"
#include "trmml/training/state_file.hpp"

#include <torch/nn/utils/clip_grad.h>
#include <torch/optim/adamw.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trmml::training {

/// Which step of a training.
struct StepPlace {
  int64_t epoch = 0;
  int64_t step = 0;  ///< of this epoch
};

/// Terms of a loss, named as by `TrmMlLossTerms::named` and sorted by name ("total" is
/// the last).
using NamedLosses = std::vector<std::pair<std::string, double>>;

/// One step of a training: the gradients of its pictures, part by part, their norm
/// clipped; AdamW at the learning rates of one-cycle; the moving average of the
/// weights; the prototypes.
class TrainingStep {
 public:
  /// `keeps_prototypes`: whether anything reads them.
  TrainingStep(
      std::shared_ptr<Method> method,
      TrmMlLoss loss,
      const TrainerOptions& options,
      bool keeps_prototypes)
      : options_(options),
        method_(std::move(method)),
        loss_(std::move(loss)),
        keeps_prototypes_(keeps_prototypes),
        groups_(method_->parameter_groups()),
        optimizer_(optimizer_groups()) {}

  /// Before the first step: the average starts from the weights as they are.
  void start(int64_t steps_per_epoch) {
    steps_per_epoch_ = steps_per_epoch;
    NamedParameters named;
    for (const at::Tensor& parameter : all_parameters()) {
      named.emplace_back(fmt::format("{:04}", named.size()), parameter);
    }
    ema_.emplace(
        std::move(named),
        std::pow(options_.ema_memory(), 1.0 / static_cast<double>(steps_per_epoch)));
  }

  /// Trains on the pictures of a step: the `batch_size` ones of `order` [N] from
  /// `step * batch_size` on. `pseudo_labels` and `soft_targets` [N, C] may be
  /// undefined. Throws `trmml::Error` when the loss (naming every term) or a gradient
  /// is not finite; the weights are then those before the step.
  void run(
      const TrainingSet& train,
      const at::Tensor& pseudo_labels,
      const at::Tensor& soft_targets,
      const at::Tensor& order,
      StepPlace place) {
    const at::Tensor batch = batch_of(order, place.step);
    const auto parts = batch.chunk(options_.accumulate());
    optimizer_.zero_grad();
    losses_.clear();
    PrototypeUpdate prototypes;
    for (size_t i = 0; i < parts.size(); ++i) {
      const clip::ImageFeatures images =
          train.features->training_views(parts[i], place.epoch).to(method_->device());
      train.features->prefetch(
          i + 1 < parts.size() ? parts[i + 1] : next_part(order, place.step),
          place.epoch);
      const double share =
          static_cast<double>(parts[i].size(0)) / static_cast<double>(batch.size(0));
      const auto rows = [&](const at::Tensor& table) {
        return table.defined() ? table.index_select(0, parts[i]).to(method_->device())
                               : at::Tensor();
      };
      TrmMlTargets targets;
      targets.labels = rows(train.labels);
      targets.epoch = place.epoch;
      targets.pseudo_labels = rows(pseudo_labels);
      targets.soft_targets = rows(soft_targets);
      const TrmMlOutput output = forward(images);
      const TrmMlLossTerms terms =
          loss_->forward(output, targets, method_->prototypes());
      record(terms, share, place);
      (parts.size() == 1 ? terms.total : terms.total * share).backward();
      prototypes.add(statistics_of(output, targets), output.text_features);
    }
    const double norm =
        torch::nn::utils::clip_grad_norm_(all_parameters(), options_.max_grad_norm());
    if (!std::isfinite(norm)) {
      fail("gradient", place, fmt::format("one of norm {}", std::abs(norm)));
    }
    set_learning_rates(place);
    optimizer_.step();
    ema_->update();
    prototypes.apply(method_->prototypes());
    for (const auto& [name, value] : losses_) {
      sums_[name] += value;
    }
  }

  /// Each term of the loss at the last step.
  NamedLosses losses() const { return {losses_.begin(), losses_.end()}; }

  /// Mean of each term over the steps of an epoch; the next one starts from nothing.
  NamedLosses take_mean_losses() {
    NamedLosses means;
    for (const auto& [name, sum] : std::exchange(sums_, {})) {
      means.emplace_back(name, sum / static_cast<double>(steps_per_epoch_));
    }
    return means;
  }

  /// Of the first group of parameters, at a step.
  double learning_rate(StepPlace place) const {
    return groups_.empty() ? 0.0 : point_of(0, place).learning_rate;
  }

  const Ema& ema() const { return *ema_; }

  void save(io::TensorMap& state) const {
    for (size_t i = 0; i < ema_->average().size(); ++i) {
      state["ema." + ema_->parameters()[i].first] = ema_->average()[i];
    }
    save_optimizer(optimizer_, "adamw", state);
    for (const auto& [name, sum] : sums_) {
      state["sum." + name] = at::full({}, sum, at::kDouble);
    }
  }

  void load(const SavedState& state) {
    load_optimizer(optimizer_, "adamw", state.tensors(), state.path().string());
    const c10::NoGradGuard no_grad;
    for (size_t i = 0; i < ema_->average().size(); ++i) {
      const std::string& name = ema_->parameters()[i].first;
      const auto average = state.tensors().find("ema." + name);
      at::Tensor target = ema_->average()[i];
      if (average == state.tensors().end() ||
          average->second.sizes() != target.sizes()) {
        state.fail(fmt::format(
            "expected the averaged weights of parameter {} in its shape {}",
            name,
            format_shape(target.sizes())));
      }
      target.copy_(average->second);
    }
    sums_.clear();
    for (const auto& [name, sum] : state.below("sum.")) {
      sums_[name] = sum.item<double>();
    }
  }

 private:
  // What the parts of a step say about the prototypes.
  class PrototypeUpdate {
   public:
    void add(std::optional<PrototypeStatistics> part, const at::Tensor& text) {
      if (!part) {
        return;
      }
      if (sum_) {
        *sum_ += *part;
      } else {
        sum_ = std::move(part);
      }
      text_ = text.detach();
    }

    void apply(CategoryPrototypeBankImpl* bank) const {
      if (sum_) {
        bank->update_from(*sum_);
        bank->set_text(text_);
      }
    }

   private:
    std::optional<PrototypeStatistics> sum_;
    at::Tensor text_;
  };

  // Indices of the pictures of a step; none after the last one of an epoch.
  at::Tensor batch_of(const at::Tensor& order, int64_t step) const {
    const int64_t first = std::min(step * options_.batch_size(), order.size(0));
    return order.narrow(
        0, first, std::min(options_.batch_size(), order.size(0) - first));
  }

  at::Tensor next_part(const at::Tensor& order, int64_t step) const {
    const at::Tensor next = batch_of(order, step + 1);
    return next.size(0) == 0 ? next : next.chunk(options_.accumulate()).front();
  }

  // In bfloat16 where it is asked for; the loss is computed in float.
  TrmMlOutput forward(const clip::ImageFeatures& images) {
    if (!options_.bfloat16()) {
      return method_->forward(images);
    }
    TrmMlOutput output;
    {
      const AutocastGuard autocast(method_->device().type(), true);
      output = method_->forward(images);
    }
    for (at::Tensor* tensor :
         {&output.saliency,
          &output.region_features,
          &output.query_features,
          &output.region_logits,
          &output.query_logits,
          &output.text_features}) {
      if (tensor->defined()) {
        *tensor = tensor->to(at::kFloat);
      }
    }
    return output;
  }

  std::optional<PrototypeStatistics> statistics_of(
      const TrmMlOutput& output,
      const TrmMlTargets& targets) const {
    const CategoryPrototypeBankImpl* bank = method_->prototypes();
    if (bank == nullptr || !keeps_prototypes_) {
      return std::nullopt;
    }
    const at::Tensor labels =
        loss_->options.unknown_labels() == UnknownLabels::kIgnored
            ? targets.labels
            : functional::confident_absences(
                  output.region_logits, targets.labels, options_.absent_below());
    return bank->collect(
        method_->prototype_features(output).detach(),
        labels,
        output.region_logits.detach().sigmoid());
  }

  [[noreturn]] static void
  fail(std::string_view what, StepPlace place, std::string_view got) {
    throw Error(fmt::format(
        "Trainer: expected a finite {} in epoch {} at step {}, got {} (lower the "
        "learning rates, or look for broken features)",
        what,
        place.epoch,
        place.step,
        got));
  }

  // Throws when the loss is not finite; else adds the terms to those of the step.
  void record(const TrmMlLossTerms& terms, double share, StepPlace place) {
    const auto named = terms.named();
    if (!std::isfinite(terms.total.item<double>())) {
      std::string text;
      for (const auto& [name, term] : named) {
        const double value = term.item<double>();
        text += fmt::format(
            "{}{} {}",
            text.empty() ? "" : ", ",
            name,
            std::isnan(value) ? std::abs(value) : value);  // never "-nan"
      }
      fail("loss", place, text);
    }
    for (const auto& [name, value] : named) {
      losses_[name] += share * value.item<double>();
    }
  }

  void set_learning_rates(StepPlace place) {
    for (size_t i = 0; i < groups_.size(); ++i) {
      const OneCyclePoint point = point_of(i, place);
      auto& group = static_cast<torch::optim::AdamWOptions&>(
          optimizer_.param_groups()[i].options());
      group.lr(point.learning_rate).betas(std::make_tuple(point.momentum, 0.999));
    }
  }

  OneCyclePoint point_of(size_t group, StepPlace place) const {
    return one_cycle(
        place.epoch * steps_per_epoch_ + place.step,
        options_.epochs() * steps_per_epoch_,
        max_learning_rate(group),
        options_.rise());
  }

  double max_learning_rate(size_t group) const {
    return groups_[group].name == "prompts" ? options_.prompt_learning_rate()
                                            : options_.matcher_learning_rate();
  }

  std::vector<torch::optim::OptimizerParamGroup> optimizer_groups() const {
    std::vector<torch::optim::OptimizerParamGroup> all;
    for (size_t i = 0; i < groups_.size(); ++i) {
      const double decay = groups_[i].name == "prompts" ? 0.0 : options_.weight_decay();
      all.emplace_back(
          groups_[i].parameters,
          std::make_unique<torch::optim::AdamWOptions>(
              torch::optim::AdamWOptions(max_learning_rate(i)).weight_decay(decay)));
    }
    return all;
  }

  std::vector<at::Tensor> all_parameters() const {
    std::vector<at::Tensor> all;
    for (const auto& group : groups_) {
      all.insert(all.end(), group.parameters.begin(), group.parameters.end());
    }
    return all;
  }

  TrainerOptions options_;
  std::shared_ptr<Method> method_;
  TrmMlLoss loss_;
  bool keeps_prototypes_;
  std::vector<ParameterGroup> groups_;
  torch::optim::AdamW optimizer_;
  std::optional<Ema> ema_;
  int64_t steps_per_epoch_ = 0;
  std::map<std::string, double> losses_;  // of the last step
  std::map<std::string, double> sums_;    // over the steps of the epoch
};

}  // namespace trmml::training
