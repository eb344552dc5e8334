#pragma once

#include "trmml/method/ablation.hpp"
#include "trmml/method/method.hpp"
#include "trmml/method/trm_ml_loss.hpp"
#include "trmml/modules/prompt_learner.hpp"
#include "trmml/modules/pseudo_labeler.hpp"
#include "trmml/training/options.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/run_options.hpp"
#include "support/world.hpp"

// From the options of a run to the options of its parts: what is not set follows from
// method, protocol, and `observed` [N, C], the labels that training sees.

namespace experiment {

/// What a method knows of the texts of its C categories.
struct TextSide {
  trmml::ClassnameEmbeddings names;
  trmml::TextEncoder encode;
  at::Tensor frozen_text;  ///< [C, D] text features of "a photo of a {name}."
};

/// That of a CLIP, for `n_ctx` context tokens.
TextSide text_side(const World& world, int64_t n_ctx);

/// How pseudo-labels are made.
trmml::PseudoLabelPolicy policy_of(const RunOptions& options);

/// First epoch with pseudo-labels, of a method that has some.
int64_t first_pseudo_epoch(const RunOptions& options);

/// Context tokens of a prompt.
int64_t context_length(
    const RunOptions& options,
    const trmml::MethodSwitches& switches,
    const at::Tensor& observed);

/// The method with its initial weights, drawn from the global generator, on the device
/// of the frozen text features. Not for zero-shot and linear probes. `options.n_ctx`
/// does not count.
std::shared_ptr<trmml::Method> build_method(
    const TextSide& text,
    const RunOptions& options,
    const trmml::MethodSwitches& switches,
    int64_t n_ctx);

/// `device`: where the method is.
trmml::training::TrainerOptions trainer_options(
    const RunOptions& options,
    const trmml::MethodSwitches& switches,
    const at::Tensor& observed,
    at::Device device);

trmml::TrmMlLossOptions loss_options(
    const RunOptions& options,
    const trmml::MethodSwitches& switches,
    const at::Tensor& observed);

std::optional<trmml::PseudoLabelerOptions> pseudo_label_options(
    const RunOptions& options,
    const trmml::MethodSwitches& switches);

/// What options that are not given are, by their flags: those whose values follow from
/// the method and the protocol.
std::vector<std::pair<std::string, std::string>> settings_by_method(
    const RunOptions& options);

/// What options that are not given are, by their names: those whose values follow from
/// numbers of other options (epochs, seed), from the labels, or from the `width` of the
/// features. For reports.
std::vector<std::pair<std::string, double>> settings_by_data(
    const RunOptions& options,
    const trmml::MethodSwitches& switches,
    const at::Tensor& observed,
    int64_t width);

}  // namespace experiment
