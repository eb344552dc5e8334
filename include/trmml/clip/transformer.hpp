#pragma once

#include "trmml/clip/initial_values.hpp"
#include "trmml/core/check.hpp"

#include <torch/nn/cloneable.h>
#include <torch/nn/functional/linear.h>
#include <torch/nn/init.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>
#include <torch/nn/pimpl.h>
#include <torch/types.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <ostream>

// The transformer that CLIP's text tower and its vision transformer share.

namespace trmml::clip {

/// x * sigmoid(1.702 x), the approximation of GELU that OpenAI's weights were trained
/// with. Any shape; differentiable. (By SiLU, which remembers one tensor for backward()
/// and not two.)
inline torch::Tensor quick_gelu(const torch::Tensor& x) {
  return torch::silu(1.702 * x) * (1 / 1.702);
}

/// Multi-head self-attention with one fused input projection, named as in PyTorch
/// (`in_proj_weight`, `in_proj_bias`, `out_proj`).
///
/// Shapes (n sequences, L tokens, w width, Q queries): see each method. A mask is added
/// to the scores: 0 keeps, minus infinity hides; undefined keeps all.
class AttentionImpl : public torch::nn::Cloneable<AttentionImpl> {
 public:
  AttentionImpl(int64_t width, int64_t heads) : width_(width), heads_(heads) {
    reset();
  }

  void reset() override;
  /// As PyTorch starts: Xavier-uniform input projection, zero biases.
  void reset_parameters();
  void pretty_print(std::ostream& stream) const override;

  /// [n, L, w], mask [L, L] or undefined -> [n, L, w].
  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& mask);

  /// The same for chosen queries only: keys and values from `x` [n, L, w], queries from
  /// `rows` [n, w], one a sequence; mask [n, L] or undefined -> [n, w].
  torch::Tensor forward_rows(
      const torch::Tensor& x,
      const torch::Tensor& rows,
      const torch::Tensor& mask);

  /// The value path alone, token by token: out_proj(W_v x + b_v). [.., w] -> [.., w].
  torch::Tensor values_only(const torch::Tensor& x);

  /// Input projection of parts `first` to `last` of (query 0, key 1, value 2):
  /// [.., w] -> [.., (last - first + 1) * w].
  torch::Tensor project(const torch::Tensor& x, int64_t first, int64_t last);

  /// softmax(q k' / sqrt(d) + mask) v: q [m, Q, d], k and v [m, L, d], mask [Q, L] or
  /// [m, Q, L] or undefined -> [m, Q, d].
  torch::Tensor attend(
      const torch::Tensor& q,
      const torch::Tensor& k,
      const torch::Tensor& v,
      const torch::Tensor& mask) const;

  int64_t heads() const { return heads_; }

  torch::Tensor in_proj_weight;  ///< [3 w, w]: queries, keys, values
  torch::Tensor in_proj_bias;    ///< [3 w]
  torch::nn::Linear out_proj{nullptr};

 private:
  int64_t width_;
  int64_t heads_;
};

TORCH_MODULE(Attention);

/// Two linear layers, four times the width between them, with QuickGELU or GELU.
/// [.., w] -> [.., w].
class MlpImpl : public torch::nn::Cloneable<MlpImpl> {
 public:
  MlpImpl(int64_t width, bool use_quick_gelu)
      : width_(width), use_quick_gelu_(use_quick_gelu) {
    reset();
  }

  void reset() override;
  void reset_parameters();
  void pretty_print(std::ostream& stream) const override;
  torch::Tensor forward(const torch::Tensor& x);

  torch::nn::Linear c_fc{nullptr}, c_proj{nullptr};

 private:
  int64_t width_;
  bool use_quick_gelu_;
};

TORCH_MODULE(Mlp);

/// One block: x + attention(ln_1(x)), then x + mlp(ln_2(x)).
class ResidualAttentionBlockImpl
    : public torch::nn::Cloneable<ResidualAttentionBlockImpl> {
 public:
  ResidualAttentionBlockImpl(int64_t width, int64_t heads, bool use_quick_gelu)
      : width_(width), heads_(heads), use_quick_gelu_(use_quick_gelu) {
    reset();
  }

  void reset() override;
  void reset_parameters();
  void pretty_print(std::ostream& stream) const override;

  /// [n, L, w], mask [L, L] or undefined -> [n, L, w].
  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& mask);

  /// Only token `position` [n] (int64) of every sequence: [n, L, w] -> [n, w]. With
  /// `causal`, later tokens are hidden from it. Equal to those rows of `forward`.
  torch::Tensor
  forward_rows(const torch::Tensor& x, const torch::Tensor& position, bool causal);

  torch::nn::LayerNorm ln_1{nullptr}, ln_2{nullptr};
  Attention attn{nullptr};
  Mlp mlp{nullptr};

 private:
  int64_t width_;
  int64_t heads_;
  bool use_quick_gelu_;
};

TORCH_MODULE(ResidualAttentionBlock);

/// A stack of blocks, named `resblocks`.
class TransformerImpl : public torch::nn::Cloneable<TransformerImpl> {
 public:
  TransformerImpl(int64_t width, int64_t layers, int64_t heads, bool use_quick_gelu)
      : width_(width), layers_(layers), heads_(heads), use_quick_gelu_(use_quick_gelu) {
    reset();
  }

  void reset() override;
  void reset_parameters();
  void pretty_print(std::ostream& stream) const override;

  /// All blocks but the last: [n, L, w], mask [L, L] or undefined -> [n, L, w].
  torch::Tensor forward_but_last(torch::Tensor x, const torch::Tensor& mask);

  ResidualAttentionBlockImpl& block(int64_t i) {
    return *resblocks[static_cast<size_t>(i)]->as<ResidualAttentionBlockImpl>();
  }
  ResidualAttentionBlockImpl& last() { return block(layers_ - 1); }
  int64_t layers() const { return layers_; }

  torch::nn::ModuleList resblocks{nullptr};

 private:
  int64_t width_;
  int64_t layers_;
  int64_t heads_;
  bool use_quick_gelu_;
};

TORCH_MODULE(Transformer);

// ---------------------------------------------------------------------------------
// Bodies

namespace detail {

/// [n, L, k * w] -> k tensors' heads side by side: [k, n * heads, L, d].
inline torch::Tensor split_heads(const torch::Tensor& x, int64_t parts, int64_t heads) {
  const int64_t n = x.size(0);
  const int64_t length = x.size(1);
  const int64_t d = x.size(2) / (parts * heads);
  return x.reshape({n, length, parts, heads, d})
      .permute({2, 0, 3, 1, 4})
      .reshape({parts, n * heads, length, d});
}

/// [n * heads, L, d] -> [n, L, heads * d].
inline torch::Tensor merge_heads(const torch::Tensor& x, int64_t heads) {
  const int64_t n = x.size(0) / heads;
  return x.reshape({n, heads, x.size(1), x.size(2)})
      .transpose(1, 2)
      .reshape({n, x.size(1), heads * x.size(2)});
}

/// [L, L]: minus infinity above the diagonal, 0 elsewhere.
inline torch::Tensor causal_mask(int64_t length, const torch::TensorOptions& options) {
  return torch::full(
             {length, length}, -std::numeric_limits<double>::infinity(), options)
      .triu_(1);
}

}  // namespace detail

inline void AttentionImpl::reset() {
  in_proj_weight =
      register_parameter("in_proj_weight", torch::empty({3 * width_, width_}));
  in_proj_bias = register_parameter("in_proj_bias", torch::empty({3 * width_}));
  out_proj = register_module("out_proj", detail::make_linear(width_, width_));
  reset_parameters();
}

inline void AttentionImpl::reset_parameters() {
  if (SkipInitialValues::active()) {
    return;
  }
  torch::nn::init::xavier_uniform_(in_proj_weight);
  torch::nn::init::zeros_(in_proj_bias);
  out_proj->reset_parameters();
  torch::nn::init::zeros_(out_proj->bias);
}

inline void AttentionImpl::pretty_print(std::ostream& stream) const {
  stream << "trmml::clip::Attention(width=" << width_ << ", heads=" << heads_ << ")";
}

inline torch::Tensor
AttentionImpl::project(const torch::Tensor& x, int64_t first, int64_t last) {
  const int64_t from = first * width_;
  const int64_t to = (last + 1) * width_;
  return torch::nn::functional::linear(
      x, in_proj_weight.slice(0, from, to), in_proj_bias.slice(0, from, to));
}

inline torch::Tensor AttentionImpl::attend(
    const torch::Tensor& q,
    const torch::Tensor& k,
    const torch::Tensor& v,
    const torch::Tensor& mask) const {
  const double scale = 1.0 / std::sqrt(static_cast<double>(q.size(-1)));
  const torch::Tensor keys = k.transpose(1, 2);
  const torch::Tensor scores =
      mask.defined() ? torch::baddbmm(mask, q, keys, /*beta=*/1, /*alpha=*/scale)
                     : torch::bmm(q * scale, keys);  // [m, Q, L]
  return torch::bmm(torch::softmax(scores, -1), v);  // [m, Q, d]
}

inline torch::Tensor AttentionImpl::forward(
    const torch::Tensor& x,
    const torch::Tensor& mask) {
  const torch::Tensor qkv = detail::split_heads(project(x, 0, 2), 3, heads_);
  return out_proj(detail::merge_heads(attend(qkv[0], qkv[1], qkv[2], mask), heads_));
}

inline torch::Tensor AttentionImpl::forward_rows(
    const torch::Tensor& x,
    const torch::Tensor& rows,
    const torch::Tensor& mask) {
  const torch::Tensor q =
      detail::split_heads(project(rows, 0, 0).unsqueeze(1), 1, heads_)[0];
  const torch::Tensor kv = detail::split_heads(project(x, 1, 2), 2, heads_);
  const torch::Tensor per_head =
      mask.defined() ? mask.repeat_interleave(heads_, 0).unsqueeze(1) : mask;
  const torch::Tensor out = attend(q, kv[0], kv[1], per_head);  // [n * heads, 1, d]
  return out_proj(detail::merge_heads(out, heads_).squeeze(1));
}

inline torch::Tensor AttentionImpl::values_only(const torch::Tensor& x) {
  return out_proj(project(x, 2, 2));
}

inline void MlpImpl::reset() {
  c_fc = register_module("c_fc", detail::make_linear(width_, 4 * width_));
  c_proj = register_module("c_proj", detail::make_linear(4 * width_, width_));
}

inline void MlpImpl::reset_parameters() {
  c_fc->reset_parameters();
  c_proj->reset_parameters();
}

inline void MlpImpl::pretty_print(std::ostream& stream) const {
  stream << "trmml::clip::Mlp(width=" << width_ << ", "
         << (use_quick_gelu_ ? "QuickGELU" : "GELU") << ")";
}

inline torch::Tensor MlpImpl::forward(const torch::Tensor& x) {
  const torch::Tensor hidden = c_fc(x);
  return c_proj(use_quick_gelu_ ? quick_gelu(hidden) : torch::gelu(hidden));
}

inline void ResidualAttentionBlockImpl::reset() {
  attn = register_module("attn", Attention(width_, heads_));
  ln_1 = register_module(
      "ln_1", torch::nn::LayerNorm(torch::nn::LayerNormOptions({width_})));
  mlp = register_module("mlp", Mlp(width_, use_quick_gelu_));
  ln_2 = register_module(
      "ln_2", torch::nn::LayerNorm(torch::nn::LayerNormOptions({width_})));
}

inline void ResidualAttentionBlockImpl::reset_parameters() {
  ln_1->reset_parameters();
  attn->reset_parameters();
  ln_2->reset_parameters();
  mlp->reset_parameters();
}

inline void ResidualAttentionBlockImpl::pretty_print(std::ostream& stream) const {
  stream << "trmml::clip::ResidualAttentionBlock(width=" << width_
         << ", heads=" << heads_ << ")";
}

inline torch::Tensor ResidualAttentionBlockImpl::forward(
    const torch::Tensor& x,
    const torch::Tensor& mask) {
  const torch::Tensor y = x + attn->forward(ln_1(x), mask);
  return y + mlp(ln_2(y));
}

inline torch::Tensor ResidualAttentionBlockImpl::forward_rows(
    const torch::Tensor& x,
    const torch::Tensor& position,
    bool causal) {
  const int64_t n = x.size(0);
  const int64_t length = x.size(1);
  const torch::Tensor flat = torch::arange(n, position.options()) * length + position;
  const torch::Tensor h = ln_1(x);
  torch::Tensor mask;
  if (causal) {
    const torch::Tensor hidden =
        torch::arange(length, position.options()) > position.unsqueeze(1);  // [n, L]
    mask = torch::zeros({n, length}, x.options().requires_grad(false))
               .masked_fill_(hidden, -std::numeric_limits<double>::infinity());
  }
  const torch::Tensor y =
      x.flatten(0, 1).index_select(0, flat) +
      attn->forward_rows(h, h.flatten(0, 1).index_select(0, flat), mask);
  return y + mlp(ln_2(y));  // [n, w]
}

inline void TransformerImpl::reset() {
  torch::nn::ModuleList blocks;
  for (int64_t i = 0; i < layers_; ++i) {
    blocks->push_back(ResidualAttentionBlock(width_, heads_, use_quick_gelu_));
  }
  resblocks = register_module("resblocks", blocks);
}

inline void TransformerImpl::reset_parameters() {
  for (int64_t i = 0; i < layers_; ++i) {
    block(i).reset_parameters();
  }
}

inline void TransformerImpl::pretty_print(std::ostream& stream) const {
  stream << "trmml::clip::Transformer(width=" << width_ << ", layers=" << layers_
         << ", heads=" << heads_ << ")";
}

inline torch::Tensor TransformerImpl::forward_but_last(
    torch::Tensor x,
    const torch::Tensor& mask) {
  for (int64_t i = 0; i + 1 < layers_; ++i) {
    x = block(i).forward(x, mask);
  }
  return x;
}

}  // namespace trmml::clip
