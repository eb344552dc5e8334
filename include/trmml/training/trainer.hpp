#pragma once

#include "trmml/core/random.hpp"
#include "trmml/io/module_weights.hpp"
#include "trmml/method/evidence.hpp"
#include "trmml/method/method.hpp"
#include "trmml/method/trm_ml_loss.hpp"
#include "trmml/training/checkpoint.hpp"
#include "trmml/training/ema.hpp"
#include "trmml/training/evaluate.hpp"
#include "trmml/training/options.hpp"
#include "trmml/training/schedule.hpp"

#include <torch/nn/utils/clip_grad.h>
#include <torch/optim/adamw.h>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace trmml::training {

using trmml::gather_evidence;
using trmml::TrainingSet;

/// Pictures of the training pool that are never trained on: the best epoch is chosen on
/// them.
struct HeldOutSet {
  Features features;
  at::Tensor labels;  ///< int8 [n, C], on the CPU
};

/// What is known at the end of an epoch.
struct EpochReport {
  int64_t epoch = 0;                                   ///< from 0
  std::vector<std::pair<std::string, double>> losses;  ///< mean of each term
  double learning_rate = 0.0;                          ///< of the prompts, last step
  double held_out_mAP = 0.0;                           ///< of the averaged weights
  double held_out_mAP_raw = 0.0;                       ///< of the weights themselves
  std::optional<double> test_mAP;  ///< of the averaged weights, if a test was given
  at::Tensor pseudo_labels;        ///< int8 [N, C] used in this epoch; or undefined
  double seconds = 0.0;
};

/// What the program is told and asked while training runs; each may be empty.
struct TrainerCallbacks {
  std::function<void(const EpochReport&)> epoch_end;
  std::function<void(int64_t step, int64_t total)> step_end;
  std::function<bool()> should_stop;  ///< asked after every step
};

/// What `Trainer::fit` returns; the method then holds the averaged weights of the best
/// epoch.
struct TrainingResult {
  int64_t epochs = 0;      ///< epochs done
  int64_t best_epoch = 0;  ///< from 0, by held-out mAP
  double best_mAP = 0.0;   ///< on the held-out pictures

  /// What choosing the epoch on the test itself would have shown, if one was given:
  /// not a result, but what many papers print.
  std::optional<double> best_test_mAP;
};

/// Trains a method on frozen features: AdamW, one-cycle schedule, moving average of the
/// weights, clipped gradients, pseudo-labels at the start of each epoch, early stop,
/// and the choice of the best epoch on held-out pictures. Only the method's own
/// parameters are optimised: a frozen tower gets neither gradients nor weight decay.
/// Works on the device of the method's parameters; labels stay on the CPU.
///
/// With a folder, the whole state is written atomically to "last.safetensors" after
/// every epoch (and every `checkpoint_every` steps), and the state before it is kept as
/// "previous.safetensors"; a resumed run goes on bit for bit on one thread. The order
/// of the pictures depends on seed and epoch only. Reads the global generator only
/// through the method (dropout), and keeps its state with the rest.
///
/// Throws `trmml::Error` naming every term when the loss is not finite, `Interrupted`
/// when asked to stop, `CheckpointError` when a state does not fit, `c10::ValueError`
/// for shapes that disagree.
/// ```
/// Trainer trainer(model.ptr(), TrmMlLoss(), TrainerOptions().epochs(15));
/// TrainingResult result = trainer.fit(train, held_out);
/// ```
class Trainer {
 public:
  Trainer(
      std::shared_ptr<Method> method,
      TrmMlLoss loss,
      const TrainerOptions& options,
      std::optional<PseudoLabelerOptions> pseudo_labels = std::nullopt)
      : options_(options),
        method_(std::move(method)),
        loss_(std::move(loss)),
        groups_(method_->parameter_groups()),
        optimizer_(optimizer_groups()) {
    TORCH_CHECK_VALUE(
        options_.epochs() > 0 && options_.batch_size() > 0,
        "Trainer: expected epochs and batch_size > 0, got ",
        options_.epochs(),
        " and ",
        options_.batch_size());
    TORCH_CHECK_VALUE(
        options_.ema_memory() > 0 && options_.ema_memory() < 1,
        "Trainer: expected ema_memory in (0, 1), got ",
        options_.ema_memory());
    TORCH_CHECK_VALUE(
        options_.accumulate() > 0,
        "Trainer: expected accumulate > 0, got ",
        options_.accumulate());
    TORCH_CHECK_VALUE(
        !options_.resume() || !options_.folder().empty(),
        "Trainer: expected a folder to resume from, got resume without folder");
    if (pseudo_labels) {
      labeler_ = PseudoLabeler(*pseudo_labels);
    }
  }

  /// `test`, if given, is scored after every epoch and never chosen by.
  TrainingResult fit(
      const TrainingSet& train,
      const HeldOutSet& held_out,
      const TrainerCallbacks& callbacks = {},
      const HeldOutSet* test = nullptr) {
    start(train, held_out, test);
    if (options_.resume() && std::filesystem::exists(state_path())) {
      load_state(train);
    }
    const int64_t batches = steps_per_epoch(train);
    while (epoch_ < options_.epochs() && !should_stop_early()) {
      const auto begin = std::chrono::steady_clock::now();
      if (step_ == 0) {
        estimate_pseudo_labels(train);
      }
      const at::Tensor order = at::tensor(epoch_order(
          train.labels.size(0), options_.seed(), static_cast<uint64_t>(epoch_)));
      while (step_ < batches) {
        train_step(train, order);
        after_step(batches, callbacks);
      }
      EpochReport report = close_epoch(held_out, test, batches);
      const std::chrono::duration<double> seconds =
          std::chrono::steady_clock::now() - begin;
      report.seconds = seconds.count();
      // What the program writes about an epoch is there before the state says that the
      // epoch is done: a run that is killed in between tells it again, not never.
      if (callbacks.epoch_end) {
        callbacks.epoch_end(report);
      }
      save_state();
      if (asked_to_stop_ && epoch_ < options_.epochs() && !should_stop_early()) {
        throw interrupted();
      }
    }
    const torch::NoGradGuard no_grad;
    for (size_t i = 0; i < best_.size(); ++i) {
      at::Tensor parameter = ema_->parameters()[i].second;
      parameter.copy_(best_[i]);
    }
    return {
        epoch_,
        best_epoch_,
        best_mAP_,
        test == nullptr ? std::nullopt : std::optional<double>(best_test_mAP_)};
  }

 private:
  // ---------------------------------------------------------------- one step

  // A step's pictures, in parts that are in memory one after the other.
  void train_step(const TrainingSet& train, const at::Tensor& order) {
    const at::Tensor batch = batch_of(order, step_);
    const auto parts = batch.chunk(options_.accumulate());
    optimizer_.zero_grad();
    for (size_t i = 0; i < parts.size(); ++i) {
      const clip::ImageFeatures images =
          train.features->training_views(parts[i], epoch_);
      train.features->prefetch(
          i + 1 < parts.size() ? parts[i + 1] : next_part(order), epoch_);
      const double share =
          static_cast<double>(parts[i].size(0)) / static_cast<double>(batch.size(0));
      const TrmMlTargets targets = targets_of(train, parts[i]);
      const TrmMlOutput output = method_->forward(images);
      const TrmMlLossTerms terms =
          loss_->forward(output, targets, method_->prototypes());
      record(terms, share);
      (parts.size() == 1 ? terms.total : terms.total * share).backward();
      update_prototypes(output, targets);
    }
    torch::nn::utils::clip_grad_norm_(all_parameters(), options_.max_grad_norm());
    set_learning_rates();
    optimizer_.step();
    ema_->update();
  }

  // Indices of the pictures of a step; none after the last one of an epoch.
  at::Tensor batch_of(const at::Tensor& order, int64_t step) const {
    const int64_t first = std::min(step * options_.batch_size(), order.size(0));
    return order.narrow(
        0, first, std::min(options_.batch_size(), order.size(0) - first));
  }

  at::Tensor next_part(const at::Tensor& order) const {
    const at::Tensor next = batch_of(order, step_ + 1);
    return next.size(0) == 0 ? next : next.chunk(options_.accumulate()).front();
  }

  at::Device device() const { return groups_.front().parameters.front().device(); }

  TrmMlTargets targets_of(const TrainingSet& train, const at::Tensor& index) const {
    TrmMlTargets targets;
    const auto rows = [&](const at::Tensor& table) {
      return table.defined() ? table.index_select(0, index).to(device()) : at::Tensor();
    };
    targets.labels = rows(train.labels);
    targets.epoch = epoch_;
    targets.pseudo_labels = rows(pseudo_labels_);
    targets.soft_targets = rows(soft_targets_);
    return targets;
  }

  // After the gradients: the graph of this batch no longer needs the bank.
  void update_prototypes(const TrmMlOutput& output, const TrmMlTargets& targets) {
    CategoryPrototypeBankImpl* bank = method_->prototypes();
    if (bank == nullptr || (loss_->options.contrastive_weight() == 0 && !labeler_)) {
      return;
    }
    const at::Tensor labels =
        loss_->options.unknown_labels() == UnknownLabels::kIgnored
            ? targets.labels
            : functional::confident_absences(targets.labels, output.region_logits);
    bank->update(
        output.query_features.detach(),
        labels,
        output.text_features.detach(),
        output.region_logits.detach().sigmoid());
  }

  // Throws when the loss is not finite; else adds the terms to the epoch's sums.
  void record(const TrmMlLossTerms& terms, double share) {
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
      throw Error(fmt::format(
          "Trainer: expected a finite loss in epoch {} at step {}, got {} (lower the "
          "learning rates, or look for broken features)",
          epoch_,
          step_,
          text));
    }
    for (const auto& [name, value] : named) {
      sums_[name] += share * value.item<double>();
    }
  }

  void set_learning_rates() {
    const int64_t step = epoch_ * steps_ + step_;
    for (size_t i = 0; i < groups_.size(); ++i) {
      const OneCyclePoint point = one_cycle(
          step, options_.epochs() * steps_, max_learning_rate(i), options_.rise());
      auto& group = static_cast<torch::optim::AdamWOptions&>(
          optimizer_.param_groups()[i].options());
      group.lr(point.learning_rate).betas(std::make_tuple(point.momentum, 0.999));
      if (i == 0) {
        learning_rate_ = point.learning_rate;
      }
    }
  }

  void after_step(int64_t batches, const TrainerCallbacks& callbacks) {
    ++step_;
    asked_to_stop_ = callbacks.should_stop && callbacks.should_stop();
    const bool due =
        options_.checkpoint_every() > 0 && step_ % options_.checkpoint_every() == 0;
    if ((due || asked_to_stop_) && step_ < batches) {
      save_state();
    }
    if (callbacks.step_end) {
      callbacks.step_end(epoch_ * batches + step_, options_.epochs() * batches);
    }
    if (asked_to_stop_ && step_ < batches) {
      throw interrupted();
    }
  }

  // To be thrown after the state has been saved.
  Interrupted interrupted() const {
    return Interrupted(fmt::format(
        "stopped in epoch {} after step {}{}",
        epoch_,
        step_,
        options_.folder().empty()
            ? std::string("; no state is saved, because there is no folder for it")
            : fmt::format(
                  "; {} is saved, continue with --resume", state_path().string())));
  }

  // ---------------------------------------------------------------- one epoch

  void estimate_pseudo_labels(const TrainingSet& train) {
    if (!labeler_ || epoch_ < options_.pseudo_from_epoch()) {
      return;
    }
    const Ema::Applied averaged(*ema_);
    const PseudoLabels pseudo = labeler_->forward(
        gather_evidence(*method_, train, options_.evidence()), train.labels);
    pseudo_labels_ = pseudo.labels;
    if (labeler_->options.policy() == PseudoLabelPolicy::kRelationsSoft) {
      soft_targets_ = pseudo.soft_targets.to(at::kFloat);
    }
  }

  EpochReport
  close_epoch(const HeldOutSet& held_out, const HeldOutSet* test, int64_t batches) {
    EpochReport report;
    report.epoch = epoch_;
    for (const auto& [name, sum] : sums_) {
      report.losses.emplace_back(name, sum / static_cast<double>(batches));
    }
    report.learning_rate = learning_rate_;
    report.pseudo_labels = pseudo_labels_;
    const auto score = [this](const HeldOutSet& set) {
      return mean_average_precision(predict(*method_, set.features), set.labels).mAP;
    };
    report.held_out_mAP_raw = score(held_out);
    {
      const Ema::Applied averaged(*ema_);
      report.held_out_mAP = score(held_out);
      if (test != nullptr) {
        report.test_mAP = score(*test);
        best_test_mAP_ = std::max(best_test_mAP_, *report.test_mAP);
      }
    }
    if (best_.empty() || report.held_out_mAP > best_mAP_) {
      best_mAP_ = report.held_out_mAP;
      best_epoch_ = epoch_;
      best_.clear();
      for (const at::Tensor& average : ema_->average()) {
        best_.push_back(average.clone());
      }
    }
    sums_.clear();
    ++epoch_;
    step_ = 0;
    return report;
  }

  bool should_stop_early() const {
    return options_.patience() > 0 && !best_.empty() &&
           epoch_ - 1 - best_epoch_ >= options_.patience();
  }

  // ---------------------------------------------------------------- state

  void
  start(const TrainingSet& train, const HeldOutSet& held_out, const HeldOutSet* test) {
    constexpr auto kWhere = "Trainer::fit";
    const auto check_set =
        [&](const Features& features, const at::Tensor& labels, int64_t n_cls) {
          const int64_t n = features->size();
          TORCH_CHECK_VALUE(n > 0, kWhere, ": expected at least one picture, got none");
          check_labels(labels, {n, n_cls}, kWhere);
        };
    check_set(train.features, train.labels, kAnySize);
    check_set(held_out.features, held_out.labels, train.labels.size(1));
    if (test != nullptr) {
      check_set(test->features, test->labels, train.labels.size(1));
    }
    steps_ = steps_per_epoch(train);
    NamedParameters named;
    for (const auto& group : groups_) {
      for (const at::Tensor& parameter : group.parameters) {
        named.emplace_back(fmt::format("{:04}", named.size()), parameter);
      }
    }
    const double decay =
        std::pow(options_.ema_memory(), 1.0 / static_cast<double>(steps_));
    ema_.emplace(std::move(named), decay);
    method_->as_module().train();
  }

  int64_t steps_per_epoch(const TrainingSet& train) const {
    return (train.labels.size(0) + options_.batch_size() - 1) / options_.batch_size();
  }

  std::filesystem::path state_path() const {
    return options_.folder() / "last.safetensors";
  }

  std::filesystem::path previous_path() const {
    return options_.folder() / "previous.safetensors";
  }

  // The state before the newest one gets a second name before a new one takes its
  // place: at every moment there is a complete "last.safetensors".
  void keep_previous_state() const {
    namespace fs = std::filesystem;
    if (!fs::exists(state_path())) {
      return;
    }
    const fs::path link = options_.folder() / ".previous.safetensors.tmp";
    std::error_code error;
    fs::remove(link, error);
    fs::create_hard_link(state_path(), link, error);
    if (!error) {  // a file system without links keeps one state only
      fs::rename(link, previous_path(), error);
    }
  }

  void save_state() const {
    if (options_.folder().empty()) {
      return;
    }
    keep_previous_state();
    io::TensorMap tensors;
    for (const auto& [name, tensor] : io::module_tensors(method_->as_module())) {
      tensors["model." + name] = tensor;
    }
    for (size_t i = 0; i < ema_->average().size(); ++i) {
      tensors["ema." + ema_->parameters()[i].first] = ema_->average()[i];
      if (!best_.empty()) {
        tensors["best." + ema_->parameters()[i].first] = best_[i];
      }
    }
    save_optimizer(optimizer_, "adamw", tensors);
    if (pseudo_labels_.defined()) {
      tensors["pseudo.labels"] = pseudo_labels_;
    }
    if (soft_targets_.defined()) {
      tensors["pseudo.soft_targets"] = soft_targets_;
    }
    for (const auto& [name, sum] : sums_) {
      tensors["sum." + name] = at::full({}, sum, at::kDouble);
    }
    tensors["best_mAP"] = at::full({}, best_mAP_, at::kDouble);
    tensors["best_test_mAP"] = at::full({}, best_test_mAP_, at::kDouble);
    tensors["generator"] = at::globalContext().defaultGenerator(at::kCPU).get_state();
    io::write_safetensors(
        state_path(),
        tensors,
        {{"format", "trmml.training.1"},
         {"epoch", std::to_string(epoch_)},
         {"step", std::to_string(step_)},
         {"steps_per_epoch", std::to_string(steps_)},
         {"batch_size", std::to_string(options_.batch_size())},
         {"epochs", std::to_string(options_.epochs())},
         {"seed", std::to_string(static_cast<int64_t>(options_.seed()))},
         {"best_epoch", std::to_string(best_epoch_)}});
  }

  io::SafetensorsFile read_state() const {
    try {
      return io::read_safetensors(state_path());
    } catch (const CheckpointError& error) {
      if (!std::filesystem::exists(previous_path())) {
        throw;
      }
      throw CheckpointError(fmt::format(
          "{} (the state before it is {}: copy it over the damaged one to continue "
          "from "
          "there)",
          error.what(),
          previous_path().string()));
    }
  }

  void load_state(const TrainingSet& train) {
    const io::SafetensorsFile file = read_state();
    const auto number = [&](const char* key) {
      return state_number(file.metadata, key, state_path());
    };
    const auto expect = [&](const char* key, int64_t expected) {
      if (number(key) != expected) {
        throw CheckpointError(fmt::format(
            "{}: expected the state of a run with {} {}, got {} (resume with the "
            "options of the run that wrote it)",
            state_path().string(),
            key,
            expected,
            number(key)));
      }
    };
    expect("epochs", options_.epochs());
    expect("steps_per_epoch", steps_);
    expect("batch_size", options_.batch_size());
    expect("seed", static_cast<int64_t>(options_.seed()));
    io::TensorMap weights;
    for (const auto& [name, tensor] : file.tensors) {
      if (name.rfind("model.", 0) == 0) {
        weights[name.substr(6)] = tensor;
      } else if (name.rfind("sum.", 0) == 0) {
        sums_[name.substr(4)] = tensor.item<double>();
      }
    }
    io::load_module(method_->as_module(), weights, state_path().string());
    load_optimizer(optimizer_, "adamw", file.tensors);
    load_averages(file);
    const auto find = [&](const char* name, at::IntArrayRef shape) {
      const auto found = file.tensors.find(name);
      if (found != file.tensors.end() && found->second.sizes() != shape) {
        throw CheckpointError(fmt::format(
            "{}: expected {} of shape {}, got {} (resume with the training set of the "
            "run that wrote it)",
            state_path().string(),
            name,
            format_shape(shape),
            format_shape(found->second.sizes())));
      }
      return found == file.tensors.end() ? at::Tensor() : found->second.clone();
    };
    auto generator = at::globalContext().defaultGenerator(at::kCPU);
    const at::Tensor best_mAP = find("best_mAP", {});
    const at::Tensor best_test_mAP = find("best_test_mAP", {});
    const at::Tensor generator_state = find("generator", generator.get_state().sizes());
    if (!best_mAP.defined() || !best_test_mAP.defined() || !generator_state.defined()) {
      throw CheckpointError(fmt::format(
          "{}: expected best_mAP, best_test_mAP and the state of the generator, got a "
          "file without",
          state_path().string()));
    }
    pseudo_labels_ = find("pseudo.labels", train.labels.sizes());
    soft_targets_ = find("pseudo.soft_targets", train.labels.sizes());
    best_mAP_ = best_mAP.item<double>();
    best_test_mAP_ = best_test_mAP.item<double>();
    generator.set_state(generator_state);
    epoch_ = number("epoch");
    step_ = number("step");
    best_epoch_ = number("best_epoch");
  }

  void load_averages(const io::SafetensorsFile& file) {
    const torch::NoGradGuard no_grad;
    best_.clear();
    for (size_t i = 0; i < ema_->average().size(); ++i) {
      const std::string& name = ema_->parameters()[i].first;
      const auto average = file.tensors.find("ema." + name);
      if (average == file.tensors.end() ||
          average->second.sizes() != ema_->average()[i].sizes()) {
        throw CheckpointError(fmt::format(
            "{}: expected the averaged weights of parameter {} in its shape {}",
            state_path().string(),
            name,
            format_shape(ema_->average()[i].sizes())));
      }
      at::Tensor target = ema_->average()[i];
      target.copy_(average->second);
      const auto best = file.tensors.find("best." + name);
      if (best != file.tensors.end()) {
        best_.push_back(best->second.to(target.device(), /*non_blocking=*/false, true));
      }
    }
  }

  // ---------------------------------------------------------------- optimizer

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
  PseudoLabeler labeler_{nullptr};
  std::vector<ParameterGroup> groups_;
  torch::optim::AdamW optimizer_;
  std::optional<Ema> ema_;

  int64_t steps_ = 0;  // of an epoch
  int64_t epoch_ = 0;
  int64_t step_ = 0;  // done in this epoch
  std::map<std::string, double> sums_;
  bool asked_to_stop_ = false;
  double learning_rate_ = 0.0;
  at::Tensor pseudo_labels_;
  at::Tensor soft_targets_;
  std::vector<at::Tensor> best_;
  double best_mAP_ = -std::numeric_limits<double>::infinity();
  double best_test_mAP_ = -std::numeric_limits<double>::infinity();
  int64_t best_epoch_ = 0;
};

}  // namespace trmml::training
