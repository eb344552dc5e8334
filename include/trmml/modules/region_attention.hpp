#pragma once

#include "trmml/functional/region_matching.hpp"
#include "trmml/modules/region_matcher_options.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/functional/linear.h>
#include <torch/nn/modules/dropout.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>
#include <torch/nn/pimpl.h>

#include <cmath>
#include <cstdint>

// Parts of `RegionMatcher`: its attention, and the layer of its decoder.

namespace trmml {

/// Projections of an attention: D -> d for queries, keys and values, d -> D behind it.
/// A part of `RegionMatcher`.
class AttentionProjectionsImpl : public torch::nn::Cloneable<AttentionProjectionsImpl> {
 public:
  AttentionProjectionsImpl(int64_t embed_dim, int64_t attn_dim, int64_t heads)
      : embed_dim_(embed_dim), attn_dim_(attn_dim), heads_(heads) {
    AttentionProjectionsImpl::reset();
  }

  void reset() override {
    using torch::nn::Linear;
    query_proj = register_module("query_proj", Linear(embed_dim_, attn_dim_));
    key_proj = register_module("key_proj", Linear(embed_dim_, attn_dim_));
    value_proj = register_module("value_proj", Linear(embed_dim_, attn_dim_));
    output_proj = register_module("output_proj", Linear(attn_dim_, embed_dim_));
  }

  /// Attention weights [B, h, C, R] of queries [C, D] or [B, C, D] over keys [B, R, d].
  at::Tensor weights(const at::Tensor& queries, const at::Tensor& keys) {
    return functional::region_attention(query_proj->forward(queries), keys, heads_);
  }

  /// What the weights collect from values [B, R, d]: [B, C, D].
  at::Tensor collect(const at::Tensor& weights, const at::Tensor& values) {
    return output_proj->forward(functional::attended_values(weights, values));
  }

  /// `weights(queries, key_proj(norm(x)))` with one head, without the keys: for regions
  /// behind a layer norm that has not scaled and shifted them yet, [B, R, D]. The
  /// queries [C, D] take up the projection of the keys and the scale; all else is the
  /// same for every region, and the softmax does not see it.
  at::Tensor weights_of_normed(
      const at::Tensor& queries,
      const at::Tensor& normed,
      const torch::nn::LayerNormImpl& norm) {
    const double scale =
        std::sqrt(static_cast<double>(embed_dim_) / static_cast<double>(attn_dim_));
    const at::Tensor folded =
        query_proj->forward(queries).matmul(key_proj->weight) * (norm.weight * scale);
    return functional::region_attention(folded, normed);  // [B, 1, C, R]
  }

  /// `collect(weights, value_proj(norm(x)))` with one head, without the values: what
  /// the weights collect from the normed regions passes one matrix, as the weights add
  /// up to one.
  at::Tensor collect_from_normed(
      const at::Tensor& weights,
      const at::Tensor& normed,
      const torch::nn::LayerNormImpl& norm) {
    const at::Tensor matrix = output_proj->weight.matmul(value_proj->weight);  // [D, D]
    const at::Tensor shift = output_proj->forward(value_proj->forward(norm.bias));
    return torch::nn::functional::linear(
        functional::attended_values(weights, normed), matrix * norm.weight, shift);
  }

  torch::nn::Linear query_proj{nullptr};
  torch::nn::Linear key_proj{nullptr};
  torch::nn::Linear value_proj{nullptr};
  torch::nn::Linear output_proj{nullptr};

 private:
  int64_t embed_dim_;
  int64_t attn_dim_;
  int64_t heads_;
};

TORCH_MODULE(AttentionProjections);

/// One layer of the decoder that `RegionMatcherOptions::layers` asks for. Ours:
///   x = x + SelfAttention(LN(x)),  x = x + CrossAttention(LN(x), V),  x = x +
///   MLP(LN(x))
/// A part of `RegionMatcher`.
class RegionDecoderLayerImpl : public torch::nn::Cloneable<RegionDecoderLayerImpl> {
 public:
  explicit RegionDecoderLayerImpl(const RegionMatcherOptions& options_)
      : options(options_) {
    RegionDecoderLayerImpl::reset();
  }

  void reset() override;

  /// queries [B, C, D] and regions [B, R, D] behind the shared layer norm -> queries
  /// [B, C, D]; the weights [B, h, C, R] of the cross-attention go to `weights`.
  at::Tensor
  forward(const at::Tensor& queries, const at::Tensor& regions, at::Tensor& weights);

  RegionMatcherOptions options;
  AttentionProjections self_attention{nullptr};
  AttentionProjections cross_attention{nullptr};
  torch::nn::LayerNorm self_norm{nullptr};
  torch::nn::LayerNorm cross_norm{nullptr};
  torch::nn::LayerNorm mlp_norm{nullptr};
  torch::nn::Linear mlp_in{nullptr};
  torch::nn::Linear mlp_out{nullptr};
  torch::nn::Dropout dropout{nullptr};
};

TORCH_MODULE(RegionDecoderLayer);

inline void RegionDecoderLayerImpl::reset() {
  using torch::nn::LayerNormOptions;
  using torch::nn::Linear;
  const int64_t width = options.embed_dim();
  const auto projections = [&] {
    return AttentionProjections(width, options.attn_dim(), options.heads());
  };
  const auto norm = [&] { return torch::nn::LayerNorm(LayerNormOptions({width})); };
  self_attention = register_module("self_attention", projections());
  cross_attention = register_module("cross_attention", projections());
  self_norm = register_module("self_norm", norm());
  cross_norm = register_module("cross_norm", norm());
  mlp_norm = register_module("mlp_norm", norm());
  mlp_in = register_module("mlp_in", Linear(width, options.mlp_hidden()));
  mlp_out = register_module("mlp_out", Linear(options.mlp_hidden(), width));
  dropout = register_module("dropout", torch::nn::Dropout(options.dropout()));
}

inline at::Tensor RegionDecoderLayerImpl::forward(
    const at::Tensor& queries,
    const at::Tensor& regions,
    at::Tensor& weights) {
  at::Tensor x = queries;
  at::Tensor normed = self_norm->forward(x);
  const at::Tensor among = self_attention->weights(
      normed, self_attention->key_proj->forward(normed));  // [B, h, C, C]
  x = x + dropout->forward(self_attention->collect(
              among, self_attention->value_proj->forward(normed)));

  normed = cross_norm->forward(x);
  weights = cross_attention->weights(
      normed, cross_attention->key_proj->forward(regions));  // [B, h, C, R]
  x = x + dropout->forward(cross_attention->collect(
              weights, cross_attention->value_proj->forward(regions)));

  const at::Tensor hidden = mlp_in->forward(mlp_norm->forward(x)).relu();
  return x + dropout->forward(mlp_out->forward(dropout->forward(hidden)));
}

}  // namespace trmml
