#include "trmml/training/training_step.hpp"

#include "trmml/clip/freeze.hpp"
#include "trmml/clip/text_transformer.hpp"
#include "trmml/method/classnames.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "reference/training.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "support/tensors.hpp"
#include "training/small_methods.hpp"
#include "training/toy_problem.hpp"

// What a step of the training does: which pictures, which gradients, which weights.

namespace ref = reference::training;
using namespace small;
using support::fill;
using support::is_close;
using support::numbers;
using trmml::TrmMl;

TEST_CASE("Trainer: torch's AdamW, OneCycleLR, clipping and moving average") {
  // All pictures are one batch: the order of the pictures changes rounding only.
  const support::TemporaryFolder folder;
  const at::Tensor x = (fill({12, 4}, 1) * 2).to(at::kFloat);
  const TrainingSet set{
      ImageFeatures{x, at::zeros({12, 1, 1})},
      support::fill_labels({12, 3}, 2),
      {},
      {}};
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
                              {},
                              trmml::AsymmetricLossOptions().normalisation(
                                  trmml::LossNormalisation::kBatch))
                              .item<double>();
  REQUIRE(totals.size() == 2);
  CHECK(totals[0] == Catch::Approx(expected));
  CHECK(totals[1] == Catch::Approx(expected));
}

// ---------------------------------------------------------------- sources, parts

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

// ---------------------------------------------------------------- precision

TEST_CASE("Trainer: in bfloat16 the forward pass is rounded, the weights stay float") {
  const toy::Problem problem = toy::make_problem();
  const auto trained = [&problem](bool bfloat16) {
    TrmMl model = toy::make_model(problem);
    const Run run = train(
        model.ptr(),
        problem,
        toy::trainer_options().epochs(12).patience(0).bfloat16(bfloat16),
        {},
        PseudoLabelerOptions());
    for (const auto& [name, tensor] : toy::state_of(*model)) {
      INFO(name);
      CHECK(tensor.scalar_type() != at::kBFloat16);
    }
    return run;
  };
  const Run exact = trained(false);
  const Run rounded = trained(true);
  CHECK(exact.result.best_mAP > 0.7);
  CHECK(std::abs(rounded.result.best_mAP - exact.result.best_mAP) < 0.03);
  // The first losses differ by the rounding (2^-8 of each product), not by more.
  const double a = exact.reports.front().losses.front().second;
  const double b = rounded.reports.front().losses.front().second;
  CHECK(a != b);
  CHECK(b == Catch::Approx(a).epsilon(0.02));
}

TEST_CASE("Trainer: prototypes move once a step, whatever its parts") {
  toy::Problem problem = toy::make_problem();
  problem.train.labels = problem.held_out.labels;  // all known: parts weigh alike
  const auto after_one_step = [&](int64_t parts) {
    TrmMl model = toy::make_model(problem);
    train(
        model.ptr(),
        problem,
        toy::trainer_options().epochs(1).batch_size(toy::kN).accumulate(parts));
    return std::vector<at::Tensor>{
        model->bank->visual().clone(),
        model->bank->negative().clone(),
        model->bank->text().clone()};
  };
  const auto whole = after_one_step(1);
  const auto in_parts = after_one_step(3);
  for (size_t i = 0; i < whole.size(); ++i) {
    CHECK(whole[i].abs().sum().item<double>() > 0);
    CHECK(is_close(in_parts[i], whole[i], 1e-5));
  }
}

TEST_CASE("Trainer: prototypes of the region features, if asked for") {
  const toy::Problem problem = toy::make_problem();
  const auto visual = [&](trmml::PrototypeLevel level) {
    TrmMl model = toy::make_model(problem);
    model->options.prototype_level(level);
    TrmMlOutput output;
    {
      const c10::NoGradGuard no_grad;
      output = model->forward(problem.train_features);
    }
    train(model.ptr(), problem, toy::trainer_options().epochs(1).batch_size(toy::kN));
    const auto mean = [&](const at::Tensor& x) {
      const auto sums = trmml::functional::category_sums(x, problem.train.labels.gt(0));
      return trmml::functional::l2_normalise(sums.sums);
    };
    const at::Tensor expected = mean(
        level == trmml::PrototypeLevel::kRegion ? output.region_features
                                                : output.query_features);
    return is_close(model->bank->visual(), expected, 1e-4);
  };
  CHECK(visual(trmml::PrototypeLevel::kQuery));
  CHECK(visual(trmml::PrototypeLevel::kRegion));
}
