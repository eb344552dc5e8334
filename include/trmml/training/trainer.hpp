#pragma once

#include "trmml/core/random.hpp"
#include "trmml/io/atomic_file.hpp"
#include "trmml/io/module_weights.hpp"
#include "trmml/modules/pseudo_labeler.hpp"
#include "trmml/training/epoch_selection.hpp"
#include "trmml/training/options.hpp"
#include "trmml/training/pseudo_label_refresh.hpp"
#include "trmml/training/state_file.hpp"
#include "trmml/training/training_step.hpp"

#include <fmt/format.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace trmml::training {

/// What is known at the end of an epoch.
struct EpochReport {
  int64_t epoch = 0;               ///< from 0
  NamedLosses losses;              ///< mean of each term over the steps
  double learning_rate = 0.0;      ///< of the prompts, last step
  double held_out_mAP = 0.0;       ///< of the averaged weights
  double held_out_mAP_raw = 0.0;   ///< of the weights themselves
  std::optional<double> test_mAP;  ///< of the averaged weights, if a test was given
  at::Tensor pseudo_labels;        ///< int8 [N, C] used in this epoch; or undefined
  at::Tensor held_out_logits;      ///< [n, C] of the averaged weights
  double seconds = 0.0;            ///< before a break, too, as far as it was saved
};

/// What is known after a step.
struct StepReport {
  int64_t step = 0;    ///< steps done, in all epochs
  int64_t total = 0;   ///< steps of all epochs
  NamedLosses losses;  ///< each term at this step
};

/// What the program is told and asked while training runs; each may be empty.
struct TrainerCallbacks {
  std::function<void(const EpochReport&)> epoch_end;
  std::function<void(const StepReport&)> step_end;

  /// Asked after every step, and between the batches of pictures that are scored or
  /// that pseudo-labels are estimated from.
  std::function<bool()> should_stop;
};

/// What `Trainer::fit` returns; the method then holds the averaged weights of the best
/// epoch.
struct TrainingResult {
  int64_t epochs = 0;      ///< epochs done
  int64_t best_epoch = 0;  ///< from 0, by held-out mAP
  double best_mAP = 0.0;   ///< on the held-out pictures; NaN if they have none

  /// What choosing the epoch on the test itself would have shown, if one was given:
  /// not a result, but what many papers print.
  std::optional<double> best_test_mAP;

  /// Of training and evaluating, in all starts of the run; what a killed one did after
  /// its last state is not counted.
  double seconds = 0.0;
};

/// Trains a method on frozen features: AdamW, one-cycle schedule, moving average of the
/// weights, clipped gradients, pseudo-labels at the start of each epoch, early stop,
/// and the choice of the best epoch on held-out pictures. Only the method's own
/// parameters are optimised: a frozen tower gets neither gradients nor weight decay.
/// Works on the device of the method's parameters, where features are moved to; labels
/// stay on the CPU.
///
/// With a folder, the whole state is written atomically to "last.safetensors" after
/// every epoch (and every `checkpoint_every` steps, and when asked to stop), and the
/// state before it is kept as "previous.safetensors"; a resumed run goes on bit for bit
/// on one thread. What killed programs left half written is removed. The order of the
/// pictures depends on seed and epoch only. Reads the global generator of the method's
/// device only through the method (dropout), and keeps its state with the rest.
///
/// Throws `trmml::Error` when the loss (naming every term) or a gradient is not finite,
/// `Interrupted` when asked to stop, `CheckpointError` when a state does not fit,
/// `WriteError` when one cannot be written (the one before it is then whole),
/// `c10::ValueError` without a method or a loss, for options out of range and for
/// shapes that disagree.
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
      : options_(checked(options)),
        method_(checked(std::move(method), loss)),
        state_(options.folder()),
        pseudo_labels_(pseudo_labels, options),
        training_step_(
            method_,
            loss,
            options,
            loss->options.contrastive_weight() != 0 || pseudo_labels_.is_on()),
        selection_(options.score()) {}

  /// `test`, if given, is scored after every epoch and never chosen by. Once only: a
  /// second training needs a new trainer.
  TrainingResult fit(
      const TrainingSet& train,
      const HeldOutSet& held_out,
      const TrainerCallbacks& callbacks = {},
      const HeldOutSet* test = nullptr) {
    start(train, held_out, test);
    if (options_.resume() && state_.exists()) {
      load_state(train);
    }
    const std::function<bool()>& should_stop = callbacks.should_stop;
    while (!is_over()) {
      if (place_.step == 0) {
        interruptible([&] {
          pseudo_labels_.estimate(
              *method_, training_step_.ema(), train, place_.epoch, should_stop);
        });
      }
      run_steps(train, callbacks);
      const EpochReport report =
          interruptible([&] { return close_epoch(held_out, test, should_stop); });
      // What the program writes about an epoch is there before the state says that the
      // epoch is done: a run that is killed in between tells it again, not never.
      if (callbacks.epoch_end) {
        callbacks.epoch_end(report);
      }
      save_state();
      if (asked_to_stop_ && !is_over()) {
        throw interrupted();
      }
    }
    selection_.apply(training_step_.ema());
    return {
        place_.epoch,
        selection_.best_epoch(),
        selection_.best_mAP(),
        test == nullptr ? std::nullopt
                        : std::optional<double>(selection_.best_test_mAP()),
        run_clock_.seconds()};
  }

 private:
  // Seconds since it was started, added to those of the starts before a break.
  class Clock {
   public:
    void start(double before = 0.0) {
      before_ = before;
      begin_ = std::chrono::steady_clock::now();
    }
    double seconds() const {
      const std::chrono::duration<double> since =
          std::chrono::steady_clock::now() - begin_;
      return before_ + since.count();
    }

   private:
    double before_ = 0.0;
    std::chrono::steady_clock::time_point begin_;
  };

  static std::shared_ptr<Method> checked(
      std::shared_ptr<Method> method,
      const TrmMlLoss& loss) {
    TORCH_CHECK_VALUE(
        method != nullptr && !loss.is_empty(),
        "Trainer: expected a method and a loss, got none");
    return method;
  }

  static const TrainerOptions& checked(const TrainerOptions& options) {
    TORCH_CHECK_VALUE(
        options.epochs() > 0 && options.batch_size() > 0,
        "Trainer: expected epochs and batch_size > 0, got ",
        options.epochs(),
        " and ",
        options.batch_size());
    const auto check = [](bool holds, const char* range, const auto& value) {
      TORCH_CHECK_VALUE(holds, "Trainer: expected ", range, ", got ", value);
    };
    const auto is_share = [](double x) { return x > 0 && x < 1; };
    check(is_share(options.ema_memory()), "ema_memory in (0, 1)", options.ema_memory());
    check(is_share(options.rise()), "rise in (0, 1)", options.rise());
    check(
        is_share(options.absent_below()),
        "absent_below in (0, 1)",
        options.absent_below());
    check(options.accumulate() > 0, "accumulate > 0", options.accumulate());
    check(
        options.prompt_learning_rate() >= 0,
        "prompt_learning_rate >= 0",
        options.prompt_learning_rate());
    check(
        options.matcher_learning_rate() >= 0,
        "matcher_learning_rate >= 0",
        options.matcher_learning_rate());
    check(options.weight_decay() >= 0, "weight_decay >= 0", options.weight_decay());
    check(options.max_grad_norm() > 0, "max_grad_norm > 0", options.max_grad_norm());
    check(options.patience() >= 0, "patience >= 0", options.patience());
    check(
        options.pseudo_from_epoch() >= 0,
        "pseudo_from_epoch >= 0",
        options.pseudo_from_epoch());
    check(
        options.checkpoint_every() >= 0,
        "checkpoint_every >= 0",
        options.checkpoint_every());
    TORCH_CHECK_VALUE(
        !options.resume() || !options.folder().empty(),
        "Trainer: expected a folder to resume from, got resume without folder");
    return options;
  }

  void
  start(const TrainingSet& train, const HeldOutSet& held_out, const HeldOutSet* test) {
    constexpr auto kWhere = "Trainer::fit";
    TORCH_CHECK_VALUE(
        steps_ == 0,
        kWhere,
        ": expected to be called once, got a second call (make a new Trainer)");
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
    steps_ = (train.labels.size(0) + options_.batch_size() - 1) / options_.batch_size();
    training_step_.start(steps_);
    if (state_.has_folder()) {
      io::remove_stale_temporaries(options_.folder());
    }
    run_clock_.start();
    epoch_clock_.start();
    method_->as_module().train();
  }

  // Those that are left of the epoch: none, when only its end is left.
  void run_steps(const TrainingSet& train, const TrainerCallbacks& callbacks) {
    const at::Tensor order = at::tensor(epoch_order(
        train.labels.size(0), options_.seed(), static_cast<uint64_t>(place_.epoch)));
    while (place_.step < steps_) {
      training_step_.run(
          train, pseudo_labels_.labels(), pseudo_labels_.soft_targets(), order, place_);
      after_step(callbacks);
    }
  }

  void after_step(const TrainerCallbacks& callbacks) {
    const int64_t step = ++place_.step;
    asked_to_stop_ = callbacks.should_stop && callbacks.should_stop();
    const bool due =
        options_.checkpoint_every() > 0 && step % options_.checkpoint_every() == 0;
    if ((due || asked_to_stop_) && step < steps_) {
      save_state();
    }
    if (callbacks.step_end) {
      callbacks.step_end(
          {place_.epoch * steps_ + step,
           options_.epochs() * steps_,
           training_step_.losses()});
    }
    if (asked_to_stop_ && step < steps_) {
      throw interrupted();
    }
  }

  // Work between two steps that changes nothing when it is interrupted: the state is
  // then saved as it was before, and a resumed run does all of the work again.
  template <typename Work>
  std::invoke_result_t<Work> interruptible(Work&& work) {
    std::vector<at::Tensor> before;
    for (const auto& [name, generator] : generators()) {
      before.push_back(generator.get_state());
    }
    try {
      return work();
    } catch (const Interrupted&) {
      auto all = generators();
      for (size_t i = 0; i < all.size(); ++i) {
        all[i].second.set_state(before[i]);
      }
      save_state();
      throw interrupted();
    }
  }

  EpochReport close_epoch(
      const HeldOutSet& held_out,
      const HeldOutSet* test,
      const std::function<bool()>& should_stop) {
    const EpochScores scores = selection_.score(
        *method_, training_step_.ema(), held_out, test, place_.epoch, should_stop);
    EpochReport report;
    report.epoch = place_.epoch;
    report.losses = training_step_.take_mean_losses();
    report.learning_rate = training_step_.learning_rate({place_.epoch, steps_ - 1});
    report.held_out_mAP = scores.held_out_mAP;
    report.held_out_mAP_raw = scores.held_out_mAP_raw;
    report.test_mAP = scores.test_mAP;
    report.pseudo_labels = pseudo_labels_.labels();
    report.held_out_logits = scores.held_out_logits;
    report.seconds = epoch_clock_.seconds();
    epoch_clock_.start();
    place_ = {place_.epoch + 1, 0};
    return report;
  }

  // All epochs are done, or there is no more gain.
  bool is_over() const {
    return place_.epoch >= options_.epochs() ||
           selection_.is_over(place_.epoch, options_.patience());
  }

  // To be thrown after the state has been saved.
  Interrupted interrupted() const {
    return Interrupted(fmt::format(
        "stopped in epoch {} after step {}{}",
        place_.epoch,
        place_.step,
        state_.has_folder()
            ? fmt::format("; {} is saved, resume to continue", state_.path().string())
            : std::string("; no state is saved, because there is no folder for it")));
  }

  void save_state() const {
    if (!state_.has_folder()) {
      return;
    }
    io::TensorMap tensors;
    for (const auto& [name, tensor] : io::module_tensors(method_->as_module())) {
      tensors["model." + name] = tensor;
    }
    io::Metadata metadata = {
        {"format", kFormat},
        {"epoch", std::to_string(place_.epoch)},
        {"step", std::to_string(place_.step)},
        {"steps_per_epoch", std::to_string(steps_)},
        {"batch_size", std::to_string(options_.batch_size())},
        {"epochs", std::to_string(options_.epochs())},
        {"seed", std::to_string(static_cast<int64_t>(options_.seed()))},
        // Of one width: states of equal runs differ in these digits only.
        {"seconds", fmt::format("{:.6e}", run_clock_.seconds())},
        {"epoch_seconds",
         fmt::format("{:.6e}", place_.step == 0 ? 0.0 : epoch_clock_.seconds())}};
    training_step_.save(tensors);
    pseudo_labels_.save(tensors);
    selection_.save(training_step_.ema(), tensors, metadata);
    for (const auto& [name, generator] : generators()) {
      tensors[name] = generator.get_state();
    }
    state_.write(tensors, metadata);
  }

  void load_state(const TrainingSet& train) {
    const SavedState state = state_.read();
    state.expect_format(kFormat);
    state.expect("epochs", options_.epochs());
    state.expect("steps_per_epoch", steps_);
    state.expect("batch_size", options_.batch_size());
    state.expect("seed", static_cast<int64_t>(options_.seed()));
    io::load_module(method_->as_module(), state.below("model."), state.path().string());
    training_step_.load(state);
    pseudo_labels_.load(state, train);
    selection_.load(training_step_.ema(), state);
    for (auto& [name, generator] : generators()) {
      const at::Tensor saved = state.find(name, generator.get_state().sizes());
      if (!saved.defined()) {
        state.fail(
            fmt::format("expected the state of the {}, got a file without", name));
      }
      generator.set_state(saved);
    }
    place_ = {
        state.number("epoch", 0, options_.epochs()), state.number("step", 0, steps_)};
    run_clock_.start(state.seconds("seconds"));
    epoch_clock_.start(state.seconds("epoch_seconds"));
  }

  static constexpr auto kFormat = "trmml.training.1";

  // Where the method's random numbers come from, by the name of the saved state.
  std::vector<std::pair<std::string, at::Generator>> generators() const {
    const auto of = [](at::Device device) {
      return at::globalContext().defaultGenerator(device);
    };
    std::vector<std::pair<std::string, at::Generator>> all{{"generator", of(at::kCPU)}};
    if (method_->device().is_cuda()) {
      all.emplace_back("generator_of_device", of(method_->device()));
    }
    return all;
  }

  TrainerOptions options_;
  std::shared_ptr<Method> method_;
  StateFile state_;
  PseudoLabelRefresh pseudo_labels_;
  TrainingStep training_step_;
  EpochSelection selection_;

  int64_t steps_ = 0;  // of an epoch
  StepPlace place_;    // of the next step
  bool asked_to_stop_ = false;
  Clock run_clock_;
  Clock epoch_clock_;
};

}  // namespace trmml::training
