#pragma once

#include <cmath>
#include <cstdint>

namespace trmml::training {

/// What one-cycle says for one step.
struct OneCyclePoint {
  double learning_rate = 0.0;
  double momentum = 0.0;  ///< of Adam: beta 1
};

/// The one-cycle policy (Smith and Topin, 2017) with cosine pieces, as
/// `torch.optim.lr_scheduler.OneCycleLR` has it: over the first `rise` of the steps the
/// learning rate goes from max / 25 to max while the momentum falls from 0.95 to 0.85;
/// then the learning rate falls to max / 250,000 and the momentum returns.
///
/// `step` in [0, total_steps), `rise` in (0, 1). A run of one step uses the maximum
/// (where `OneCycleLR` uses the minimum).
inline OneCyclePoint one_cycle(
    int64_t step,
    int64_t total_steps,
    double max_learning_rate,
    double rise = 0.2) {
  if (total_steps <= 1) {
    return {max_learning_rate, 0.85};
  }
  const double first = max_learning_rate / 25.0;
  const double last = first / 1e4;
  const double peak = rise * static_cast<double>(total_steps) - 1.0;
  const double end = static_cast<double>(total_steps) - 1.0;
  const auto cosine = [](double from, double to, double part) {
    return to + (from - to) / 2.0 * (1.0 + std::cos(M_PI * part));
  };
  const auto now = static_cast<double>(step);
  if (now <= peak && peak > 0.0) {
    const double part = now / peak;
    return {cosine(first, max_learning_rate, part), cosine(0.95, 0.85, part)};
  }
  const double part = end > peak ? (now - peak) / (end - peak) : 0.0;
  return {cosine(max_learning_rate, last, part), cosine(0.85, 0.95, part)};
}

}  // namespace trmml::training
