#include "trmml/training/trainer.hpp"

#include "trmml/clip/freeze.hpp"
#include "trmml/method/baselines.hpp"
#include "trmml/method/classnames.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "reference/training.hpp"
#include "support/catch.hpp"
#include "support/modules.hpp"
#include "support/temporary_folder.hpp"
#include "support/tensors.hpp"
#include "training/toy_problem.hpp"

namespace ref = reference::training;
using test::error_of;
using test::fill;
using test::is_close;
using test::numbers;
using trmml::Distillation;
using trmml::ParameterGroup;
using trmml::PseudoLabelerOptions;
using trmml::TextMatching;
using trmml::TextMatchingBaseline;
using trmml::TrmMl;
using trmml::TrmMlLoss;
using trmml::TrmMlLossOptions;
using trmml::TrmMlOutput;
using trmml::clip::ImageFeatures;
using trmml::training::EpochReport;
using trmml::training::EvidenceOptions;
using trmml::training::gather_evidence;
using trmml::training::HeldOutSet;
using trmml::training::Trainer;
using trmml::training::TrainerCallbacks;
using trmml::training::TrainerOptions;
using trmml::training::TrainingResult;
using trmml::training::TrainingSet;

namespace {

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
TrainingSet numbered(int64_t n, int64_t d, int64_t c) {
  at::Tensor global = fill({n, d}, 1).to(at::kFloat);
  global.select(1, 0).copy_(at::arange(n));
  return {
      ImageFeatures{global, at::zeros({n, 1, 1})},
      test::fill_labels({n, c}, 2),
      {},
      {}};
}

HeldOutSet held_out_of(const TrainingSet& train) {
  return {train.features, train.labels};
}

/// A method of the toy problem and what its training reported.
struct Run {
  TrainingResult result;
  std::vector<EpochReport> reports;
};

Run train(
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

std::vector<std::string> names_of(const EpochReport& report) {
  std::vector<std::string> names;
  for (const auto& [name, value] : report.losses) {
    names.push_back(name);
  }
  return names;
}

}  // namespace

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

TEST_CASE("Trainer: torch's AdamW, OneCycleLR, clipping and moving average") {
  // All pictures are one batch: the order of the pictures changes rounding only.
  const support::TemporaryFolder folder;
  const at::Tensor x = (fill({12, 4}, 1) * 2).to(at::kFloat);
  const TrainingSet set{
      ImageFeatures{x, at::zeros({12, 1, 1})}, test::fill_labels({12, 3}, 2), {}, {}};
  const auto method = std::make_shared<Linear>(4, 3);
  {
    const at::NoGradGuard no_grad;
    method->weight.copy_(fill({4, 3}, 3));
    method->bias.copy_(0.1 * fill({3}, 4));
  }
  TrainerOptions options;
  options.epochs(10).batch_size(12).patience(0).folder(folder.path());
  options.prompt_learning_rate(0.2).matcher_learning_rate(0.05).weight_decay(0.3);
  options.rise(0.2).max_grad_norm(0.25).ema_memory(0.7);
  Trainer trainer(method, TrmMlLoss(), options);
  trainer.fit(set, held_out_of(set));
  // The method holds the averaged weights of the best epoch; the state all weights.
  const auto state = trmml::io::read_safetensors(folder / "last.safetensors").tensors;
  CHECK(is_close(state.at("model.weight"), numbers(ref::kWeight, {4, 3}), 1e-9));
  CHECK(is_close(state.at("model.bias"), numbers(ref::kBias, {3}), 1e-9));
  CHECK(is_close(state.at("ema.0000"), numbers(ref::kAverageBias, {3}), 1e-9));
  CHECK(is_close(state.at("ema.0001"), numbers(ref::kAverageWeight, {4, 3}), 1e-9));
}

// ---------------------------------------------------------------- what is trained

TEST_CASE("Trainer: a frozen tower gets no gradient and no weight decay") {
  const toy::Problem problem = toy::make_problem();
  at::manual_seed(11);
  trmml::clip::TextTransformer tower(trmml::clip::TextTransformerOptions(toy::kD)
                                         .vocab_size(40)
                                         .context_length(12)
                                         .width(16)
                                         .heads(2)
                                         .layers(1));
  trmml::clip::freeze(*tower);
  const trmml::TokenizedClassnames names{{{3}, {5, 6}, {7, 8, 9}}, {38}, {1, 39}, {}};
  trmml::TrmMlOptions options(toy::kC, 16, toy::kD);
  options.prompts().n_ctx(2);
  TrmMl model(
      options,
      trmml::embed_classnames(tower, names),
      [&tower](const trmml::Prompts& p) { return tower->forward(p); },
      problem.train.frozen_text);
  const auto tower_before = toy::state_of(*tower);
  const auto model_before = toy::state_of(*model);
  train(model.ptr(), problem, toy::trainer_options().epochs(2).weight_decay(0.5));
  CHECK(toy::is_same(toy::state_of(*tower), tower_before));
  for (const at::Tensor& parameter : tower->parameters()) {
    CHECK_FALSE(parameter.grad().defined());
    CHECK_FALSE(parameter.requires_grad());
  }
  CHECK_FALSE(tower->is_training());
  const auto after = toy::state_of(*model);
  for (const char* name :
       {"prompt_learner.ctx", "matcher.queries", "matcher.logit_scale"}) {
    CHECK_FALSE(after.at(name).equal(model_before.at(name)));
  }
  for (const char* name :
       {"prompt_learner.token_names",
        "prompt_learner.token_prefix",
        "matcher.category_bias"}) {
    CHECK(after.at(name).equal(model_before.at(name)));
  }
}

TEST_CASE("Trainer: only the matcher has weight decay") {
  const TrainingSet set = numbered(8, 3, 2);
  const auto method = std::make_shared<Linear>(3, 2);
  {
    const at::NoGradGuard no_grad;
    method->weight.fill_(2);
    method->bias.fill_(2);
  }
  TrainerOptions options;
  options.epochs(1).batch_size(8).weight_decay(0.5).matcher_learning_rate(0.1);
  options.ema_memory(1e-9);  // the average is the last weight
  TrmMlLossOptions none;
  none.region_weight(0);  // no gradient but that of the decay
  Trainer trainer(method, TrmMlLoss(none), options);
  trainer.fit(set, held_out_of(set));
  CHECK(is_close(method->weight, at::full({3, 2}, 2 * (1 - 0.1 * 0.5)), 1e-8));
  CHECK(method->bias.equal(at::full({2}, 2.0, at::kDouble)));
}

TEST_CASE("Trainer: prototypes are kept only where something needs them") {
  const toy::Problem problem = toy::make_problem();
  const auto ready = [&](const TrmMlLossOptions& loss,
                         const std::optional<PseudoLabelerOptions>& pseudo_labels) {
    TrmMl model = toy::make_model(problem);
    train(model.ptr(), problem, toy::trainer_options().epochs(1), loss, pseudo_labels);
    return model->bank->visual_ready().all().item<bool>() &&
           model->bank->negative_ready().all().item<bool>();
  };
  const auto without = TrmMlLossOptions().contrastive_weight(0);
  CHECK(ready({}, std::nullopt));
  CHECK_FALSE(ready(without, std::nullopt));
  CHECK(ready(without, PseudoLabelerOptions()));
}

TEST_CASE("Trainer: single positives keep prototypes of confident absences") {
  toy::Problem problem = toy::make_problem();
  problem.train.labels = problem.train.labels.clamp_min(0);
  TrmMl model = toy::make_model(problem);
  const auto loss =
      TrmMlLossOptions().unknown_labels(trmml::UnknownLabels::kAssumeAbsent);
  train(model.ptr(), problem, toy::trainer_options(), loss);
  CHECK(model->bank->visual_ready().all().item<bool>());
  CHECK(model->bank->negative_ready().any().item<bool>());
}

// ---------------------------------------------------------------- order of pictures

namespace {

/// The batches of a training, and the generator's state changed by it or not.
std::vector<at::Tensor> batches_of(
    const TrainerOptions& options,
    const TrainingSet& set) {
  const auto method = std::make_shared<Linear>(3, 2);
  Trainer trainer(method, TrmMlLoss(), options);
  trainer.fit(set, held_out_of(set));
  return method->batches;
}

TrainerOptions four_epochs() {
  TrainerOptions options;
  options.epochs(4).batch_size(5).patience(0).seed(9);
  return options;
}

}  // namespace

TEST_CASE("Trainer: every picture once an epoch, the last batch is smaller") {
  const TrainingSet set = numbered(12, 3, 2);
  const auto batches = batches_of(four_epochs(), set);
  REQUIRE(batches.size() == 12);
  std::vector<at::Tensor> epochs;
  for (size_t i = 0; i < batches.size(); i += 3) {
    CHECK(batches[i].size(0) == 5);
    CHECK(batches[i + 2].size(0) == 2);
    epochs.push_back(at::cat({batches[i], batches[i + 1], batches[i + 2]}));
    CHECK(std::get<0>(epochs.back().sort()).equal(at::arange(12).to(at::kFloat)));
  }
  CHECK_FALSE(epochs[0].equal(epochs[1]));
  CHECK_FALSE(epochs[1].equal(epochs[2]));
  CHECK_FALSE(epochs[0].equal(at::arange(12).to(at::kFloat)));
}

TEST_CASE("Trainer: the order depends on seed and epoch only") {
  const TrainingSet set = numbered(12, 3, 2);
  const at::Tensor order = at::cat(batches_of(four_epochs(), set));
  at::manual_seed(12345);
  CHECK(at::cat(batches_of(four_epochs(), set)).equal(order));
  CHECK(at::cat(batches_of(four_epochs().batch_size(7), set)).equal(order));
  CHECK(
      at::cat(batches_of(four_epochs().matcher_learning_rate(0.7), set)).equal(order));
  CHECK(
      at::cat(batches_of(four_epochs().epochs(2), set)).equal(order.narrow(0, 0, 24)));
  CHECK_FALSE(at::cat(batches_of(four_epochs().seed(10), set)).equal(order));
  const uint64_t large = std::numeric_limits<uint64_t>::max();
  CHECK_FALSE(at::cat(batches_of(four_epochs().seed(large), set)).equal(order));
}

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
  callbacks.step_end = [&](int64_t step, int64_t total) {
    CHECK(total == toy::kSteps);
    steps.push_back(step);
  };
  callbacks.epoch_end = [&](const EpochReport& report) {
    CHECK(steps.size() == static_cast<size_t>(4 * (report.epoch + 1)));
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

TEST_CASE("Trainer: the mean of a loss over an epoch") {
  // One batch, no learning: the epoch's mean is the loss itself.
  const TrainingSet set = numbered(8, 3, 2);
  const auto method = std::make_shared<Linear>(3, 2);
  TrainerOptions options;
  options.epochs(2).batch_size(4).matcher_learning_rate(0).prompt_learning_rate(0);
  options.weight_decay(0);
  TrainerCallbacks callbacks;
  std::vector<double> totals;
  callbacks.epoch_end = [&totals](const EpochReport& report) {
    totals.push_back(report.losses.back().second);
  };
  Trainer trainer(
      method,
      TrmMlLoss(TrmMlLossOptions().classification(
          trmml::AsymmetricLossOptions().normalisation(
              trmml::LossNormalisation::kBatch))),
      options);
  trainer.fit(set, held_out_of(set), callbacks);
  const double expected = trmml::functional::partial_asymmetric_loss(
                              at::zeros({8, 2}, at::kDouble),
                              set.labels,
                              trmml::AsymmetricLossOptions().normalisation(
                                  trmml::LossNormalisation::kBatch))
                              .item<double>();
  REQUIRE(totals.size() == 2);
  CHECK(totals[0] == Catch::Approx(expected));
  CHECK(totals[1] == Catch::Approx(expected));
}

// ---------------------------------------------------------------- which epoch

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
      test::states({1, 1, -1, -1}, {4, 1})};
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

// ---------------------------------------------------------------- pseudo-labels

TEST_CASE("gather_evidence: the pieces that are asked for") {
  const toy::Problem problem = toy::make_problem();
  TrmMl model = toy::make_model(problem);
  train(model.ptr(), problem, toy::trainer_options().epochs(1));
  const c10::NoGradGuard no_grad;
  model->eval();
  const TrmMlOutput output = model->forward(problem.train_features);
  model->train();
  const auto all = trmml::functional::relation_evidence(
      output.query_features,
      output.region_features,
      model->bank->visual(),
      model->bank->negative(),
      problem.train.frozen_text,
      problem.train.zero_shot);
  const auto gathered =
      [&](double visual, double text, double zero_shot, int64_t batch = 500) {
        return gather_evidence(
            *model,
            problem.train,
            EvidenceOptions().visual(visual).text(text).zero_shot(zero_shot),
            batch);
      };
  const auto mean = [](const std::vector<at::Tensor>& pieces) {
    return trmml::functional::combine_evidence(pieces);
  };
  CHECK(is_close(gathered(1, 1, 1), all.combined, 1e-5));
  CHECK(is_close(gathered(1, 1, 1, 7), all.combined, 1e-4));
  CHECK(is_close(gathered(1, 0, 0), mean({all.prototypes}), 1e-5));
  CHECK(is_close(gathered(0, 1, 0), mean({all.relation}), 1e-5));
  CHECK(is_close(gathered(0, 0, 1), mean({all.zero_shot}), 1e-5));
  CHECK(is_close(gathered(1, 0, 1), mean({all.prototypes, all.zero_shot}), 1e-5));
  CHECK(is_close(gathered(0, 2, 2), mean({all.relation, all.zero_shot}), 1e-5));
  CHECK(is_close(gathered(1, 1, 0), mean({all.prototypes, all.relation}), 1e-5));
  const at::Tensor weighted =
      (mean({all.prototypes}) + 2 * mean({all.relation}) + 5 * mean({all.zero_shot})) /
      8;
  CHECK(is_close(gathered(1, 2, 5), weighted, 1e-5));
  CHECK(model->is_training());
  CHECK_FALSE(gathered(1, 1, 1).requires_grad());
  CHECK(
      error_of<c10::ValueError>([&] { gathered(0, 0, 0); }) ==
      "gather_evidence: expected weights >= 0, not all 0, got visual 0, text 0, "
      "zero_shot 0");
  CHECK(
      error_of<c10::ValueError>([&] { gathered(-1, 1, 1); }) ==
      "gather_evidence: expected weights >= 0, not all 0, got visual -1, text 1, "
      "zero_shot 1");

  // Only what a piece is made of has to be there.
  TrainingSet bare = problem.train;
  bare.zero_shot = at::Tensor();
  bare.frozen_text = at::Tensor();
  const auto from_bare = [&](const EvidenceOptions& options) {
    return error_of<c10::ValueError>([&] { gather_evidence(*model, bare, options); });
  };
  CHECK(from_bare(EvidenceOptions().text(0).zero_shot(0)) == "no error");
  CHECK(
      from_bare({}) ==
      "gather_evidence: expected zero_shot of shape [60, 3], got an undefined tensor "
      "(pseudo-labels are estimated from it)");
  CHECK(
      from_bare(EvidenceOptions().zero_shot(0)) ==
      "gather_evidence: expected frozen_text of shape [3, *], got an undefined tensor "
      "(pseudo-labels are estimated from it)");
}

TEST_CASE("gather_evidence: without regions there is the zero-shot score only") {
  const toy::Problem problem = toy::make_problem();
  Linear method(toy::kD, toy::kC);
  const at::Tensor expected =
      trmml::functional::standardise_per_category(problem.train.zero_shot);
  CHECK(gather_evidence(method, problem.train).equal(expected));
  CHECK(gather_evidence(method, problem.train, EvidenceOptions().zero_shot(0))
            .equal(expected));
  CHECK(method.batches.empty());
}

TEST_CASE("Trainer: pseudo-labels come from the average at the start of an epoch") {
  const support::TemporaryFolder folder;
  const toy::Problem problem = toy::make_problem();
  TrmMl model = toy::make_model(problem);
  const auto loss = TrmMlLossOptions().pseudo_weight(0.5);
  std::vector<at::Tensor> expected = {{}};  // of epoch 0
  std::vector<EpochReport> reports;
  TrainerCallbacks callbacks;
  callbacks.epoch_end = [&](const EpochReport& report) { reports.push_back(report); };
  // In the first step of an epoch the folder holds the state at the end of the last.
  callbacks.step_end = [&](int64_t step, int64_t) {
    if (step == 1 || step % 4 != 1) {
      return;
    }
    const auto state = trmml::io::read_safetensors(folder / "last.safetensors").tensors;
    TrmMl averaged(std::dynamic_pointer_cast<trmml::TrmMlImpl>(model->clone()));
    const c10::NoGradGuard no_grad;
    trmml::io::TensorMap weights;
    for (const auto& [name, tensor] : state) {
      if (name.find("model.") == 0) {
        weights[name.substr(6)] = tensor;
      }
    }
    trmml::io::load_module(*averaged, weights, "state");
    int64_t i = 0;
    for (const auto& group : averaged->parameter_groups()) {
      for (at::Tensor parameter : group.parameters) {
        parameter.copy_(state.at(fmt::format("ema.{:04}", i++)));
      }
    }
    expected.push_back(
        trmml::PseudoLabeler()
            ->forward(gather_evidence(*averaged, problem.train), problem.train.labels)
            .labels);
  };
  Trainer trainer(
      model.ptr(),
      TrmMlLoss(loss),
      toy::trainer_options().epochs(4).pseudo_from_epoch(2).folder(folder.path()),
      PseudoLabelerOptions());
  trainer.fit(problem.train, problem.held_out, callbacks);
  REQUIRE(reports.size() == 4);
  CHECK_FALSE(reports[0].pseudo_labels.defined());
  CHECK_FALSE(reports[1].pseudo_labels.defined());
  for (size_t e = 2; e < 4; ++e) {
    const at::Tensor pseudo = reports[e].pseudo_labels;
    REQUIRE(pseudo.defined());
    CHECK(pseudo.equal(expected[e]));
    CHECK(pseudo.scalar_type() == at::kChar);
    CHECK(pseudo.masked_select(problem.train.labels.ne(0)).eq(0).all().item<bool>());
    CHECK(pseudo.gt(0).any().item<bool>());
    CHECK(pseudo.lt(0).any().item<bool>());
  }
  const auto has_pseudo = [&reports](size_t e) {
    const auto names = names_of(reports[e]);
    return std::find(names.begin(), names.end(), "pseudo_query") != names.end();
  };
  CHECK_FALSE(has_pseudo(1));
  CHECK(has_pseudo(2));
}

TEST_CASE("Trainer: without a zero-shot score pseudo-labels are refused") {
  toy::Problem problem = toy::make_problem();
  problem.train.zero_shot = at::Tensor();
  TrmMl model = toy::make_model(problem);
  CHECK(
      error_of<c10::ValueError>([&] {
        train(model.ptr(), problem, toy::trainer_options(), {}, PseudoLabelerOptions());
      })
          .find("gather_evidence: expected zero_shot of shape [60, 3], got an "
                "undefined") == 0);
}

// ---------------------------------------------------------------- sources, parts, test

namespace {

/// Tells what it was asked for; views of epoch e are e times as large.
class Watched : public trmml::FeatureSource {
 public:
  explicit Watched(ImageFeatures features) : features_(std::move(features)) {}
  int64_t size() const override { return features_.global.size(0); }
  ImageFeatures training_views(const at::Tensor& index, int64_t epoch) override {
    asked.emplace_back(index.clone(), epoch);
    return {
        features_.global.index_select(0, index) * epoch,
        features_.regions.index_select(0, index) * epoch};
  }
  ImageFeatures test_views(int64_t start, int64_t length) override {
    return trmml::narrow_features(features_, start, length);
  }
  void prefetch(const at::Tensor& index, int64_t epoch) override {
    announced.emplace_back(index.clone(), epoch);
  }

  std::vector<std::pair<at::Tensor, int64_t>> asked;
  std::vector<std::pair<at::Tensor, int64_t>> announced;

 private:
  ImageFeatures features_;
};

}  // namespace

TEST_CASE("Trainer: asks its source for the views of the epoch, announced before") {
  TrainingSet set = numbered(7, 3, 2);
  const auto source =
      std::make_shared<Watched>(ImageFeatures{fill({7, 3}, 1), at::zeros({7, 1, 1})});
  set.features = source;
  Trainer trainer(
      std::make_shared<Linear>(3, 2),
      TrmMlLoss(),
      TrainerOptions().epochs(2).batch_size(4).accumulate(2).patience(0));
  trainer.fit(set, held_out_of(set));
  // A step of 2 + 2 pictures and one of 2 + 1, in two epochs.
  REQUIRE(source->asked.size() == 8);
  REQUIRE(source->announced.size() == 8);
  const std::vector<int64_t> sizes = {2, 2, 2, 1};
  for (size_t i = 0; i < 8; ++i) {
    CHECK(source->asked[i].first.size(0) == sizes[i % 4]);
    CHECK(source->asked[i].second == static_cast<int64_t>(i / 4));
    const bool is_last = i % 4 == 3;
    CHECK(source->announced[i].second == static_cast<int64_t>(i / 4));
    if (is_last) {
      CHECK(source->announced[i].first.numel() == 0);
    } else {
      CHECK(source->announced[i].first.equal(source->asked[i + 1].first));
    }
  }
}

TEST_CASE("Trainer: gradients of parts add up to those of the step") {
  // All labels are known: every part is normalised by its own share of the entries.
  const TrainingSet set = numbered(12, 3, 2);
  TrainingSet known = set;
  known.labels = set.labels.masked_fill(set.labels.eq(0), 1);
  const auto weights = [&known](int64_t accumulate) {
    const auto method = std::make_shared<Linear>(3, 2);
    {
      const at::NoGradGuard no_grad;
      method->weight.copy_(fill({3, 2}, 3));
      method->bias.zero_();
    }
    std::vector<double> losses;
    TrainerCallbacks callbacks;
    callbacks.epoch_end = [&losses](const EpochReport& report) {
      losses.push_back(report.losses.back().second);
    };
    Trainer trainer(
        method,
        TrmMlLoss(),
        TrainerOptions().epochs(3).batch_size(6).accumulate(accumulate).patience(0));
    trainer.fit(known, held_out_of(known), callbacks);
    return std::make_pair(method->weight.detach().clone(), losses);
  };
  const auto [whole, losses] = weights(1);
  const auto [parts, losses_of_parts] = weights(3);
  CHECK(is_close(parts, whole, 1e-6));
  REQUIRE(losses.size() == losses_of_parts.size());
  for (size_t i = 0; i < losses.size(); ++i) {
    CHECK(losses_of_parts[i] == Catch::Approx(losses[i]));
  }
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
  CHECK(
      message(TrainerOptions().resume(true)) ==
      "Trainer: expected a folder to resume from, got resume without folder");
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
  callbacks.step_end = [](int64_t, int64_t) { throw std::runtime_error("enough"); };
  Trainer trainer(model.ptr(), TrmMlLoss(), toy::trainer_options());
  CHECK(error_of<std::runtime_error>([&] {
          trainer.fit(problem.train, problem.held_out, callbacks);
        }) == "enough");
}
