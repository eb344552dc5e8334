#pragma once

#include "trmml/clip/image_features.hpp"
#include "trmml/method/method.hpp"
#include "trmml/modules/prompt_learner.hpp"

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "support/tensors.hpp"

// A small world for tests of methods: three categories and a text encoder that adds up
// the embeddings of a prompt and projects them.

namespace small {

inline constexpr int64_t kC = 3;
inline constexpr int64_t kD = 8;
inline constexpr int64_t kR = 5;
inline constexpr int64_t kB = 4;
inline constexpr int64_t kWidth = 6;

inline trmml::PromptLearnerOptions prompts(int64_t n_cls = kC) {
  return trmml::PromptLearnerOptions(n_cls, kWidth).n_ctx(2);
}

/// Names of 2, 1 and 3 tokens; `order` picks and sorts the categories.
inline trmml::ClassnameEmbeddings embeddings(
    const std::vector<int64_t>& order = {0, 1, 2},
    at::ScalarType type = at::kFloat) {
  const std::vector<int64_t> lengths = {2, 1, 3};
  std::vector<at::Tensor> names;
  for (const int64_t c : order) {
    names.push_back(
        support::fill({lengths[static_cast<size_t>(c)], kWidth}, 20 + c).to(type));
  }
  return trmml::pack_classnames(
      support::fill({1, kWidth}, 30).to(type),
      names,
      support::fill({2, kWidth}, 31).to(type));
}

inline trmml::TextEncoder text_encoder() {
  return [](const trmml::Prompts& p) {
    const at::Tensor projection =
        support::fill({kWidth, kD}, 40).to(p.own.scalar_type());
    return p.dense().embeddings.sum(2).matmul(projection);  // [P, C, D]
  };
}

inline at::Tensor frozen_text(int64_t n_cls = kC) {
  return support::fill({n_cls, kD}, 41).to(at::kFloat);
}

inline trmml::clip::ImageFeatures images(at::ScalarType type = at::kFloat) {
  return {
      support::fill({kB, kD}, 50).to(type), support::fill({kB, kR, kD}, 51).to(type)};
}

}  // namespace small
