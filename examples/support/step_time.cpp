#include "support/step_time.hpp"

#include "trmml/clip/image_features.hpp"
#include "trmml/method/trm_ml_loss.hpp"
#include "trmml/training/trainer.hpp"

#include <ATen/ATen.h>

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <vector>

#include "support/experiment.hpp"
#include "support/method_settings.hpp"

namespace experiment {
namespace {

using trmml::clip::ImageFeatures;

at::Tensor repeated(const at::Tensor& rows, int64_t n) {
  return rows.index_select(0, at::arange(n).remainder(rows.size(0)).to(rows.device()));
}

ImageFeatures repeated(const ImageFeatures& sample, int64_t n) {
  return {repeated(sample.global, n), repeated(sample.regions, n)};
}

// Seconds of a step without pseudo-labels, whose own part is small.
double seconds_a_step(
    const World& world,
    const RunOptions& options,
    const trmml::MethodSwitches& switches,
    const at::Tensor& observed) {
  constexpr int64_t kSteps = 3;  // the first one pays for starting
  const int64_t n_ctx = context_length(options, switches, observed);
  trmml::training::Trainer trainer(
      build_method(text_side(world, n_ctx), options, switches, n_ctx),
      trmml::TrmMlLoss(loss_options(options, switches, observed)),
      trainer_options(options, switches, observed, world.frozen_text.device())
          .epochs(1)
          .pseudo_from_epoch(1)
          .folder("")
          .resume(false));
  const int64_t n = kSteps * options.trainer.batch_size();
  trmml::TrainingSet train;
  train.features = repeated(world.sample, n);
  train.labels = repeated(observed, n);
  const trmml::training::HeldOutSet held_out{
      repeated(world.sample, 1), at::zeros({1, observed.size(1)}, at::kChar)};
  std::vector<std::chrono::steady_clock::time_point> ends;
  trmml::training::TrainerCallbacks callbacks;
  callbacks.step_end = [&ends](const auto&) {
    ends.push_back(std::chrono::steady_clock::now());
  };
  trainer.fit(train, held_out, callbacks);
  const std::chrono::duration<double> seconds = ends.back() - ends.front();
  return seconds.count() / static_cast<double>(ends.size() - 1);
}

// "VmHWM:  123456 kB" of /proc/self/status; 0 on systems without.
double peak_gigabytes() {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("VmHWM:")) {
      return 1024e-9 * std::atof(line.c_str() + 6);
    }
  }
  return 0.0;
}

}  // namespace

std::string training_line(const World& world, const RunOptions& options) {
  const trmml::MethodSwitches switches = trmml::method_switches(options.method);
  if (!switches.has_prompts()) {
    return "";
  }
  const at::Tensor observed = observed_labels(world, options);
  const double seconds = seconds_a_step(world, options, switches, observed);
  const int64_t batch = options.trainer.batch_size();
  const int64_t steps = (observed.size(0) + batch - 1) / batch;
  const int64_t epochs = options.epochs.value_or(options.defaults.epochs);
  return fmt::format(
      "training: {} epochs of {} steps, {:.3f} s a step without what features take: "
      "about {:.1f} h; {:.2f} GB of memory at most until here",
      epochs,
      steps,
      seconds,
      seconds * static_cast<double>(epochs * steps) / 3600,
      peak_gigabytes());
}

}  // namespace experiment
