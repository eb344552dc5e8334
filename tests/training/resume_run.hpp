#pragma once

#include "trmml/training/trainer.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "training/toy_problem.hpp"

// A run of the toy problem that goes on from its folder, and all that must be equal in
// the end.

namespace resumed {

namespace fs = std::filesystem;
using trmml::PseudoLabelerOptions;
using trmml::TrmMl;
using trmml::TrmMlLoss;
using trmml::TrmMlLossOptions;
using trmml::training::EpochReport;
using trmml::training::StepReport;
using trmml::training::Trainer;
using trmml::training::TrainerCallbacks;
using trmml::training::TrainerOptions;
using trmml::training::TrainingResult;

inline constexpr auto kState = "last.safetensors";

/// What a run is made of, besides its folder.
struct Setting {
  TrainerOptions trainer = toy::trainer_options();
  TrmMlLossOptions loss = {};
  std::optional<PseudoLabelerOptions> pseudo_labels = PseudoLabelerOptions();
  double dropout = 0.0;
  int64_t pictures = toy::kN;  ///< to train on, and as many held out
};

/// All that must be equal at the end.
struct End {
  TrainingResult result;
  trmml::io::TensorMap model;  ///< weights of the best epoch, prototypes of the last
  std::string state;           ///< the bytes of the state, but for times
  EpochReport report;          ///< of the last epoch; without losses if not trained
};

inline toy::Problem problem_of(const Setting& setting) {
  toy::Problem problem = toy::make_problem(setting.pictures, setting.pictures);
  if (setting.loss.unknown_labels() != trmml::UnknownLabels::kIgnored) {
    problem.train.labels = problem.train.labels.clamp_min(0);  // no known absences
  }
  return problem;
}

/// Takes the digits of "seconds" and "epoch_seconds" out of the bytes of a state: only
/// they differ between equal runs.
inline std::string without_times(std::string state) {
  const std::string key = "seconds\":\"";
  size_t place = 0;
  while ((place = state.find(key, place)) != std::string::npos) {
    place += key.size();
    const size_t width = state.find('"', place) - place;
    state.replace(place, width, width, '0');
  }
  return state;
}

/// Trains to the end in `folder`, from its state if there is one. The new model starts
/// from `seed`: after a resume nothing of that may be left.
inline End train(
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
  TrainerCallbacks with_report = callbacks;
  with_report.epoch_end = [&end](const EpochReport& report) { end.report = report; };
  end.result = trainer.fit(problem.train, problem.held_out, with_report);
  end.model = toy::state_of(*model);
  end.state = without_times(support::read_bytes(folder / kState));
  return end;
}

/// But for the time.
inline void check_same(const EpochReport& a, const EpochReport& b) {
  const auto is_same = [](const at::Tensor& x, const at::Tensor& y) {
    return x.defined() == y.defined() && (!x.defined() || x.equal(y));
  };
  CHECK(a.epoch == b.epoch);
  CHECK(a.losses == b.losses);
  CHECK(a.learning_rate == b.learning_rate);
  CHECK(a.held_out_mAP == b.held_out_mAP);
  CHECK(a.held_out_mAP_raw == b.held_out_mAP_raw);
  CHECK(is_same(a.pseudo_labels, b.pseudo_labels));
  CHECK(is_same(a.held_out_logits, b.held_out_logits));
}

inline void check_same(const End& a, const End& b) {
  CHECK(a.result.epochs == b.result.epochs);
  CHECK(a.result.best_epoch == b.result.best_epoch);
  CHECK(a.result.best_mAP == b.result.best_mAP);
  CHECK(toy::is_same(a.model, b.model));
  const bool same_bytes = a.state == b.state;  // not to print them
  CHECK(same_bytes);
  if (!a.report.losses.empty() && !b.report.losses.empty()) {
    check_same(a.report, b.report);
  }
}

}  // namespace resumed
