#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/temporary_folder.hpp"
#include "support/tensors.hpp"
#include "training/resume_run.hpp"
#include "training/toy_problem.hpp"

// A run that is stopped and goes on: bit for bit, on one thread.

using namespace resumed;
using support::error_of;
using support::TemporaryFolder;
using trmml::Interrupted;
using trmml::PseudoLabelPolicy;

namespace {

/// Stops the run after each of `stops` (steps from the beginning, ascending), and then
/// lets it end.
End train_with_stops(
    const Setting& setting,
    const fs::path& folder,
    const std::vector<int64_t>& stops) {
  uint64_t seed = 3;
  int64_t last = 0;
  for (const int64_t stop : stops) {
    int64_t left = stop - last;
    TrainerCallbacks callbacks;
    callbacks.step_end = [&last](const StepReport& report) { last = report.step; };
    callbacks.should_stop = [&left] { return --left == 0; };
    const std::string message =
        error_of<Interrupted>([&] { train(setting, folder, seed, callbacks); });
    INFO("stop after step " << stop);
    CHECK(last == stop);
    CHECK(message.find("stopped in epoch ") == 0);
    CHECK(
        message.find("last.safetensors is saved, resume to continue") !=
        std::string::npos);
    seed += 100;
  }
  return train(setting, folder, seed);
}

void check_resume(const Setting& setting, const std::vector<int64_t>& stops) {
  const TemporaryFolder whole;
  const TemporaryFolder parts;
  const End expected = train(setting, whole.path());
  check_same(train_with_stops(setting, parts.path(), stops), expected);
  // Nothing but the two last states is left behind.
  CHECK(parts.names() == std::vector<std::string>{kState, "previous.safetensors"});
}

}  // namespace

// ---------------------------------------------------------------- stopped

TEST_CASE("resume: stopped at many places, bit for bit the same") {
  check_resume({}, {1, 3, 4, 7, 8, 13, 21, 23});
}

TEST_CASE("resume: stopped at every step") {
  Setting setting;
  setting.trainer.epochs(2);
  check_resume(setting, {1, 2, 3, 4, 5, 6, 7});
}

TEST_CASE("resume: with states between the epochs") {
  Setting setting;
  setting.trainer.checkpoint_every(3);
  check_resume(setting, {2, 9, 10});
}

TEST_CASE("resume: without pseudo-labels") {
  Setting setting;
  setting.pseudo_labels = std::nullopt;
  check_resume(setting, {5, 6});
}

TEST_CASE("resume: dropout goes on with its random numbers") {
  Setting setting;
  setting.dropout = 0.2;
  check_resume(setting, {3, 10});
}

TEST_CASE("resume: soft targets of single positives") {
  Setting setting;
  setting.loss.unknown_labels(trmml::UnknownLabels::kAssumeAbsent)
      .pseudo_positive_weight(0.3);
  setting.pseudo_labels = PseudoLabelerOptions()
                              .policy(PseudoLabelPolicy::kRelationsSoft)
                              .prior(trmml::PositivePrior::kUniform)
                              .positives_per_image(1.2)
                              .negative_share(0);
  check_resume(setting, {6, 14});
}

TEST_CASE("resume: after an early stop nothing more is trained") {
  Setting setting;
  setting.trainer.matcher_learning_rate(1e-9).prompt_learning_rate(1e-9);
  setting.trainer.patience(2);
  const TemporaryFolder folder;
  const End first = train(setting, folder.path());
  CHECK(first.result.epochs < 6);
  bool stepped = false;
  TrainerCallbacks callbacks;
  callbacks.step_end = [&stepped](const StepReport&) { stepped = true; };
  check_same(train(setting, folder.path(), 44, callbacks), first);
  CHECK_FALSE(stepped);
}

TEST_CASE("resume: a finished run gives its result again") {
  const TemporaryFolder folder;
  const End first = train({}, folder.path());
  check_same(train({}, folder.path(), 44), first);
}

TEST_CASE("resume: states at steps in between change nothing") {
  Setting often;
  often.trainer.checkpoint_every(1);
  const TemporaryFolder a;
  const TemporaryFolder b;
  check_same(train(often, a.path()), train({}, b.path()));
}

TEST_CASE("resume: stopped while evidence is gathered and epochs are scored") {
  Setting setting;
  setting.dropout = 0.2;
  setting.pictures = 600;  // two batches without gradient: one question in between
  setting.trainer.epochs(3).batch_size(150).pseudo_from_epoch(0);  // four steps
  const TemporaryFolder whole;
  const TemporaryFolder parts;
  const End expected = train(setting, whole.path());
  // Of each start, the question that is answered with yes, and what is named then.
  struct Break {
    int64_t question;
    std::string place;
  };
  const std::vector<Break> breaks = {
      {1, "epoch 0 after step 0"},   // in the evidence, before there is a state
      {6, "epoch 0 after step 4"},   // after it and four steps, in the own scores
      {2, "epoch 0 after step 4"},   // in the averaged scores
      {3, "epoch 1 after step 0"},   // in the next evidence
      {1, "epoch 1 after step 0"},   // and again
      {7, "epoch 1 after step 4"},   // in the averaged scores
      {8, "epoch 2 after step 4"}};  // in the own scores of the last epoch
  uint64_t seed = 3;
  for (const Break& stop : breaks) {
    int64_t asked = 0;
    TrainerCallbacks callbacks;
    callbacks.should_stop = [&] { return ++asked == stop.question; };
    CHECK(
        error_of<Interrupted>([&] { train(setting, parts.path(), seed, callbacks); }) ==
        "stopped in " + stop.place + "; " + (parts / kState).string() +
            " is saved, resume to continue");
    ++seed;
  }
  check_same(train(setting, parts.path(), seed), expected);
}

TEST_CASE("stop: at the end of an epoch, in the last step, without a folder") {
  const toy::Problem problem = toy::make_problem();
  const auto stopped = [&problem](int64_t after, const fs::path& folder) {
    TrmMl model = toy::make_model(problem);
    Trainer trainer(
        model.ptr(),
        TrmMlLoss(),
        toy::trainer_options().epochs(2).folder(folder),
        std::nullopt);
    int64_t asked = 0;
    int64_t epochs = 0;
    TrainerCallbacks callbacks;
    callbacks.should_stop = [&asked, after] { return ++asked == after; };  // once
    callbacks.epoch_end = [&epochs](const auto&) { ++epochs; };
    const std::string message = error_of<Interrupted>(
        [&] { trainer.fit(problem.train, problem.held_out, callbacks); });
    CHECK(epochs == (after == 8 ? 2 : after / 4));
    return message;
  };
  CHECK(
      stopped(3, "") ==
      "stopped in epoch 0 after step 3; no state is saved, because there is no folder "
      "for it");
  const TemporaryFolder folder;
  CHECK(
      stopped(4, folder.path()) == "stopped in epoch 1 after step 0; " +
                                       (folder / kState).string() +
                                       " is saved, resume to continue");
  CHECK(stopped(8, "") == "no error");  // there was nothing left to do
}

TEST_CASE("resume: without a state the run starts from the beginning") {
  const TemporaryFolder a;
  const TemporaryFolder b;
  const End expected = train({}, a.path());
  // And a state is left alone without `resume`.
  support::write_bytes(b / kState, "not a state");
  const toy::Problem problem = toy::make_problem();
  TrmMl model = toy::make_model(problem);
  Trainer trainer(
      model.ptr(),
      TrmMlLoss(),
      toy::trainer_options().folder(b.path()),
      PseudoLabelerOptions());
  trainer.fit(problem.train, problem.held_out);
  CHECK(without_times(support::read_bytes(b / kState)) == expected.state);
}

TEST_CASE("resume: the seconds before a break are counted") {
  const TemporaryFolder folder;
  int64_t asked = 0;
  TrainerCallbacks callbacks;
  callbacks.should_stop = [&asked] { return ++asked == 6; };  // in the second epoch
  REQUIRE(error_of<Interrupted>([&] {
            train({}, folder.path(), 3, callbacks);
          }) != "no error");
  auto state = trmml::io::read_safetensors(folder / kState);
  CHECK(std::stod(state.metadata.at("seconds")) > 0);
  CHECK(
      std::stod(state.metadata.at("epoch_seconds")) <
      std::stod(state.metadata.at("seconds")));
  state.metadata["seconds"] = "5.000000e+06";
  state.metadata["epoch_seconds"] = "3.000000e+06";
  trmml::io::write_safetensors(folder / kState, state.tensors, state.metadata);

  const toy::Problem problem = problem_of({});
  TrmMl model = toy::make_model(problem);
  Trainer trainer(
      model.ptr(),
      TrmMlLoss(),
      toy::trainer_options().folder(folder.path()).resume(true),
      PseudoLabelerOptions());
  std::vector<double> seconds;
  callbacks = {};
  callbacks.epoch_end = [&seconds](const trmml::training::EpochReport& report) {
    seconds.push_back(report.seconds);
  };
  const TrainingResult result = trainer.fit(problem.train, problem.held_out, callbacks);
  REQUIRE(seconds.size() == 5);
  CHECK(seconds.front() > 3e6);
  CHECK(seconds[1] < 1e6);  // the next epoch starts from 0
  CHECK(result.seconds > 5e6);
  CHECK(result.seconds < 6e6);
  // And a finished run still knows.
  const End again = train({}, folder.path());
  CHECK(again.result.seconds > 5e6);
}
