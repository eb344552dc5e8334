#pragma once

#include "trmml/clip/text_transformer.hpp"
#include "trmml/functional/similarity.hpp"
#include "trmml/modules/prompt_learner.hpp"

#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace trmml {

/// Category names as token ids, apart from what stands around them in a prompt.
struct TokenizedClassnames {
  std::vector<std::vector<int64_t>> names;  ///< [C], at least one id each
  std::vector<int64_t> prefix;              ///< the start token
  std::vector<int64_t> suffix;              ///< what follows a name: ".", end token
  std::vector<int64_t> initial_words;       ///< of the context; may be empty
};

/// Tokenizes category names with anything that has `encode(text)`, `start_id()` and
/// `end_id()`, such as `clip::Tokenizer`.
/// ```
/// auto tokens = tokenize_classnames(tokenizer, {"cat", "traffic light"}, "a photo of
/// a");
/// ```
template <typename Tokenizer>
TokenizedClassnames tokenize_classnames(
    const Tokenizer& tokenizer,
    const std::vector<std::string>& classnames,
    const std::string& initial_words = "") {
  TokenizedClassnames tokens;
  for (const std::string& name : classnames) {
    tokens.names.push_back(tokenizer.encode(name));
    TORCH_CHECK_VALUE(
        !tokens.names.back().empty(),
        "tokenize_classnames: expected a category name with at least one token, got \"",
        name,
        "\"");
  }
  tokens.prefix = {tokenizer.start_id()};
  tokens.suffix = tokenizer.encode(".");
  tokens.suffix.push_back(tokenizer.end_id());
  tokens.initial_words = tokenizer.encode(initial_words);
  return tokens;
}

/// Looks the tokens up in a text tower: what `PromptLearner` needs. No gradient.
inline ClassnameEmbeddings embed_classnames(
    clip::TextTransformer& tower,
    const TokenizedClassnames& tokens) {
  const torch::NoGradGuard no_grad;
  const at::Device device = tower->parameters().front().device();
  const auto embed = [&](const std::vector<int64_t>& ids) {
    const at::Tensor row = at::tensor(ids, at::kLong).unsqueeze(0).to(device);
    return tower->embed(row).squeeze(0);  // [n, w]
  };
  std::vector<at::Tensor> names;
  for (const auto& ids : tokens.names) {
    names.push_back(embed(ids));
  }
  ClassnameEmbeddings embeddings =
      pack_classnames(embed(tokens.prefix), names, embed(tokens.suffix));
  if (!tokens.initial_words.empty()) {
    embeddings.initial_ctx = embed(tokens.initial_words);
  }
  return embeddings;
}

/// The frozen text features T [C, D] of the categories: normalised features of whole
/// sentences, "a photo of a {name}.". Category queries start from them, and
/// pseudo-labels are estimated with them ([O], docs/method.md). No gradient.
///
/// `tokenizer`: anything with `tokenize(texts, length)` -> int64 [n, length], such as
/// `clip::Tokenizer`, whose errors on names that are too long come through.
/// ```
/// at::Tensor text = frozen_text_features(clip->text, tokenizer, {"cat", "dog"});
/// ```
template <typename Tokenizer>
at::Tensor frozen_text_features(
    clip::TextTransformer& tower,
    const Tokenizer& tokenizer,
    const std::vector<std::string>& classnames,
    const std::string& before = "a photo of a ",
    const std::string& after = ".") {
  constexpr size_t kTextsAtOnce = 256;
  const torch::NoGradGuard no_grad;
  const at::Device device = tower->parameters().front().device();
  std::vector<at::Tensor> features;
  for (size_t first = 0; first < classnames.size(); first += kTextsAtOnce) {
    const size_t last = std::min(classnames.size(), first + kTextsAtOnce);
    std::vector<std::string> texts;
    for (size_t i = first; i < last; ++i) {
      texts.push_back(before + classnames[i] + after);
    }
    const at::Tensor ids =
        tokenizer.tokenize(texts, tower->options.context_length()).to(device);
    features.push_back(tower->forward(ids).to(at::kFloat));
  }
  TORCH_CHECK_VALUE(
      !features.empty(),
      "frozen_text_features: expected at least one category name, got none");
  return functional::l2_normalise(at::cat(features));
}

}  // namespace trmml
