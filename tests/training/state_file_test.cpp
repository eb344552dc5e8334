#include "trmml/training/state_file.hpp"

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/temporary_folder.hpp"
#include "support/tensors.hpp"
#include "training/resume_run.hpp"
#include "training/toy_problem.hpp"

// States that do not fit, or are damaged.

using namespace resumed;
using support::error_of;
using support::TemporaryFolder;
using trmml::CheckpointError;
using trmml::Interrupted;

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
      path + ": expected a state of format trmml.training.1, got a file without one");
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
  CHECK(without("adamw.0000.step").find(path + ": expected moments") == 0);
  CHECK(without("adamw.0001.exp_avg").find(path + ": expected moments") == 0);
  CHECK(without("best.0001").find(path + ": expected the best weights of all ") == 0);
  CHECK(
      without("best_mAP") ==
      path + ": expected best_mAP and best_test_mAP, got a file without");
  CHECK(
      without("generator") ==
      path + ": expected the state of the generator, got a file without");
  CHECK(
      without("-", "seconds") ==
      path +
          ": expected a number under \"seconds\" in the state's metadata, got nothing");
  CHECK(without("-", "step").find("under \"step\"") != std::string::npos);
  trmml::io::Metadata edited = whole.metadata;
  edited["step"] = "-3";
  trmml::io::TensorMap tensors;
  for (const auto& [name, tensor] : whole.tensors) {
    tensors[name] = tensor.clone();
  }
  trmml::io::write_safetensors(path, tensors, edited);
  CHECK(
      refusal({}, folder.path()) == path + ": expected step from 0 to " +
                                        whole.metadata.at("steps_per_epoch") +
                                        ", got -3");
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

TEST_CASE("state_number: whole numbers only") {
  const trmml::io::Metadata metadata = {
      {"epoch", "12"},
      {"best", "-1"},
      {"empty", ""},
      {"tail", "12x"},
      {"half", "1.5"},
      {"huge", "18446744073709551615"}};
  const auto read = [&metadata](const char* key) {
    return trmml::training::state_number(metadata, key, "runs/last.safetensors");
  };
  CHECK(read("epoch") == 12);
  CHECK(read("best") == -1);
  const auto message = [&read](const char* key) {
    return error_of<trmml::CheckpointError>([&] { read(key); });
  };
  const std::string expected =
      "runs/last.safetensors: expected a whole number under \"";
  CHECK(message("step") == expected + "step\" in the state's metadata, got nothing");
  CHECK(message("tail") == expected + "tail\" in the state's metadata, got \"12x\"");
  for (const char* key : {"empty", "half", "huge"}) {
    CHECK(message(key).find(expected + key) == 0);
  }
}
