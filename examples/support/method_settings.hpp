#pragma once

#include "trmml/method/ablation.hpp"
#include "trmml/method/method.hpp"
#include "trmml/method/trm_ml_loss.hpp"
#include "trmml/modules/pseudo_labeler.hpp"
#include "trmml/training/options.hpp"

#include <memory>
#include <optional>

#include "support/run_options.hpp"
#include "support/world.hpp"

// From the options of a run to the options of its parts: what is not set follows from
// method, protocol, and `observed` [N, C], the labels that training sees.

namespace experiment {

/// The method with its initial weights, drawn from the global generator, on the device
/// of the frozen text features. Not for zero-shot and linear probes.
std::shared_ptr<trmml::Method> build_method(
    const World& world,
    const RunOptions& options,
    const trmml::MethodSwitches& switches,
    const at::Tensor& observed);

trmml::training::TrainerOptions trainer_options(
    const RunOptions& options,
    const trmml::MethodSwitches& switches,
    const at::Tensor& observed);

trmml::TrmMlLossOptions loss_options(
    const RunOptions& options,
    const trmml::MethodSwitches& switches,
    const at::Tensor& observed);

std::optional<trmml::PseudoLabelerOptions> pseudo_label_options(
    const RunOptions& options,
    const trmml::MethodSwitches& switches);

}  // namespace experiment
