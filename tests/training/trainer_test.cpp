#include "trmml/training/trainer.hpp"

#include "trmml/method/baselines.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/tensors.hpp"
#include "training/small_methods.hpp"
#include "training/toy_problem.hpp"

// A training as a whole: it learns, it can be repeated, it reports, it refuses.

using namespace small;
using support::error_of;
using trmml::TextMatching;
using trmml::TextMatchingBaseline;
using trmml::TrmMl;

// ---------------------------------------------------------------- it learns

TEST_CASE("Trainer: raises the held-out mAP of the toy problem") {
  const toy::Problem problem = toy::make_problem();
  TrmMl model = toy::make_model(problem);
  const double before = toy::held_out_mAP(*model, problem);
  const Run run = train(
      model.ptr(),
      problem,
      toy::trainer_options().epochs(20).patience(0),
      {},
      PseudoLabelerOptions());
  CHECK(run.result.epochs == 20);
  CHECK(before < 0.6);
  CHECK(run.result.best_mAP > before + 0.25);
  CHECK(run.result.best_mAP > 0.75);
  CHECK(toy::held_out_mAP(*model, problem) == run.result.best_mAP);
  CHECK(
      run.reports.back().losses.back().second <
      run.reports.front().losses.back().second);
}

TEST_CASE("Trainer: a baseline learns too") {
  const toy::Problem problem = toy::make_problem();
  at::manual_seed(3);
  TextMatchingBaseline baseline(
      trmml::TextMatchingOptions(TextMatching::kPixel).logit_scale_init(10),
      trmml::PromptLearnerOptions(toy::kC, toy::kWidth).n_ctx(2).negative_init_std(1.0),
      problem.names,
      problem.text_encoder());
  const double loss = TrmMlLoss()
                          ->forward(
                              baseline->forward(problem.train_features),
                              {problem.train.labels, {}, {}, 0})
                          .total.item<double>();
  const Run run = train(
      baseline.ptr(),
      problem,
      toy::trainer_options().prompt_learning_rate(0.03),
      {},
      PseudoLabelerOptions());
  using Names = std::vector<std::string>;
  CHECK(names_of(run.reports.front()) == Names{"classification_region", "total"});
  CHECK(
      names_of(run.reports.back()) ==
      Names{"classification_region", "pseudo_region", "total"});
  CHECK(run.reports.back().losses.front().second < 0.9 * loss);
}

// ---------------------------------------------------------------- repeated

TEST_CASE("Trainer: leaves the global generator alone") {
  const toy::Problem problem = toy::make_problem();
  TrmMl model = toy::make_model(problem);
  at::manual_seed(77);
  const at::Tensor before = toy::generator_state();
  train(
      model.ptr(),
      problem,
      toy::trainer_options().epochs(2),
      {},
      PseudoLabelerOptions());
  CHECK(toy::generator_state().equal(before));

  TrmMl dropping = toy::make_model(problem, 3, /*dropout=*/0.2);
  at::manual_seed(77);
  train(dropping.ptr(), problem, toy::trainer_options().epochs(1));
  CHECK_FALSE(toy::generator_state().equal(before));
}

TEST_CASE("Trainer: the same seeds, the same weights") {
  const toy::Problem problem = toy::make_problem();
  const auto weights = [&problem](uint64_t seed) {
    TrmMl model = toy::make_model(problem);
    train(
        model.ptr(),
        problem,
        toy::trainer_options().epochs(2).seed(seed),
        {},
        PseudoLabelerOptions());
    return toy::state_of(*model);
  };
  const auto first = weights(5);
  CHECK(toy::is_same(first, weights(5)));
  CHECK_FALSE(toy::is_same(first, weights(6)));
}

// ---------------------------------------------------------------- reports

TEST_CASE("Trainer: what it reports") {
  const toy::Problem problem = toy::make_problem();
  TrmMl model = toy::make_model(problem);
  TrainerCallbacks callbacks;
  std::vector<EpochReport> reports;
  std::vector<int64_t> steps;
  std::map<std::string, double> sums;  // over the steps of an epoch
  callbacks.step_end = [&](const StepReport& report) {
    CHECK(report.total == toy::kSteps);
    CHECK(report.losses.back().first == "total");
    steps.push_back(report.step);
    for (const auto& [name, value] : report.losses) {
      sums[name] += value;
    }
  };
  callbacks.epoch_end = [&](const EpochReport& report) {
    CHECK(steps.size() == static_cast<size_t>(4 * (report.epoch + 1)));
    for (const auto& [name, mean] : report.losses) {
      CHECK(mean == Approx(sums[name] / 4));
    }
    sums.clear();
    // The model holds its own weights, not the average.
    CHECK(report.held_out_mAP_raw == toy::held_out_mAP(*model, problem));
    reports.push_back(report);
  };
  Trainer trainer(model.ptr(), TrmMlLoss(), toy::trainer_options());
  trainer.fit(problem.train, problem.held_out, callbacks);
  REQUIRE(steps.size() == toy::kSteps);
  CHECK(steps.front() == 1);
  CHECK(steps.back() == toy::kSteps);
  REQUIRE(reports.size() == 6);
  for (size_t i = 0; i < reports.size(); ++i) {
    CHECK(reports[i].epoch == static_cast<int64_t>(i));
    CHECK(reports[i].losses.back().first == "total");
    CHECK(reports[i].seconds > 0);
    CHECK_FALSE(reports[i].pseudo_labels.defined());
  }
  const double last =
      trmml::training::one_cycle(toy::kSteps - 1, toy::kSteps, 0.05).learning_rate;
  CHECK(reports.back().learning_rate == Catch::Approx(last));
}

// ---------------------------------------------------------------- messages

TEST_CASE("Trainer: a loss that is not finite is taken apart") {
  const toy::Problem problem = toy::make_problem();
  {
    // Infinitely heavy: the terms themselves are fine.
    const double infinite = std::numeric_limits<double>::infinity();
    TrmMl model = toy::make_model(problem);
    const std::string message = error_of<trmml::Error>([&] {
      train(
          model.ptr(),
          problem,
          toy::trainer_options(),
          TrmMlLossOptions().query_weight(infinite));
    });
    CHECK(
        message.find("Trainer: expected a finite loss in epoch 0 at step 0, got "
                     "classification_region ") == 0);
    CHECK(message.find(", classification_query ") != std::string::npos);
    CHECK(message.find(", distillation ") != std::string::npos);
    CHECK(
        message.find(", total inf (lower the learning rates, or look for broken "
                     "features)") != std::string::npos);
  }
  {
    // Too large a step: the loss breaks in a later step.
    const std::string message = error_of<trmml::Error>([&] {
      TrmMl model = toy::make_model(problem);
      train(model.ptr(), problem, toy::trainer_options().matcher_learning_rate(1e38));
    });
    INFO(message);
    CHECK(message.find("Trainer: expected a finite loss in epoch 0 at step ") == 0);
    CHECK(message.find("at step 0,") == std::string::npos);
    CHECK(message.find("classification_query nan") != std::string::npos);
  }
}

TEST_CASE("Trainer: broken features are named") {
  toy::Problem problem = toy::make_problem();
  problem.train_features.regions[20].fill_(std::numeric_limits<double>::quiet_NaN());
  TrmMl model = toy::make_model(problem);
  CHECK(
      error_of<c10::ValueError>([&] { train(model.ptr(), problem); })
          .find("RegionMatcher::forward: expected finite region_features, got NaN or "
                "infinity in 1 of 16 images, first in image ") == 0);

  // A baseline has no such check: the loss tells.
  at::manual_seed(3);
  TextMatchingBaseline baseline(
      TextMatching::kPixel,
      trmml::PromptLearnerOptions(toy::kC, toy::kWidth).n_ctx(2),
      problem.names,
      problem.text_encoder());
  const std::string message = error_of<trmml::Error>(
      [&] { train(baseline.ptr(), problem, toy::trainer_options().batch_size(60)); });
  CHECK(
      message ==
      "Trainer: expected a finite loss in epoch 0 at step 0, got classification_region "
      "nan, total nan (lower the learning rates, or look for broken features)");
}

TEST_CASE("Trainer: options out of range") {
  const toy::Problem problem = toy::make_problem();
  TrmMl model = toy::make_model(problem);
  const auto message = [&model](const TrainerOptions& options) {
    return error_of<c10::ValueError>(
        [&] { Trainer trainer(model.ptr(), TrmMlLoss(), options); });
  };
  CHECK(
      message(TrainerOptions().epochs(0)) ==
      "Trainer: expected epochs and batch_size > 0, got 0 and 128");
  CHECK(
      message(TrainerOptions().batch_size(-1)) ==
      "Trainer: expected epochs and batch_size > 0, got 15 and -1");
  CHECK(
      message(TrainerOptions().ema_memory(1)) ==
      "Trainer: expected ema_memory in (0, 1), got 1");
  CHECK(
      message(TrainerOptions().ema_memory(0)) ==
      "Trainer: expected ema_memory in (0, 1), got 0");
  CHECK(message(TrainerOptions().rise(1)) == "Trainer: expected rise in (0, 1), got 1");
  CHECK(
      message(TrainerOptions().accumulate(0)) ==
      "Trainer: expected accumulate > 0, got 0");
  CHECK(
      message(TrainerOptions().max_grad_norm(0)) ==
      "Trainer: expected max_grad_norm > 0, got 0");
  CHECK(
      message(TrainerOptions().patience(-1)) ==
      "Trainer: expected patience >= 0, got -1");
  CHECK(
      message(TrainerOptions().absent_below(1)) ==
      "Trainer: expected absent_below in (0, 1), got 1");
  CHECK(
      message(TrainerOptions().resume(true)) ==
      "Trainer: expected a folder to resume from, got resume without folder");
  CHECK(error_of<c10::ValueError>([] {
          Trainer trainer(nullptr, TrmMlLoss(), {});
        }) == "Trainer: expected a method and a loss, got none");
  CHECK(
      error_of<c10::ValueError>([&model] {
        Trainer trainer(
            model.ptr(),
            TrmMlLoss(),
            TrainerOptions(),
            PseudoLabelerOptions().positive_share(2));
      }).find("PseudoLabeler: expected positive_share and negative_share in [0, 1]") ==
      0);
}

TEST_CASE("Trainer: sets that do not fit are refused before the first step") {
  const toy::Problem good = toy::make_problem();
  TrmMl model = toy::make_model(good);
  const auto before = toy::state_of(*model);
  const auto message = [&model](const toy::Problem& problem) {
    return error_of<c10::ValueError>([&] { train(model.ptr(), problem); });
  };
  toy::Problem wrong = good;
  wrong.train.labels = good.train.labels.narrow(0, 0, 59);
  CHECK(
      message(wrong) == "Trainer::fit: expected labels of shape [60, *], got [59, 3]");
  wrong = good;
  wrong.train.labels = good.train.labels * 2;
  CHECK(
      message(wrong).find("Trainer::fit: expected labels in {-1 absent, 0 unknown") ==
      0);
  wrong = good;
  wrong.train.features = {};
  CHECK(message(wrong) == "Features: expected a source of features, got none");
  wrong = good;
  wrong.held_out.labels = good.held_out.labels.narrow(1, 0, 2);
  CHECK(
      message(wrong) == "Trainer::fit: expected labels of shape [60, 3], got [60, 2]");
  wrong = good;
  wrong.held_out.features =
      ImageFeatures{at::zeros({0, toy::kD}), at::zeros({0, toy::kR, toy::kD})};
  CHECK(message(wrong) == "Trainer::fit: expected at least one picture, got none");
  CHECK(toy::is_same(toy::state_of(*model), before));
  // Unknown labels everywhere are no fault: there is the distillation.
  wrong = good;
  wrong.train.labels = at::zeros_like(good.train.labels);
  CHECK(message(wrong) == "no error");
}

TEST_CASE("Trainer: what a callback throws comes through") {
  const toy::Problem problem = toy::make_problem();
  TrmMl model = toy::make_model(problem);
  TrainerCallbacks callbacks;
  callbacks.step_end = [](const StepReport&) { throw std::runtime_error("enough"); };
  Trainer trainer(model.ptr(), TrmMlLoss(), toy::trainer_options());
  CHECK(error_of<std::runtime_error>([&] {
          trainer.fit(problem.train, problem.held_out, callbacks);
        }) == "enough");
}

TEST_CASE("Trainer: a gradient that is not finite leaves the weights as they were") {
  const toy::Problem problem = toy::make_problem();
  at::manual_seed(3);
  const trmml::TextEncoder encoder = problem.text_encoder();
  TextMatchingBaseline baseline(
      TextMatching::kPixel,
      trmml::PromptLearnerOptions(toy::kC, toy::kWidth).n_ctx(2),
      problem.names,
      [encoder](const trmml::Prompts& prompts) {
        const at::Tensor text = encoder(prompts);
        if (text.requires_grad()) {
          text.register_hook([](const at::Tensor& gradient) {
            return gradient * std::numeric_limits<double>::quiet_NaN();
          });
        }
        return text;
      });
  const auto before = toy::state_of(*baseline);
  CHECK(
      error_of<trmml::Error>([&] { train(baseline.ptr(), problem); }) ==
      "Trainer: expected a finite gradient in epoch 0 at step 0, got one of norm nan "
      "(lower the learning rates, or look for broken features)");
  CHECK(toy::is_same(toy::state_of(*baseline), before));
}

TEST_CASE("Trainer: trains once") {
  const toy::Problem problem = toy::make_problem();
  TrmMl model = toy::make_model(problem);
  Trainer trainer(model.ptr(), TrmMlLoss(), toy::trainer_options().epochs(1));
  trainer.fit(problem.train, problem.held_out);
  CHECK(
      error_of<c10::ValueError>(
          [&] { trainer.fit(problem.train, problem.held_out); }) ==
      "Trainer::fit: expected to be called once, got a second call (make a new "
      "Trainer)");
}
