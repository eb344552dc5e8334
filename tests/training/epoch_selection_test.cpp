#include "trmml/training/epoch_selection.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/tensors.hpp"
#include "training/small_methods.hpp"

// Which epoch is kept, and when a training is over.

using namespace small;
using support::numbers;

namespace {

TrainingSet hill_set() {
  return {
      ImageFeatures{at::ones({8, 1}), at::zeros({8, 1, 1})},
      at::ones({8, 1}, at::kChar),
      {},
      {}};
}

HeldOutSet hill_held_out() {
  return {
      ImageFeatures{numbers({4, 3, 2, 1}, {4, 1}).to(at::kFloat), at::zeros({4, 1, 1})},
      support::states({1, 1, -1, -1}, {4, 1})};
}

TrainerOptions hill_options() {
  TrainerOptions options;
  options.epochs(12).batch_size(2).weight_decay(0).matcher_learning_rate(0.1);
  return options.patience(0);
}

}  // namespace

TEST_CASE("Trainer: returns to the averaged weights of the best epoch") {
  const auto method = std::make_shared<Hill>();
  std::vector<double> averaged;
  std::vector<double> raw;
  TrainerCallbacks callbacks;
  callbacks.epoch_end = [&](const EpochReport& report) {
    averaged.push_back(report.held_out_mAP);
    raw.push_back(report.held_out_mAP_raw);
  };
  Trainer trainer(method, TrmMlLoss(), hill_options());
  const TrainingResult result = trainer.fit(hill_set(), hill_held_out(), callbacks);
  REQUIRE(averaged.size() == 12);
  CHECK(averaged.front() < 0.9);
  CHECK(averaged.back() < 0.9);
  CHECK(averaged != raw);  // the average lags behind
  const auto best = std::max_element(averaged.begin(), averaged.end());
  CHECK(result.best_epoch == best - averaged.begin());  // the first of equal ones
  CHECK(result.best_mAP == *best);
  CHECK(*best == Catch::Approx(1));
  CHECK(result.best_epoch > 0);
  CHECK(result.best_epoch < 11);
  CHECK(result.epochs == 12);
  CHECK(method->w.item<double>() > 0);
  CHECK(method->w.item<double>() < 1);
  const auto held_out = hill_held_out();
  CHECK(
      trmml::training::mean_average_precision(
          trmml::training::predict(*method, held_out.features), held_out.labels)
          .mAP == result.best_mAP);
}

TEST_CASE("Trainer: keeps the last epoch when held-out pictures cannot choose one") {
  HeldOutSet nothing = hill_held_out();
  nothing.labels = at::zeros_like(nothing.labels);
  const auto method = std::make_shared<Hill>();
  Trainer trainer(method, TrmMlLoss(), hill_options().epochs(5).patience(2));
  const TrainingResult result = trainer.fit(hill_set(), nothing);
  CHECK(result.epochs == 5);
  CHECK(result.best_epoch == 4);
  CHECK(std::isnan(result.best_mAP));
}

TEST_CASE("Trainer: stops early after `patience` epochs without gain") {
  const TrainingSet set = numbered(8, 3, 2);
  const auto epochs = [&set](int64_t patience) {
    TrainerOptions options;
    options.epochs(9).batch_size(8).patience(patience).weight_decay(0);
    options.matcher_learning_rate(0).prompt_learning_rate(0);
    Trainer trainer(std::make_shared<Linear>(3, 2), TrmMlLoss(), options);
    const TrainingResult result = trainer.fit(set, held_out_of(set));
    CHECK(result.best_epoch == 0);
    return result.epochs;
  };
  CHECK(epochs(1) == 2);
  CHECK(epochs(3) == 4);
  CHECK(epochs(0) == 9);  // never
  CHECK(epochs(20) == 9);
  // And not while there is gain: the hill's best epoch is not its first.
  Trainer trainer(std::make_shared<Hill>(), TrmMlLoss(), hill_options().patience(4));
  const TrainingResult result = trainer.fit(hill_set(), hill_held_out());
  CHECK(result.epochs == result.best_epoch + 5);
}

TEST_CASE("Trainer: a test is scored after every epoch and never chosen by") {
  // On this test the order is turned round: its best epochs are the worst held-out
  // ones.
  HeldOutSet test_set = hill_held_out();
  test_set.labels = -test_set.labels;
  const auto method = std::make_shared<Hill>();
  std::vector<double> held_out;
  std::vector<double> on_test;
  TrainerCallbacks callbacks;
  callbacks.epoch_end = [&](const EpochReport& report) {
    held_out.push_back(report.held_out_mAP);
    on_test.push_back(report.test_mAP.value());
  };
  Trainer trainer(method, TrmMlLoss(), hill_options());
  const TrainingResult result =
      trainer.fit(hill_set(), hill_held_out(), callbacks, &test_set);
  const auto best = std::max_element(held_out.begin(), held_out.end());
  CHECK(result.best_epoch == best - held_out.begin());
  CHECK(
      result.best_test_mAP.value() ==
      *std::max_element(on_test.begin(), on_test.end()));
  CHECK(on_test[static_cast<size_t>(result.best_epoch)] < *result.best_test_mAP);
  Trainer without(std::make_shared<Hill>(), TrmMlLoss(), hill_options());
  CHECK_FALSE(without.fit(hill_set(), hill_held_out()).best_test_mAP.has_value());
}

TEST_CASE("EpochSelection: interrupted while it scores, nothing has changed") {
  Hill method;
  const trmml::training::NamedParameters weights = {{"w", method.w}};
  trmml::training::Ema ema(weights, 0.5);
  {
    const c10::NoGradGuard no_grad;
    method.w.fill_(0.5);
  }
  ema.update();
  // The held-out pictures are one batch, without a question; those of the test are two.
  const at::Tensor present = at::arange(501).lt(500).unsqueeze(1);  // [501, 1]
  const HeldOutSet test_set{
      ImageFeatures{present.to(at::kFloat), at::zeros({501, 1, 1})},
      2 * present.to(at::kChar) - 1};
  trmml::training::EpochSelection selection;
  const auto score = [&](bool stop) {
    return support::error_of<trmml::Interrupted>([&] {
      selection.score(
          method, ema, hill_held_out(), &test_set, 0, [stop] { return stop; });
    });
  };
  CHECK(score(true) == "predict: stopped after 500 of 501 pictures");
  CHECK(std::isnan(selection.best_test_mAP()));
  CHECK(std::isinf(selection.best_mAP()));
  CHECK(method.w.item<double>() == 0.5);
  CHECK(method.is_training());
  CHECK(score(false) == "no error");
  CHECK(selection.best_test_mAP() == Catch::Approx(1));
}

TEST_CASE("Trainer: reports the logits of the averaged weights") {
  const auto method = std::make_shared<Hill>();
  at::Tensor logits;
  TrainerCallbacks callbacks;
  callbacks.epoch_end = [&logits](const EpochReport& report) {
    logits = report.held_out_logits;
  };
  Trainer trainer(method, TrmMlLoss(), hill_options().epochs(1));
  trainer.fit(hill_set(), hill_held_out(), callbacks);
  const double w = method->w.item<double>();  // the average after the only epoch
  CHECK(support::is_close(
      logits, w * (1 - w) * numbers({4, 3, 2, 1}, {4, 1}).to(at::kFloat), 1e-6));
}
