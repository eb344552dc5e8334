#include "trmml/training/trainer.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "support/tensors.hpp"
#include "training/toy_problem.hpp"
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

// A run that is stopped or killed, and goes on: bit for bit, on one thread.

namespace fs = std::filesystem;
using support::TemporaryFolder;
using test::error_of;
using trmml::CheckpointError;
using trmml::Interrupted;
using trmml::PseudoLabelerOptions;
using trmml::PseudoLabelPolicy;
using trmml::TrmMl;
using trmml::TrmMlLoss;
using trmml::TrmMlLossOptions;
using trmml::training::Trainer;
using trmml::training::TrainerCallbacks;
using trmml::training::TrainerOptions;
using trmml::training::TrainingResult;

namespace {

constexpr auto kState = "last.safetensors";

/// What a run is made of, besides its folder.
struct Setting {
  TrainerOptions trainer = toy::trainer_options();
  TrmMlLossOptions loss = {};
  std::optional<PseudoLabelerOptions> pseudo_labels = PseudoLabelerOptions();
  double dropout = 0.0;
};

/// All that must be equal at the end.
struct End {
  TrainingResult result;
  trmml::io::TensorMap model;  ///< weights of the best epoch, prototypes of the last
  std::string state;           ///< the bytes of the state: weights, average, moments
  std::vector<std::pair<std::string, double>>
      losses;  ///< of the last epoch, if trained
};

toy::Problem problem_of(const Setting& setting) {
  toy::Problem problem = toy::make_problem();
  if (setting.loss.unknown_labels() != trmml::UnknownLabels::kIgnored) {
    problem.train.labels = problem.train.labels.clamp_min(0);  // no known absences
  }
  return problem;
}

/// Trains to the end in `folder`, from its state if there is one. The new model starts
/// from `seed`: after a resume nothing of that may be left.
End train(
    const Setting& setting,
    const fs::path& folder,
    uint64_t seed = 3,
    const TrainerCallbacks& callbacks = {}) {
  const toy::Problem problem = problem_of(setting);
  TrmMl model = toy::make_model(problem, seed, setting.dropout);
  Trainer trainer(
      model.ptr(),
      TrmMlLoss(setting.loss),
      TrainerOptions(setting.trainer).folder(folder).resume(true),
      setting.pseudo_labels);
  End end;
  TrainerCallbacks with_losses = callbacks;
  with_losses.epoch_end = [&end](const trmml::training::EpochReport& report) {
    end.losses = report.losses;
  };
  end.result = trainer.fit(problem.train, problem.held_out, with_losses);
  end.model = toy::state_of(*model);
  end.state = support::read_bytes(folder / kState);
  return end;
}

void check_same(const End& a, const End& b) {
  CHECK(a.result.epochs == b.result.epochs);
  CHECK(a.result.best_epoch == b.result.best_epoch);
  CHECK(a.result.best_mAP == b.result.best_mAP);
  CHECK(toy::is_same(a.model, b.model));
  const bool same_bytes = a.state == b.state;  // not to print them
  CHECK(same_bytes);
  if (!a.losses.empty() && !b.losses.empty()) {
    CHECK(a.losses == b.losses);
  }
}

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
    callbacks.step_end = [&last](int64_t step, int64_t) { last = step; };
    callbacks.should_stop = [&left] { return --left == 0; };
    const std::string message =
        error_of<Interrupted>([&] { train(setting, folder, seed, callbacks); });
    INFO("stop after step " << stop);
    CHECK(last == stop);
    CHECK(message.find("stopped in epoch ") == 0);
    CHECK(
        message.find("last.safetensors is saved, continue with --resume") !=
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
  callbacks.step_end = [&stepped](int64_t, int64_t) { stepped = true; };
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
                                       " is saved, continue with --resume");
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
  CHECK(support::read_bytes(b / kState) == expected.state);
}

// ---------------------------------------------------------------- killed

namespace {

/// Names of the temporary files of a save in `folder`.
std::vector<std::string> temporaries(const TemporaryFolder& folder) {
  std::vector<std::string> found;
  for (const std::string& name : folder.names()) {
    if (name.find(".last.safetensors.tmp-") == 0) {
      found.push_back(name);
    }
  }
  return found;
}

/// Trains in a child process; ends it with status 0 when the run is complete.
pid_t train_in_child(
    const Setting& setting,
    const fs::path& folder,
    uint64_t seed,
    const TrainerCallbacks& callbacks = {}) {
  const pid_t child = ::fork();
  if (child == 0) {
    int status = 0;
    try {
      train(setting, folder, seed, callbacks);
    } catch (...) {
      status = 9;
    }
    ::_exit(status);
  }
  return child;
}

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

/// The number of the file behind a name; 0 when there is none. A save changes it.
ino_t inode(const fs::path& path) {
  struct stat info = {};
  return ::stat(path.c_str(), &info) == 0 ? info.st_ino : 0;
}

bool has_ended(pid_t child) {
  siginfo_t info = {};
  return ::waitid(
             P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT) ==
             0 &&
         info.si_pid == child;
}

/// Polls until `done` or the child has ended by itself.
template <typename Done>
void wait_until(pid_t child, Done&& done) {
  while (!done() && !has_ended(child)) {
    ::usleep(50);
  }
}

/// The state under its final name, if there is one: whole, whatever happened.
void check_readable(const fs::path& path) {
  if (fs::exists(path)) {
    CHECK_NOTHROW(trmml::io::read_safetensors(path));
  }
}

Setting save_every_step() {
  Setting setting;
  setting.trainer.checkpoint_every(1);
  return setting;
}

}  // namespace

TEST_CASE("killed: between steps and inside saves, the end is the same") {
  const Setting setting = save_every_step();
  const TemporaryFolder whole;
  const TemporaryFolder parts;
  const End expected = train(setting, whole.path());
  const fs::path state = parts / kState;

  std::mt19937 random(7);
  int kills = 0;
  int in_a_save = 0;
  uint64_t seed = 3;
  constexpr int kAttempts = 9;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const ino_t before = inode(state);
    const size_t stale = temporaries(parts).size();
    const pid_t child = train_in_child(setting, parts.path(), seed++);
    REQUIRE(child > 0);
    wait_until(child, [&] { return inode(state) != before; });  // it made progress
    if (attempt % 2 == 0) {
      ::usleep(random() % 6000);
    } else {
      wait_until(child, [&] { return temporaries(parts).size() > stale; });
    }
    ::kill(child, SIGKILL);
    const int status = wait_for(child);
    kills += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 1 : 0;
    in_a_save += temporaries(parts).size() > stale ? 1 : 0;
    check_readable(state);
  }
  CHECK(kills >= 4);
  INFO("killed " << kills << " times, " << in_a_save << " of them inside a save");
  check_same(train(setting, parts.path(), seed), expected);
}

TEST_CASE("killed: half a state is written, the one before stays") {
  const Setting setting = save_every_step();
  const TemporaryFolder whole;
  const TemporaryFolder parts;
  const End expected = train(setting, whole.path());
  const rlim_t half = expected.state.size() / 2;
  constexpr int64_t kLastGood = 5;

  // From step 6 on the system ends the process when its file grows beyond a half.
  int64_t last = 0;
  TrainerCallbacks callbacks;
  callbacks.step_end = [&last](int64_t step, int64_t) { last = step; };
  callbacks.should_stop = [&last, half] {
    if (last == kLastGood) {
      const rlimit no_core = {0, 0};
      const rlimit short_files = {half, half};
      ::signal(SIGXFSZ, SIG_DFL);
      ::setrlimit(RLIMIT_CORE, &no_core);
      ::setrlimit(RLIMIT_FSIZE, &short_files);
    }
    return false;
  };
  const int status = wait_for(train_in_child(setting, parts.path(), 3, callbacks));
  REQUIRE(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGXFSZ);

  const auto stale = temporaries(parts);
  REQUIRE(stale.size() == 1);
  CHECK(fs::file_size(parts / stale[0]) == half);
  const auto state = trmml::io::read_safetensors(parts / kState);
  CHECK(state.metadata.at("epoch") == "1");
  CHECK(state.metadata.at("step") == "1");
  check_same(train(setting, parts.path(), 55), expected);
  CHECK(temporaries(parts) == stale);  // nobody's business
}

TEST_CASE("killed: what others left under the temporary's name does not matter") {
  const Setting setting = save_every_step();
  const TemporaryFolder a;
  const TemporaryFolder b;
  const End expected = train(setting, a.path());
  for (int i = 0; i < 2000; i += 7) {  // in the way of some of the coming saves
    support::write_bytes(
        b / fmt::format(".last.safetensors.tmp-{}-{}", ::getpid(), i), "half a sta");
  }
  const size_t before = temporaries(b).size();
  check_same(train(setting, b.path()), expected);
  CHECK(temporaries(b).size() == before);
}

// ---------------------------------------------------------------- refused

namespace {

/// A state after three steps of the second epoch, so that every kind of tensor is in.
void make_state(const fs::path& folder) {
  int64_t asked = 0;
  TrainerCallbacks callbacks;
  callbacks.should_stop = [&asked] { return ++asked == 7; };
  REQUIRE(
      error_of<Interrupted>([&] { train({}, folder, 3, callbacks); }) != "no error");
}

std::string refusal(const Setting& setting, const fs::path& folder) {
  return error_of<CheckpointError>([&] { train(setting, folder); });
}

}  // namespace

TEST_CASE("resume: a state of other options is refused") {
  const TemporaryFolder folder;
  make_state(folder.path());
  const std::string bytes = support::read_bytes(folder / kState);
  const std::string start =
      (folder / kState).string() + ": expected the state of a run with ";
  const std::string hint = " (resume with the options of the run that wrote it)";
  Setting other;
  other.trainer.epochs(7);
  CHECK(refusal(other, folder.path()) == start + "epochs 7, got 6" + hint);
  other = {};
  other.trainer.seed(6);
  CHECK(refusal(other, folder.path()) == start + "seed 6, got 5" + hint);
  other = {};
  other.trainer.batch_size(10);
  CHECK(refusal(other, folder.path()) == start + "steps_per_epoch 6, got 4" + hint);
  other = {};
  other.trainer.batch_size(17);  // as many steps
  CHECK(refusal(other, folder.path()) == start + "batch_size 17, got 16" + hint);
  CHECK(support::read_bytes(folder / kState) == bytes);
}

TEST_CASE("resume: a seed of 64 bits") {
  const TemporaryFolder folder;
  Setting setting;
  setting.trainer.seed(std::numeric_limits<uint64_t>::max() - 4).epochs(1);
  const End first = train(setting, folder.path());
  check_same(train(setting, folder.path(), 9), first);
}

TEST_CASE("resume: a state of another model or training set is refused") {
  const TemporaryFolder folder;
  make_state(folder.path());
  toy::Problem problem = toy::make_problem();
  trmml::TrmMlOptions options(toy::kC, toy::kWidth, toy::kD);
  options.prompts().n_ctx(3).class_specific(true);
  options.matcher().attn_dim(8);
  TrmMl larger(
      options, problem.names, problem.text_encoder(), problem.train.frozen_text);
  const auto resume = [&](const std::shared_ptr<trmml::Method>& method) {
    return error_of<CheckpointError>([&] {
      Trainer trainer(
          method,
          TrmMlLoss(),
          toy::trainer_options().folder(folder.path()).resume(true),
          PseudoLabelerOptions());
      trainer.fit(problem.train, problem.held_out);
    });
  };
  const auto before = toy::state_of(*larger);
  const std::string message = resume(larger.ptr());
  CHECK(message.find((folder / kState).string() + ": ") == 0);
  CHECK(
      message.find("prompt_learner.ctx expected [2, 3, 3, 8], got [2, 3, 2, 8]") !=
      std::string::npos);
  CHECK(
      message.find("matcher.attention.query_proj.weight expected [8, 16], got [16, "
                   "16]") != std::string::npos);
  CHECK(toy::is_same(toy::state_of(*larger), before));

  problem = toy::make_problem(toy::kN - 1);  // as many steps
  TrmMl model = toy::make_model(problem);
  CHECK(
      resume(model.ptr()) ==
      (folder / kState).string() +
          ": expected pseudo.labels of shape [59, 3], got [60, 3] (resume with the "
          "training set of the run that wrote it)");
}

TEST_CASE("resume: a truncated state is refused") {
  const TemporaryFolder folder;
  make_state(folder.path());
  const std::string bytes = support::read_bytes(folder / kState);
  for (const double share : {0.0, 0.0001, 0.05, 0.5, 0.9999}) {
    const auto length = static_cast<size_t>(share * static_cast<double>(bytes.size()));
    support::write_bytes(folder / kState, bytes.substr(0, length));
    const std::string message = refusal({}, folder.path());
    INFO(length << " of " << bytes.size() << " bytes: " << message);
    CHECK(message.find(kState) != std::string::npos);
  }
  support::write_bytes(folder / kState, bytes);
  CHECK(refusal({}, folder.path()) == "no error");
}

TEST_CASE("resume: the state before the newest one is kept, and named when needed") {
  const TemporaryFolder folder;
  make_state(folder.path());
  const auto previous =
      trmml::io::read_safetensors(folder / "previous.safetensors").metadata;
  const auto last = trmml::io::read_safetensors(folder / kState).metadata;
  const auto steps = [](const trmml::io::Metadata& state) {
    return std::stoi(state.at("epoch")) * std::stoi(state.at("steps_per_epoch")) +
           std::stoi(state.at("step"));
  };
  CHECK(steps(previous) < steps(last));
  support::write_bytes(folder / kState, "cut off");
  CHECK(
      refusal({}, folder.path())
          .find(
              "(the state before it is " + (folder / "previous.safetensors").string() +
              ": copy it over the damaged one to continue from there)") !=
      std::string::npos);
  fs::copy_file(
      folder / "previous.safetensors",
      folder / kState,
      fs::copy_options::overwrite_existing);
  CHECK(refusal({}, folder.path()) == "no error");
}

TEST_CASE("resume: a foreign or incomplete file is refused") {
  const TemporaryFolder folder;
  const std::string path = (folder / kState).string();
  trmml::io::write_safetensors(path, {{"weight", at::zeros({2, 2})}});
  CHECK(
      refusal({}, folder.path()) ==
      path +
          ": expected a whole number under \"epochs\" in the state's metadata, got "
          "nothing");
  support::write_bytes(path, "{\"epoch\": 3}, that is a JSON file and nothing else");
  CHECK(refusal({}, folder.path()).find(kState) != std::string::npos);

  fs::remove(path);
  make_state(folder.path());
  const auto whole = trmml::io::read_safetensors(path);
  const auto without = [&](const std::string& name, const char* key = "") {
    trmml::io::TensorMap tensors;
    for (const auto& [key_of, tensor] : whole.tensors) {
      if (key_of.find(name) != 0) {
        tensors[key_of] = tensor.clone();
      }
    }
    trmml::io::Metadata metadata = whole.metadata;
    metadata.erase(key);
    trmml::io::write_safetensors(path, tensors, metadata);
    return refusal({}, folder.path());
  };
  CHECK(
      without("ema.0001") == path +
                                 ": expected the averaged weights of parameter 0001 "
                                 "in its shape []");
  CHECK(
      without("model.matcher.queries").find("1 missing: matcher.queries") !=
      std::string::npos);
  CHECK(without("adamw.0000.step").find("load_optimizer: expected moments") == 0);
  CHECK(
      without("best_mAP") ==
      path +
          ": expected best_mAP, best_test_mAP and the state of the generator, got a "
          "file without");
  CHECK(
      without("generator") ==
      path +
          ": expected best_mAP, best_test_mAP and the state of the generator, got a "
          "file without");
  CHECK(without("-", "step").find("under \"step\"") != std::string::npos);
  CHECK(without("-") == "no error");
}

TEST_CASE("a folder that is not there is named") {
  Setting setting;
  setting.trainer.epochs(1);
  const TemporaryFolder folder;
  const std::string message =
      error_of<trmml::Error>([&] { train(setting, folder / "missing"); });
  CHECK(message.find((folder / "missing" / kState).string()) != std::string::npos);
}
