#pragma once

#include "trmml/clip/initial_values.hpp"
#include "trmml/clip/prompt_layout.hpp"
#include "trmml/clip/transformer.hpp"
#include "trmml/core/check.hpp"
#include "trmml/core/recompute.hpp"
#include "trmml/functional/prompts.hpp"

#include <torch/arg.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/init.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/normalization.h>
#include <torch/nn/pimpl.h>
#include <torch/types.h>

#include <cmath>
#include <cstdint>
#include <ostream>
#include <string_view>
#include <vector>

namespace trmml::clip {

/// Options for `TextTransformer`. The defaults are those of CLIP's RN50 and ViT-B (with
/// `embed_dim` 1024 and 512).
struct TextTransformerOptions {
  /*implicit*/ TextTransformerOptions(int64_t embed_dim) : embed_dim_(embed_dim) {}

  /// Width D of the joint image-text embedding. Positive.
  TORCH_ARG(int64_t, embed_dim);

  /// Token ids are 0 .. vocab_size - 1. Default 49408.
  TORCH_ARG(int64_t, vocab_size) = 49408;

  /// Tokens of the longest text, start and end included. Default 77.
  TORCH_ARG(int64_t, context_length) = 77;

  /// Width w of a token. Default 512.
  TORCH_ARG(int64_t, width) = 512;

  /// Attention heads; divides width. CLIP: width / 64. Default 8.
  TORCH_ARG(int64_t, heads) = 8;

  /// Blocks, at least one. Default 12.
  TORCH_ARG(int64_t, layers) = 12;

  /// QuickGELU (OpenAI's weights) instead of GELU. Default true.
  TORCH_ARG(bool, quick_gelu) = true;

  /// Tokens of prompts that are encoded at a time, all prompts together, > 0. Where
  /// there are more, backward() encodes each chunk of categories once more and
  /// remembers nothing but its embeddings: memory does not grow with the categories.
  /// Default 4096 (2 GB with 12 layers of width 512).
  TORCH_ARG(int64_t, chunk_tokens) = 4096;
};

/// Throws `c10::ValueError` unless the options describe a network.
inline void check_options(const TextTransformerOptions& options) {
  constexpr auto kWhere = "TextTransformerOptions";
  const auto positive = [&](const char* name, int64_t value) {
    TORCH_CHECK_VALUE(value > 0, kWhere, ": expected ", name, " above 0, got ", value);
  };
  positive("embed_dim", options.embed_dim());
  positive("vocab_size", options.vocab_size());
  positive("context_length", options.context_length());
  positive("width", options.width());
  positive("heads", options.heads());
  positive("layers", options.layers());
  positive("chunk_tokens", options.chunk_tokens());
  TORCH_CHECK_VALUE(
      options.width() % options.heads() == 0,
      kWhere,
      ": expected heads that divide width ",
      options.width(),
      ", got ",
      options.heads());
}

/// CLIP's text tower: a causal transformer, read off at the end token. Names of
/// parameters are those of OpenAI's state dict.
///
/// Because attention is causal, nothing behind an end token matters: it is not
/// computed. Texts of different lengths are packed, not padded, and the last block
/// works for the end tokens only. All of this is exact.
///
/// Shapes (n texts, L tokens, w = `options.width()`, D = `options.embed_dim()`): see
/// the methods. Gradients reach the embeddings given and the parameters. No state
/// changes; random numbers: initial values only. Outputs are not normalised.
///
/// Example:
/// ```
/// clip::TextTransformer tower(clip::TextTransformerOptions(512));
/// torch::Tensor text_features = tower->forward(tokenizer.tokenize(texts, 77));
/// ```
class TextTransformerImpl : public torch::nn::Cloneable<TextTransformerImpl> {
 public:
  explicit TextTransformerImpl(const TextTransformerOptions& options_)
      : options(options_) {
    check_options(options);
    reset();
  }

  void reset() override;
  /// Initial values as CLIP's.
  void reset_parameters();
  void pretty_print(std::ostream& stream) const override;

  /// Token ids [n, L] (int64) -> [n, D]. The end token is the largest id of each text.
  /// Throws `c10::ValueError` (shape, length), `c10::TypeError` (other integers) or
  /// `c10::IndexError` (ids outside of the vocabulary).
  torch::Tensor forward(const torch::Tensor& ids);

  /// Prompts (token embeddings, see `trmml::Prompts`) -> [P, C, D]: the same numbers
  /// and gradients as `forward_embeddings` of the padded prompts, for much less work.
  /// Other floating types are converted to that of the weights.
  /// The tokens that all categories share are computed once a prompt, each category
  /// adds its own, unpadded, and the last block works for the end tokens only. Many
  /// categories are encoded in chunks, see `TextTransformerOptions::chunk_tokens`.
  /// Throws `c10::ValueError` (shapes; a category without tokens; a text that is longer
  /// than context_length).
  torch::Tensor forward(const Prompts& prompts);

  /// Token embeddings [n, L, w], without positions, and the position of each end token
  /// [n] (int64) -> [n, D]. The textbook path: padded, and masked only to be causal.
  torch::Tensor forward_embeddings(
      const torch::Tensor& embeddings,
      const torch::Tensor& end_positions);

  /// Token ids of any shape (int64) -> their embeddings [.., w].
  torch::Tensor embed(const torch::Tensor& ids);

  /// The options this module was built with.
  TextTransformerOptions options;

  torch::Tensor positional_embedding;  ///< [context_length, w]
  torch::Tensor text_projection;       ///< [w, D]
  torch::nn::Embedding token_embedding{nullptr};
  Transformer transformer{nullptr};
  torch::nn::LayerNorm ln_final{nullptr};

 private:
  torch::Tensor project(const torch::Tensor& end_tokens);
  void check_ids(const torch::Tensor& ids, std::string_view where) const;
  void check_prompts(const Prompts& prompts) const;
  torch::Tensor encode(const Prompts& prompts);
  torch::Tensor encode_chunks(const Prompts& prompts);
  torch::Tensor prompt_block(
      ResidualAttentionBlockImpl& block,
      const torch::Tensor& x,
      const detail::PromptLayout& layout,
      const torch::Tensor& common_mask,
      const torch::Tensor& own_mask);
  torch::Tensor last_prompt_block(
      ResidualAttentionBlockImpl& block,
      const torch::Tensor& x,
      const detail::PromptLayout& layout,
      const torch::Tensor& end_mask);
};

TORCH_MODULE(TextTransformer);

// ---------------------------------------------------------------------------------
// Bodies

inline void TextTransformerImpl::reset() {
  const int64_t width = options.width();
  positional_embedding = register_parameter(
      "positional_embedding", torch::empty({options.context_length(), width}));
  text_projection =
      register_parameter("text_projection", torch::empty({width, options.embed_dim()}));
  transformer = register_module(
      "transformer",
      Transformer(width, options.layers(), options.heads(), options.quick_gelu()));
  token_embedding = register_module(
      "token_embedding", detail::make_embedding(options.vocab_size(), width));
  ln_final = register_module(
      "ln_final", torch::nn::LayerNorm(torch::nn::LayerNormOptions({width})));
  reset_parameters();
}

inline void TextTransformerImpl::reset_parameters() {
  if (SkipInitialValues::active()) {
    return;
  }
  using torch::nn::init::normal_;
  const double width = static_cast<double>(options.width());
  const double depth = static_cast<double>(options.layers());
  const double attention_std = 1.0 / std::sqrt(width);
  const double projection_std = attention_std / std::sqrt(2.0 * depth);
  transformer->reset_parameters();
  ln_final->reset_parameters();
  normal_(token_embedding->weight, 0.0, 0.02);
  normal_(positional_embedding, 0.0, 0.01);
  for (int64_t i = 0; i < transformer->layers(); ++i) {
    auto& block = transformer->block(i);
    normal_(block.attn->in_proj_weight, 0.0, attention_std);
    normal_(block.attn->out_proj->weight, 0.0, projection_std);
    normal_(block.mlp->c_fc->weight, 0.0, 1.0 / std::sqrt(2.0 * width));
    normal_(block.mlp->c_proj->weight, 0.0, projection_std);
  }
  normal_(text_projection, 0.0, attention_std);
}

inline void TextTransformerImpl::pretty_print(std::ostream& stream) const {
  stream << "trmml::clip::TextTransformer(embed_dim=" << options.embed_dim()
         << ", vocab_size=" << options.vocab_size()
         << ", context_length=" << options.context_length()
         << ", width=" << options.width() << ", heads=" << options.heads()
         << ", layers=" << options.layers() << ")";
}

inline torch::Tensor TextTransformerImpl::embed(const torch::Tensor& ids) {
  check_ids(ids, "TextTransformer::embed");
  return token_embedding(ids);
}

inline void TextTransformerImpl::check_ids(
    const torch::Tensor& ids,
    std::string_view where) const {
  TORCH_CHECK_VALUE(ids.defined(), where, ": expected ids, got an undefined tensor");
  TORCH_CHECK_TYPE(
      ids.scalar_type() == torch::kLong,
      where,
      ": expected ids of type Long, got ",
      toString(ids.scalar_type()));
  if (ids.numel() == 0) {
    return;
  }
  const int64_t lowest = ids.min().item<int64_t>();
  const int64_t highest = ids.max().item<int64_t>();
  TORCH_CHECK_INDEX(
      lowest >= 0 && highest < options.vocab_size(),
      where,
      ": expected ids in 0 .. ",
      options.vocab_size() - 1,
      ", got ",
      lowest < 0 ? lowest : highest,
      " (do tokenizer and weights belong together?)");
}

inline torch::Tensor TextTransformerImpl::forward(const torch::Tensor& ids) {
  constexpr auto kWhere = "TextTransformer::forward";
  check_shape(ids, {kAnySize, kAnySize}, kWhere, "ids");
  TORCH_CHECK_VALUE(
      ids.size(1) >= 1 && ids.size(1) <= options.context_length(),
      kWhere,
      ": expected ids of 1 to ",
      options.context_length(),
      " tokens (context_length), got ",
      ids.size(1));
  check_ids(ids, kWhere);
  if (ids.size(0) == 0) {
    return text_projection.new_zeros({0, options.embed_dim()});
  }
  const torch::Tensor end = ids.argmax(1);  // [n]
  const torch::Tensor used =
      torch::arange(ids.size(1), ids.options()).le(end.unsqueeze(1));  // [n, L]
  const torch::Tensor ends = (end + 1).cumsum(0).cpu();
  Prompts texts;  // each text is a category with nothing in common with the others
  texts.common = positional_embedding.new_empty({1, 0, options.width()});
  texts.own = token_embedding(ids.masked_select(used));  // [T, w]
  texts.offsets.push_back(0);
  texts.offsets.insert(
      texts.offsets.end(),
      ends.data_ptr<int64_t>(),
      ends.data_ptr<int64_t>() + ends.numel());
  return forward(texts).squeeze(0);  // [n, D]
}

inline torch::Tensor TextTransformerImpl::forward_embeddings(
    const torch::Tensor& embeddings,
    const torch::Tensor& end_positions) {
  constexpr auto kWhere = "TextTransformer::forward_embeddings";
  check_shape(embeddings, {kAnySize, kAnySize, options.width()}, kWhere, "embeddings");
  check_shape(end_positions, {embeddings.size(0)}, kWhere, "end_positions");
  if (embeddings.size(0) == 0) {
    return text_projection.new_zeros({0, options.embed_dim()});
  }
  const int64_t length = end_positions.max().item<int64_t>() + 1;
  TORCH_CHECK_VALUE(
      end_positions.min().item<int64_t>() >= 0 && length <= embeddings.size(1),
      kWhere,
      ": expected end_positions in 0 .. ",
      embeddings.size(1) - 1,
      ", got ",
      length - 1);
  TORCH_CHECK_VALUE(
      length <= options.context_length(),
      kWhere,
      ": expected texts of at most ",
      options.context_length(),
      " tokens (context_length), got ",
      length);
  torch::Tensor x =
      embeddings.slice(1, 0, length) + positional_embedding.slice(0, 0, length);
  const torch::Tensor mask =
      detail::causal_mask(length, x.options().requires_grad(false));
  x = transformer->forward_but_last(x, mask);  // [n, L, w]
  return project(transformer->last().forward_rows(x, end_positions, /*causal=*/true));
}

namespace detail {

/// Rows of packed tokens [P, N, k * w] in their slots, by heads: [k, P * heads * G, Q,
/// d].
inline torch::Tensor gather_heads(
    const torch::Tensor& packed,
    const PromptSlots& slots,
    int64_t parts,
    int64_t heads) {
  const int64_t n_prompts = packed.size(0);
  const int64_t groups = slots.category.size(0);
  const int64_t d = packed.size(2) / (parts * heads);
  return packed.index_select(1, slots.from)
      .view({n_prompts, groups, slots.per_group, parts, heads, d})
      .permute({3, 0, 4, 1, 2, 5})
      .reshape({parts, n_prompts * heads * groups, slots.per_group, d});
}

/// The way back: [P * heads * G, Q, d] -> [P, rows, w].
inline torch::Tensor scatter_heads(
    const torch::Tensor& x,
    const PromptSlots& slots,
    int64_t n_prompts,
    int64_t heads) {
  const int64_t groups = slots.category.size(0);
  return x.reshape({n_prompts, heads, groups * slots.per_group, x.size(2)})
      .transpose(1, 2)
      .reshape({n_prompts, groups * slots.per_group, heads * x.size(2)})
      .index_select(1, slots.back);
}

/// Attention of own tokens to the common tokens and to those of their own category.
///
/// Shapes: queries [P, N, w] packed as `slots` says; keys and values, the common ones
/// [2, P * heads, S, d], the own ones [2, P * heads * G, K, d]; mask [G, Q, S + K].
/// Returns [P, N, w].
inline torch::Tensor attend_own(
    const torch::Tensor& queries,
    const torch::Tensor& common,
    const torch::Tensor& own,
    const torch::Tensor& mask,
    const PromptSlots& slots,
    int64_t heads) {
  const int64_t n_common = common.size(2);
  const int64_t groups = mask.size(0);
  const int64_t d = own.size(3);
  const double scale = 1.0 / std::sqrt(static_cast<double>(d));
  const torch::Tensor q =
      gather_heads(queries * scale, slots, 1, heads)[0];  // [P * heads * G, Q, d]
  const torch::Tensor q_all = q.view({-1, groups * slots.per_group, d});
  torch::Tensor scores = torch::bmm(q, own[0].transpose(1, 2));  // [.., Q, K]
  if (n_common > 0) {
    const torch::Tensor shared = torch::bmm(q_all, common[0].transpose(1, 2));
    scores = torch::cat({shared.view({-1, slots.per_group, n_common}), scores}, 2);
  }
  scores = scores.view({-1, groups, slots.per_group, mask.size(2)}) + mask;
  const torch::Tensor weights = torch::softmax(scores, -1).flatten(0, 1);
  torch::Tensor out = torch::bmm(weights.slice(2, n_common), own[1]);
  if (n_common > 0) {
    const torch::Tensor shared =
        weights.slice(2, 0, n_common).reshape({-1, groups * slots.per_group, n_common});
    out = out + torch::bmm(shared, common[1]).view_as(out);
  }
  return scatter_heads(out, slots, queries.size(0), heads);
}

}  // namespace detail

inline void TextTransformerImpl::check_prompts(const Prompts& prompts) const {
  constexpr auto kWhere = "TextTransformer::forward";
  check_shape(
      prompts.common,
      {kAnySize, kAnySize, options.width()},
      kWhere,
      "common",
      "was the prompt learner made with another ctx_dim?");
  prompts.check(kWhere);
  for (int64_t c = 0; c < prompts.n_cls(); ++c) {
    TORCH_CHECK_VALUE(
        prompts.n_common() + prompts.own_length(c) <= options.context_length(),
        kWhere,
        ": expected prompts of at most ",
        options.context_length(),
        " tokens (context_length), got ",
        prompts.n_common() + prompts.own_length(c),
        " for category ",
        c,
        " (use fewer context tokens or a shorter name)");
  }
}

inline torch::Tensor TextTransformerImpl::forward(const Prompts& prompts) {
  check_prompts(prompts);
  const torch::Dtype type = positional_embedding.scalar_type();
  const Prompts typed = {
      prompts.common.to(type), prompts.own.to(type), prompts.offsets};
  const int64_t tokens = typed.n_prompts() * typed.own.size(-2);
  return tokens <= options.chunk_tokens() ? encode(typed) : encode_chunks(typed);
}

inline torch::Tensor TextTransformerImpl::encode_chunks(const Prompts& prompts) {
  const int64_t limit = options.chunk_tokens() / prompts.n_prompts();
  std::vector<std::vector<int64_t>> chunks;  // their offsets
  std::vector<int64_t> sizes;
  int64_t first = 0;
  for (int64_t c = 0; c < prompts.n_cls(); ++c) {
    const int64_t end = prompts.offsets[static_cast<size_t>(c) + 1];
    if (chunks.empty() || end - first > limit) {
      first = prompts.offsets[static_cast<size_t>(c)];
      chunks.push_back({0});
      sizes.push_back(0);
    }
    chunks.back().push_back(end - first);
    sizes.back() = end - first;
  }
  // The graph may outlive the handle of this module.
  const auto self = weak_from_this().lock();
  const auto own = prompts.own.split_with_sizes(sizes, -2);
  std::vector<torch::Tensor> features;
  for (size_t i = 0; i < chunks.size(); ++i) {
    const auto body =
        [this, self, offsets = chunks[i]](const std::vector<torch::Tensor>& in) {
          return std::vector<torch::Tensor>{encode({in[0], in[1], offsets})};
        };
    features.push_back(recompute(body, {prompts.common, own[i]}, parameters())[0]);
  }
  return torch::cat(features, 1);  // [P, C, D]
}

inline torch::Tensor TextTransformerImpl::encode(const Prompts& prompts) {
  const int64_t n_prompts = prompts.n_prompts();
  const int64_t n_common = prompts.n_common();
  const auto numbers = prompts.common.options().requires_grad(false);
  const detail::PromptLayout layout = detail::make_prompt_layout(prompts);
  const torch::Tensor own =
      prompts.own + positional_embedding.index_select(0, layout.own_positions);
  torch::Tensor x = torch::cat(
      {prompts.common + positional_embedding.slice(0, 0, n_common),
       own.expand({n_prompts, -1, -1})},
      1);  // [P, S + T, w]
  if (options.layers() > 1) {
    const torch::Tensor common_mask = detail::causal_mask(n_common, numbers);
    const torch::Tensor own_mask =
        detail::prompt_mask(layout.tokens, layout.tokens, n_common, numbers);
    for (int64_t i = 0; i + 1 < options.layers(); ++i) {
      x = prompt_block(transformer->block(i), x, layout, common_mask, own_mask);
    }
  }
  const torch::Tensor end_mask =
      detail::prompt_mask(layout.ends, layout.tokens, n_common, numbers);
  return project(last_prompt_block(transformer->last(), x, layout, end_mask));
}

inline torch::Tensor TextTransformerImpl::prompt_block(
    ResidualAttentionBlockImpl& block,
    const torch::Tensor& x,
    const detail::PromptLayout& layout,
    const torch::Tensor& common_mask,
    const torch::Tensor& own_mask) {
  const int64_t heads = options.heads();
  const int64_t n_common = common_mask.size(0);
  const torch::Tensor qkv = block.attn->project(block.ln_1(x), 0, 2);
  const torch::Tensor common =
      detail::split_heads(qkv.slice(1, 0, n_common), 3, heads);  // [3, P*heads, S, d]
  const torch::Tensor own = qkv.slice(1, n_common);              // [P, T, 3 w]
  torch::Tensor attended = detail::attend_own(
      own.slice(2, 0, options.width()),
      common.slice(0, 1),
      detail::gather_heads(own.slice(2, options.width()), layout.tokens, 2, heads),
      own_mask,
      layout.tokens,
      heads);  // [P, T, w]
  if (n_common > 0) {
    const torch::Tensor shared =
        block.attn->attend(common[0], common[1], common[2], common_mask);
    attended = torch::cat({detail::merge_heads(shared, heads), attended}, 1);
  }
  const torch::Tensor y = x + block.attn->out_proj(attended);
  return y + block.mlp(block.ln_2(y));  // [P, S + T, w]
}

inline torch::Tensor TextTransformerImpl::last_prompt_block(
    ResidualAttentionBlockImpl& block,
    const torch::Tensor& x,
    const detail::PromptLayout& layout,
    const torch::Tensor& end_mask) {
  const int64_t heads = options.heads();
  const int64_t n_common = end_mask.size(2) - layout.tokens.per_group;
  const torch::Tensor end_rows = layout.end_rows + n_common;  // [C]
  const torch::Tensor h = block.ln_1(x);
  const torch::Tensor kv = block.attn->project(h, 1, 2);  // [P, S + T, 2 w]
  const torch::Tensor attended = detail::attend_own(
      block.attn->project(h.index_select(1, end_rows), 0, 0),
      detail::split_heads(kv.slice(1, 0, n_common), 2, heads),
      detail::gather_heads(kv.slice(1, n_common), layout.tokens, 2, heads),
      end_mask,
      layout.ends,
      heads);
  const torch::Tensor y = x.index_select(1, end_rows) + block.attn->out_proj(attended);
  return y + block.mlp(block.ln_2(y));  // [P, C, w]
}

inline torch::Tensor TextTransformerImpl::project(const torch::Tensor& end_tokens) {
  return torch::matmul(ln_final(end_tokens), text_projection);
}

}  // namespace trmml::clip
