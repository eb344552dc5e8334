#pragma once

#include "trmml/core/random.hpp"
#include "trmml/functional/similarity.hpp"
#include "trmml/io/module_weights.hpp"
#include "trmml/method/trm_ml.hpp"
#include "trmml/training/trainer.hpp"

#include <ATen/ATen.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

// A small problem that TRM-ML can learn: pictures of four noisy cells, some of which
// hold the direction of a category; half of the labels are known. No CLIP is needed:
// the text encoder adds up the embeddings of a prompt, bends and projects them.

namespace toy {

namespace training = trmml::training;

inline constexpr int64_t kN = 60;
inline constexpr int64_t kR = 4;
inline constexpr int64_t kD = 16;
inline constexpr int64_t kC = 3;
inline constexpr int64_t kWidth = 8;

struct Pictures {
  trmml::clip::ImageFeatures features;
  at::Tensor labels;  ///< int8 [N, C], all known
};

struct Problem {
  trmml::TrainingSet train;
  trmml::clip::ImageFeatures train_features;  ///< what `train` holds
  training::HeldOutSet held_out;
  trmml::ClassnameEmbeddings names;
  at::Tensor projection;  ///< [w, D] of the text encoder

  trmml::TextEncoder text_encoder() const {
    return [projection = projection](const trmml::Prompts& p) {
      return (0.4 * p.dense().embeddings.sum(2)).tanh().matmul(projection);
    };
  }
};

inline Pictures
make_pictures(at::Generator& random, const at::Tensor& directions, int64_t n) {
  constexpr double kNoise = 0.15;
  at::Tensor cells = kNoise * at::randn({n, kR, kD}, random);
  const at::Tensor present = at::rand({n, kC}, random).lt(0.4);
  const at::Tensor where = at::randint(kR, {n, kC}, random, at::kLong);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t c = 0; c < kC; ++c) {
      if (present[i][c].item<bool>()) {
        cells[i][where[i][c].item<int64_t>()].add_(directions[c]);
      }
    }
  }
  return {{cells.mean(1), cells}, present.to(at::kChar) * 2 - 1};
}

/// `n` pictures to train on, `n_held_out` held out.
inline Problem make_problem(int64_t n = kN, int64_t n_held_out = kN) {
  at::Generator random = trmml::make_generator(17, 0, "toy problem");
  const at::Tensor directions =
      trmml::functional::l2_normalise(at::randn({kC, kD}, random));
  const at::Tensor frozen_text = directions + 0.15 * at::randn({kC, kD}, random);
  Problem problem;
  problem.projection = at::randn({kWidth, kD}, random) * 0.3;
  std::vector<at::Tensor> names;
  for (int64_t c = 0; c < kC; ++c) {
    names.push_back(at::randn({1 + c, kWidth}, random));
  }
  problem.names = trmml::pack_classnames(
      at::randn({1, kWidth}, random), names, at::randn({2, kWidth}, random));
  const Pictures held_out = make_pictures(random, directions, n_held_out);
  problem.held_out = {held_out.features, held_out.labels};
  const Pictures train = make_pictures(random, directions, n);
  problem.train_features = train.features;
  problem.train = {
      train.features,
      train.labels.masked_fill(at::rand({n, kC}, random).lt(0.5), 0),
      trmml::functional::zero_shot_scores(
          train.features.global, train.features.regions, frozen_text),
      frozen_text};
  return problem;
}

/// A new model; `seed` says where it starts.
inline trmml::TrmMl
make_model(const Problem& problem, uint64_t seed = 3, double dropout = 0.0) {
  at::manual_seed(seed);
  trmml::TrmMlOptions options(kC, kWidth, kD);
  options.prompts().n_ctx(2).class_specific(true).negative_init_std(1.0);
  options.matcher().logit_scale_init(10).dropout(dropout);
  options.matcher().attention_init(trmml::AttentionInit::kIdentity);
  return trmml::TrmMl(
      options, problem.names, problem.text_encoder(), problem.train.frozen_text);
}

/// Six epochs of four steps.
inline training::TrainerOptions trainer_options() {
  training::TrainerOptions options;
  options.epochs(6).batch_size(16).seed(5);
  options.prompt_learning_rate(0.05).matcher_learning_rate(0.01);
  return options;
}

inline constexpr int64_t kSteps = 24;

/// Copies of all parameters and buffers.
inline trmml::io::TensorMap state_of(const torch::nn::Module& module) {
  trmml::io::TensorMap state = trmml::io::module_tensors(module);
  for (auto& [name, tensor] : state) {
    tensor = tensor.clone();
  }
  return state;
}

/// The same names, and the same bits behind each.
inline bool is_same(const trmml::io::TensorMap& a, const trmml::io::TensorMap& b) {
  bool same = a.size() == b.size();
  for (const auto& [name, tensor] : a) {
    const auto other = b.find(name);
    same = same && other != b.end() && tensor.equal(other->second);
  }
  return same;
}

inline at::Tensor generator_state() {
  return at::globalContext().defaultGenerator(at::kCPU).get_state().clone();
}

inline double held_out_mAP(trmml::Method& method, const Problem& problem) {
  return training::mean_average_precision(
             training::predict(method, problem.held_out.features),
             problem.held_out.labels)
      .mAP;
}

}  // namespace toy
