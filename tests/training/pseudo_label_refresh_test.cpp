#include "trmml/training/pseudo_label_refresh.hpp"

#include "trmml/method/baselines.hpp"

#include <ATen/ATen.h>

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/temporary_folder.hpp"
#include "support/tensors.hpp"
#include "training/small_methods.hpp"
#include "training/toy_problem.hpp"

// From the averaged weights to the pseudo-labels of an epoch.

using namespace small;
using support::error_of;
using support::is_close;
using trmml::EvidenceOptions;
using trmml::gather_evidence;
using trmml::TextMatching;
using trmml::TextMatchingBaseline;
using trmml::TrmMl;

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
      [&](double visual, double text, double zero_shot, int64_t batch = 0) {
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
  callbacks.step_end = [&](const StepReport& report) {
    const int64_t step = report.step;
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

TEST_CASE("PseudoLabelRefresh: every policy gets the evidence it is made for") {
  const toy::Problem problem = toy::make_problem();
  TrmMl model = toy::make_model(problem);
  train(model.ptr(), problem, toy::trainer_options().epochs(2));
  trmml::training::NamedParameters weights;
  for (const auto& item : model->named_parameters()) {
    weights.emplace_back(item.key(), item.value());
  }
  const trmml::training::Ema ema(weights, 0.5);
  const at::Tensor relations = gather_evidence(*model, problem.train);
  const at::Tensor logits = trmml::training::predict(*model, problem.train.features);
  using Policy = trmml::PseudoLabelPolicy;
  const auto check = [&](Policy policy, const at::Tensor& evidence) {
    const auto options = PseudoLabelerOptions().policy(policy).upper(0.6).lower(0.3);
    trmml::training::PseudoLabelRefresh refresh(options, TrainerOptions());
    refresh.estimate(*model, ema, problem.train, 1);
    const auto expected =
        trmml::PseudoLabeler(options)->forward(evidence, problem.train.labels);
    CHECK(refresh.labels().equal(expected.labels));
    CHECK(refresh.labels().ne(0).any().item<bool>());
    CHECK(refresh.soft_targets().defined() == (policy == Policy::kRelationsSoft));
  };
  check(Policy::kRelations, relations);
  check(Policy::kRelationsSoft, relations);
  check(Policy::kPrecision, relations);
  check(Policy::kRank, logits);
  check(Policy::kSplc, logits);
  check(Policy::kThreshold, logits.sigmoid());
}

TEST_CASE("PseudoLabelRefresh: interrupted between two batches, nothing has changed") {
  const toy::Problem problem = toy::make_problem(501);
  TrmMl model = toy::make_model(problem);
  trmml::training::NamedParameters weights;
  for (const auto& item : model->named_parameters()) {
    weights.emplace_back(item.key(), item.value());
  }
  const trmml::training::Ema ema(weights, 0.5);
  const auto before = toy::state_of(*model);
  const auto stopped = [&](trmml::PseudoLabelPolicy policy) {
    trmml::training::PseudoLabelRefresh refresh(
        PseudoLabelerOptions().policy(policy), TrainerOptions());
    const std::string message = error_of<trmml::Interrupted>(
        [&] { refresh.estimate(*model, ema, problem.train, 1, [] { return true; }); });
    CHECK_FALSE(refresh.labels().defined());
    CHECK(toy::is_same(toy::state_of(*model), before));
    return message;
  };
  using Policy = trmml::PseudoLabelPolicy;
  CHECK(
      stopped(Policy::kRelations) ==
      "gather_evidence: stopped after 500 of 501 pictures");
  CHECK(stopped(Policy::kRank) == "predict: stopped after 500 of 501 pictures");
  CHECK(stopped(Policy::kThreshold) == "predict: stopped after 500 of 501 pictures");
}

TEST_CASE("PseudoLabelRefresh: with nothing known there are no soft targets") {
  toy::Problem problem = toy::make_problem();
  problem.train.labels = at::zeros_like(problem.train.labels);
  TrmMl model = toy::make_model(problem);
  const trmml::training::Ema ema({}, 0.5);
  trmml::training::PseudoLabelRefresh refresh(
      PseudoLabelerOptions().policy(trmml::PseudoLabelPolicy::kRelationsSoft),
      TrainerOptions());
  refresh.estimate(*model, ema, problem.train, 1);
  CHECK(refresh.labels().eq(0).all().item<bool>());
  CHECK_FALSE(refresh.soft_targets().defined());
}
