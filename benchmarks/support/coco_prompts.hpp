#pragma once

#include "trmml/modules/prompt_learner.hpp"

#include <ATen/ops/randn.h>

#include <array>
#include <cstdint>
#include <vector>

// Prompts of COCO's size: what they cost depends on the number of tokens alone.

namespace benchmark {

/// Tokens of COCO's category names, in the order of their ids (CLIP's tokenizer).
inline constexpr std::array<int64_t, 80> kCocoNameTokens = {
    1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 3, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 2, 1, 2, 2, 1, 2, 2, 1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 1,
    1, 1, 1, 1, 2, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 1};

/// Random embeddings of `n_cls` names as long as COCO's (over and over), of a start
/// token, and of ". end".
inline trmml::ClassnameEmbeddings coco_like_names(int64_t n_cls, int64_t width) {
  std::vector<at::Tensor> names;
  for (int64_t c = 0; c < n_cls; ++c) {
    const int64_t tokens = kCocoNameTokens[static_cast<size_t>(c % 80)];
    names.push_back(at::randn({tokens, width}) * 0.02);
  }
  return trmml::pack_classnames(
      at::randn({1, width}) * 0.02, names, at::randn({2, width}) * 0.02);
}

}  // namespace benchmark
