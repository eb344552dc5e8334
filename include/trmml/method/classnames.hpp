#pragma once

#include "trmml/clip/text_transformer.hpp"
#include "trmml/modules/prompt_learner.hpp"

#include <ATen/ops/tensor.h>

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
  const auto embed = [&tower](const std::vector<int64_t>& ids) {
    return tower->embed(at::tensor(ids, at::kLong).unsqueeze(0)).squeeze(0);  // [n, w]
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

}  // namespace trmml
