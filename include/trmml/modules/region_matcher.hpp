#pragma once

#include "trmml/core/check.hpp"
#include "trmml/core/recompute.hpp"
#include "trmml/functional/region_matching.hpp"
#include "trmml/functional/similarity.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <torch/arg.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/functional/linear.h>
#include <torch/nn/functional/normalization.h>
#include <torch/nn/init.h>
#include <torch/nn/modules/dropout.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>
#include <torch/nn/pimpl.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace trmml {

/// Where the category queries start.
enum class QueryInit {
  /// From the frozen text features that `RegionMatcher::set_queries` is given; before
  /// that call as kRandom.
  kText,
  /// N(0, 0.02).
  kRandom,
};

/// Where the projections of queries and keys start.
enum class AttentionInit {
  kRandom,    ///< as `torch::nn::Linear` draws them
  kIdentity,  ///< gain times identity (queries) and identity (keys), biases zero: the
              ///< saliency starts as a map of text-cell similarity
};

/// Options for `RegionMatcher`. Category queries, cross-attention and a simple MLP are
/// [S] stated by the paper's abstract and figure; all values are ours.
///
/// ```
/// RegionMatcherOptions options(80, 512);
/// options.logit_scale_init(20).category_chunk(1000);
/// ```
struct RegionMatcherOptions {
  RegionMatcherOptions(int64_t n_cls, int64_t embed_dim)
      : n_cls_(n_cls),
        embed_dim_(embed_dim),
        attn_dim_(embed_dim),
        mlp_hidden_(2 * embed_dim) {}

  /// C, number of categories, > 0.
  TORCH_ARG(int64_t, n_cls);

  /// D, width of the joint image-text embedding and of the queries, > 0.
  TORCH_ARG(int64_t, embed_dim);

  /// d, inner width of the attention, > 0 (default D, ours).
  TORCH_ARG(int64_t, attn_dim);

  /// Hidden width of the MLP (and of each decoder layer's), > 0 (default 2 D, ours).
  TORCH_ARG(int64_t, mlp_hidden);

  /// Attention heads, > 0, a divisor of d (default 1, ours).
  TORCH_ARG(int64_t, heads) = 1;

  /// Decoder layers, >= 0. 0 (default, ours): the one block of cross-attention. n > 0:
  /// a decoder of n layers (self-attention among the queries, cross-attention, MLP;
  /// each behind a layer norm); the saliency is the last layer's.
  TORCH_ARG(int64_t, layers) = 0;

  /// Start of the queries (default kText, ours).
  TORCH_ARG(QueryInit, query_init) = QueryInit::kText;

  /// Start of the attention's projections (default kRandom, ours: identity cost 3 mAP
  /// on FashionScenes). kIdentity needs attn_dim = embed_dim.
  TORCH_ARG(AttentionInit, attention_init) = AttentionInit::kRandom;

  /// Gain of kIdentity, > 0 (default 2, ours).
  TORCH_ARG(double, attention_gain) = 2.0;

  /// Adds the region feature to the MLP's output, whose last layer starts at zero: the
  /// query level starts equal to the region level (default false, ours).
  TORCH_ARG(bool, query_residual) = false;

  /// Dropout of hidden activations, in [0, 1) (default 0, ours).
  TORCH_ARG(double, dropout) = 0.0;

  /// Initial value of the logit scale s, > 0 (default 50, ours; 20 suits a small CLIP).
  TORCH_ARG(double, logit_scale_init) = 50.0;

  /// Categories processed at a time; 0 (default): so many that a chunk needs some
  /// hundred MB. With several chunks backward() computes each of them once more and
  /// remembers their inputs and outputs only. The results are the same to rounding. Not
  /// with decoder layers, whose self-attention joins all categories, nor recomputed
  /// while dropout draws.
  TORCH_ARG(int64_t, category_chunk) = 0;

  /// Whether forward returns the saliency; false leaves it undefined and saves [B, C,
  /// R] (default true).
  TORCH_ARG(bool, return_saliency) = true;

  /// Whether forward refuses NaN and infinity in its inputs (default true; costs one
  /// pass over them and a synchronisation).
  TORCH_ARG(bool, check_finite) = true;
};

/// What `RegionMatcher::forward` returns.
struct RegionMatch {
  at::Tensor saliency;         ///< [B, C, R] region weights; each row sums to 1
  at::Tensor region_features;  ///< [B, C, D] r, L2-normalised
  at::Tensor query_features;   ///< [B, C, D] q, L2-normalised
  at::Tensor region_logits;    ///< [B, C] z^r
  at::Tensor query_logits;     ///< [B, C] z^q
};

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
    const double scale = std::sqrt(
        static_cast<double>(embed_dim_) / static_cast<double>(attn_dim_));
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

/// Finds the region of every category and matches it with that category's text.
///
/// Learnable category queries, cross-attention that gives a region saliency map per
/// category, query-level features from a simple MLP, region-level features by the
/// saliency map, and one-to-one matching of region feature c with text feature c are
/// [S] stated by the paper's abstract. The equations are ours (^ = L2-normalised): \f[
/// A = \mathrm{softmax}_r\big( W_q \mathrm{LN}(Q) (W_k \mathrm{LN}(V))^\top / \sqrt d
///     \big),\quad r = A V,\quad o = Q + W_o(A\, W_v \mathrm{LN}(V)),\quad
///     q = \mathrm{MLP}(\mathrm{LN}(o)) \f]
/// \f[ z_c = s(\langle \hat x_c, \hat t^+_c\rangle - \langle \hat x_c, \hat
/// t^-_c\rangle)
///     \quad\text{or}\quad z_c = s(\langle \hat x_c, \hat t_c\rangle - \beta_c),\quad
///     x \in \{r, q\} \f]
/// r passes no learned projection: it stays in CLIP's joint space. With several heads
/// the saliency is their mean.
///
/// Shapes (B images, R regions, C categories, P prompts, D joint width):
///   region_features [B, R, D]  raw cells of the image tower, need not be normalised
///   text_features   [2, C, D]  present, absent; or [1, C, D] / [C, D]: one prompt and
///   a
///                              learned bias per category; need not be normalised
///   -> RegionMatch (see its members)
/// Other floating types are converted to the type of the parameters. Gradients reach
/// both inputs and all parameters (`category_bias` only with one prompt; with one head
/// none the bias of the keys, which the softmax does not see). Parameters:
/// `queries` [C, D], `logit_scale` (the natural logarithm of s, as in CLIP),
/// `category_bias` [C], and those of the submodules. No buffers. forward draws random
/// numbers (global generator) only for dropout in training mode. Throws
/// `c10::ValueError`: at construction for options out of range or in contradiction; in
/// forward for wrong shapes and for inputs that hold NaN or infinity (named, with the
/// image).
///
/// ```
/// RegionMatcher matcher(RegionMatcherOptions(n_cls, 512));
/// matcher->set_queries(frozen_text_features);                     // [C, D]
/// RegionMatch match = matcher->forward(region_features, text_features);
/// ```
class RegionMatcherImpl : public torch::nn::Cloneable<RegionMatcherImpl> {
 public:
  explicit RegionMatcherImpl(const RegionMatcherOptions& options_);

  void reset() override;
  void reset_parameters();
  void pretty_print(std::ostream& stream) const override;

  RegionMatch forward(
      const at::Tensor& region_features,
      const at::Tensor& text_features);

  /// Starts the queries from text features [C, D]: Q = sqrt(D) T^ (ours: each entry
  /// then has the variance 1 of what a layer norm gives). Only with QueryInit::kText.
  void set_queries(const at::Tensor& text_features);

  /// The options this module was built with.
  RegionMatcherOptions options;

  at::Tensor queries;        ///< [C, D]
  at::Tensor logit_scale;    ///< scalar, natural logarithm of s
  at::Tensor category_bias;  ///< [C], used with one prompt per category

  torch::nn::LayerNorm query_norm{nullptr};   ///< of the queries (without decoder)
  torch::nn::LayerNorm region_norm{nullptr};  ///< of the regions
  torch::nn::LayerNorm output_norm{nullptr};  ///< in front of the MLP
  AttentionProjections attention{nullptr};    ///< of the one block (without decoder)
  std::vector<RegionDecoderLayer> decoder;    ///< `options.layers()` layers
  torch::nn::Linear mlp_in{nullptr};
  torch::nn::Linear mlp_out{nullptr};
  torch::nn::Dropout dropout{nullptr};

 private:
  struct Attended {
    at::Tensor saliency;  // [B, c, R]
    at::Tensor output;    // [B, c, D]
  };
  // The cells, and what the attention sees of them.
  struct Regions {
    at::Tensor raw;     // [B, R, D]
    at::Tensor normed;  // [B, R, D] behind the layer norm; one head: not yet scaled
    at::Tensor keys = {};    // [B, R, d], with several heads
    at::Tensor values = {};  // [B, R, d], with several heads
  };

  void check_inputs(const at::Tensor& region_features, const at::Tensor& text_features)
      const;
  int64_t chunk_size(int64_t images, int64_t regions) const;
  bool is_folded() const { return attention && options.heads() == 1; }
  Regions prepare(const at::Tensor& raw);
  Attended attend(const at::Tensor& chunk, const Regions& regions);
  Attended decode(const at::Tensor& regions);
  RegionMatch match_part(
      const at::Tensor& chunk,
      const at::Tensor& text,
      const at::Tensor& bias,
      const Regions& regions);
  RegionMatch match_in_chunks(
      const at::Tensor& text,
      const Regions& regions,
      int64_t chunk);
  at::Tensor to_query_features(
      const at::Tensor& output,
      const at::Tensor& region_features);

  template <typename Visitor>
  void for_each_attention(Visitor&& visit) {
    if (attention) {
      visit(*attention);
    }
    for (RegionDecoderLayer& layer : decoder) {
      visit(*layer->cross_attention);
    }
  }
};

TORCH_MODULE(RegionMatcher);

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

inline RegionMatcherImpl::RegionMatcherImpl(const RegionMatcherOptions& options_)
    : options(options_) {
  constexpr auto kWhere = "RegionMatcher";
  TORCH_CHECK_VALUE(
      options.n_cls() > 0 && options.embed_dim() > 0,
      kWhere,
      ": expected n_cls and embed_dim > 0, got ",
      options.n_cls(),
      " and ",
      options.embed_dim());
  TORCH_CHECK_VALUE(
      options.attn_dim() > 0 && options.mlp_hidden() > 0,
      kWhere,
      ": expected attn_dim and mlp_hidden > 0, got ",
      options.attn_dim(),
      " and ",
      options.mlp_hidden());
  TORCH_CHECK_VALUE(
      options.heads() > 0 && options.attn_dim() % options.heads() == 0,
      kWhere,
      ": expected heads that divide attn_dim ",
      options.attn_dim(),
      ", got ",
      options.heads());
  TORCH_CHECK_VALUE(
      options.layers() >= 0, kWhere, ": expected layers >= 0, got ", options.layers());
  TORCH_CHECK_VALUE(
      options.attention_init() == AttentionInit::kRandom ||
          options.attn_dim() == options.embed_dim(),
      kWhere,
      ": expected attn_dim = embed_dim ",
      options.embed_dim(),
      " with attention_init kIdentity, got ",
      options.attn_dim());
  TORCH_CHECK_VALUE(
      options.attention_gain() > 0,
      kWhere,
      ": expected attention_gain > 0, got ",
      options.attention_gain());
  TORCH_CHECK_VALUE(
      options.dropout() >= 0 && options.dropout() < 1,
      kWhere,
      ": expected dropout in [0, 1), got ",
      options.dropout());
  TORCH_CHECK_VALUE(
      options.logit_scale_init() > 0,
      kWhere,
      ": expected logit_scale_init > 0, got ",
      options.logit_scale_init());
  TORCH_CHECK_VALUE(
      options.category_chunk() >= 0 &&
          (options.category_chunk() == 0 || options.layers() == 0),
      kWhere,
      ": expected category_chunk >= 0, and 0 with decoder layers (their self-attention "
      "joins all categories), got category_chunk ",
      options.category_chunk(),
      " and layers ",
      options.layers());
  reset();
}

inline void RegionMatcherImpl::reset() {
  using torch::nn::LayerNorm;
  using torch::nn::LayerNormOptions;
  using torch::nn::Linear;
  const int64_t c = options.n_cls();
  const int64_t d = options.embed_dim();
  queries = register_parameter("queries", at::empty({c, d}));
  logit_scale = register_parameter(
      "logit_scale", at::full({}, std::log(options.logit_scale_init()), at::kFloat));
  category_bias = register_parameter("category_bias", at::zeros({c}));
  region_norm = register_module("region_norm", LayerNorm(LayerNormOptions({d})));
  decoder.clear();
  if (options.layers() == 0) {
    query_norm = register_module("query_norm", LayerNorm(LayerNormOptions({d})));
    attention = register_module(
        "attention", AttentionProjections(d, options.attn_dim(), options.heads()));
  }
  for (int64_t layer = 0; layer < options.layers(); ++layer) {
    decoder.push_back(register_module(
        "decoder" + std::to_string(layer), RegionDecoderLayer(options)));
  }
  output_norm = register_module("output_norm", LayerNorm(LayerNormOptions({d})));
  mlp_in = register_module("mlp_in", Linear(d, options.mlp_hidden()));
  mlp_out = register_module("mlp_out", Linear(options.mlp_hidden(), d));
  dropout = register_module("dropout", torch::nn::Dropout(options.dropout()));
  reset_parameters();
}

inline void RegionMatcherImpl::reset_parameters() {
  constexpr double kQueryStd = 0.02;
  const c10::NoGradGuard guard;
  queries.normal_(0, kQueryStd);
  logit_scale.fill_(std::log(options.logit_scale_init()));
  category_bias.zero_();
  if (options.attention_init() == AttentionInit::kIdentity) {
    for_each_attention([this](AttentionProjectionsImpl& projections) {
      torch::nn::init::eye_(projections.query_proj->weight)
          .mul_(options.attention_gain());
      torch::nn::init::eye_(projections.key_proj->weight);
      projections.query_proj->bias.zero_();
      projections.key_proj->bias.zero_();
    });
  }
  if (options.query_residual()) {
    mlp_out->weight.zero_();
    mlp_out->bias.zero_();
  }
}

inline void RegionMatcherImpl::set_queries(const at::Tensor& text_features) {
  constexpr auto kWhere = "RegionMatcher::set_queries";
  const c10::NoGradGuard guard;
  TORCH_CHECK_VALUE(
      options.query_init() == QueryInit::kText,
      kWhere,
      ": expected query_init kText, got kRandom");
  check_shape(
      text_features, {options.n_cls(), options.embed_dim()}, kWhere, "text_features");
  queries.copy_(
      functional::l2_normalise(text_features) *
      std::sqrt(static_cast<double>(options.embed_dim())));
}

inline void RegionMatcherImpl::check_inputs(
    const at::Tensor& region_features,
    const at::Tensor& text_features) const {
  constexpr auto kWhere = "RegionMatcher::forward";
  const int64_t d = options.embed_dim();
  check_shape(region_features, {kAnySize, kAnySize, d}, kWhere, "region_features");
  check_floating(region_features, kWhere, "region_features");
  TORCH_CHECK_VALUE(
      region_features.size(1) > 0,
      kWhere,
      ": expected at least one region, got region_features of shape ",
      format_shape(region_features.sizes()));
  TORCH_CHECK_VALUE(
      text_features.defined() && (text_features.dim() == 2 || text_features.dim() == 3),
      kWhere,
      ": expected text_features of shape [P, C, D] or [C, D], got ",
      text_features.defined() ? format_shape(text_features.sizes())
                              : "an undefined tensor");
  if (text_features.dim() == 2) {
    check_shape(text_features, {options.n_cls(), d}, kWhere, "text_features");
  } else {
    check_shape(
        text_features,
        {text_features.size(0) == 1 ? 1 : 2, options.n_cls(), d},
        kWhere,
        "text_features");
  }
  check_floating(text_features, kWhere, "text_features");
  if (!options.check_finite()) {
    return;
  }
  const auto is_finite = [](const at::Tensor& x) {  // one number decides
    return functional::promote_reduced(x.detach()).sum().isfinite().item<bool>();
  };
  if (!is_finite(region_features)) {
    const at::Tensor wrong =
        region_features.detach().isfinite().logical_not().flatten(1).any(1).nonzero();
    TORCH_CHECK_VALUE(
        wrong.size(0) == 0,
        kWhere,
        ": expected finite region_features, got NaN or infinity in ",
        wrong.size(0),
        " of ",
        region_features.size(0),
        " images, first in image ",
        wrong[0][0].item<int64_t>());
  }
  if (!is_finite(text_features)) {
    TORCH_CHECK_VALUE(
        text_features.detach().isfinite().all().item<bool>(),
        kWhere,
        ": expected finite text_features, got NaN or infinity");
  }
}

inline RegionMatch RegionMatcherImpl::forward(
    const at::Tensor& region_features,
    const at::Tensor& text_features) {
  check_inputs(region_features, text_features);
  const auto type = queries.scalar_type();
  const Regions regions = prepare(region_features.to(type));
  at::Tensor text = text_features.to(type);
  text = text.dim() == 2 ? text.unsqueeze(0) : text;  // [P, C, D]
  const int64_t chunk = chunk_size(region_features.size(0), region_features.size(1));
  return chunk >= options.n_cls() ? match_part(queries, text, category_bias, regions)
                                  : match_in_chunks(text, regions, chunk);
}

inline int64_t RegionMatcherImpl::chunk_size(int64_t images, int64_t regions) const {
  if (options.category_chunk() > 0 || !attention) {
    return options.category_chunk() > 0 ? options.category_chunk() : options.n_cls();
  }
  // Widest of what a category needs of each picture.
  const int64_t widest =
      std::max({regions * options.heads(), options.mlp_hidden(), options.embed_dim()});
  return std::max<int64_t>(
      1, functional::kChunkElements / std::max<int64_t>(1, images * widest));
}

inline RegionMatcherImpl::Regions RegionMatcherImpl::prepare(const at::Tensor& raw) {
  using torch::nn::functional::LayerNormFuncOptions;
  if (is_folded()) {  // without parameters: frozen features need no gradient
    return {
        raw,
        torch::nn::functional::layer_norm(
            raw,
            LayerNormFuncOptions({options.embed_dim()})
                .eps(region_norm->options.eps()))};
  }
  const at::Tensor normed = region_norm->forward(raw);
  if (!attention) {
    return {raw, normed};
  }
  return {
      raw,
      normed,
      attention->key_proj->forward(normed),
      attention->value_proj->forward(normed)};
}

inline RegionMatch RegionMatcherImpl::match_part(
    const at::Tensor& chunk,
    const at::Tensor& text,
    const at::Tensor& bias,
    const Regions& regions) {
  const Attended attended = attention ? attend(chunk, regions) : decode(regions.normed);
  const at::Tensor scale = logit_scale.exp();
  RegionMatch match;
  match.region_features =
      functional::aggregate_regions(attended.saliency, regions.raw);  // [B, c, D]
  match.query_features = to_query_features(attended.output, match.region_features);
  match.region_logits =
      functional::matching_logits(match.region_features, text, scale, bias);
  match.query_logits =
      functional::matching_logits(match.query_features, text, scale, bias);
  if (options.return_saliency()) {
    match.saliency = attended.saliency;
  }
  return match;
}

inline RegionMatch RegionMatcherImpl::match_in_chunks(
    const at::Tensor& text,
    const Regions& regions,
    int64_t chunk) {
  const bool draws = is_training() && options.dropout() > 0;
  const bool is_saved = regions.keys.defined();
  std::vector<at::Tensor> shared = {regions.raw, regions.normed};
  if (is_saved) {
    shared.insert(shared.end(), {regions.keys, regions.values});
  }
  // The graph may outlive the handle of this module.
  const auto self = weak_from_this().lock();
  const TensorFunction body = [this, self, is_saved](
                                  const std::vector<at::Tensor>& in) {
    Regions seen{in[3], in[4]};
    if (is_saved) {
      seen.keys = in[5];
      seen.values = in[6];
    }
    const RegionMatch part = match_part(in[0], in[1], in[2], seen);
    std::vector<at::Tensor> out = {
        part.region_features,
        part.query_features,
        part.region_logits,
        part.query_logits};
    if (options.return_saliency()) {
      out.push_back(part.saliency);
    }
    return out;
  };
  const auto query_parts = queries.split(chunk, 0);
  const auto text_parts = text.split(chunk, 1);
  const auto bias_parts = category_bias.split(chunk, 0);
  std::vector<std::vector<at::Tensor>> outputs(5);
  for (size_t i = 0; i < query_parts.size(); ++i) {
    std::vector<at::Tensor> inputs = {query_parts[i], text_parts[i], bias_parts[i]};
    inputs.insert(inputs.end(), shared.begin(), shared.end());
    const auto part = draws ? body(inputs) : recompute(body, inputs, parameters());
    for (size_t k = 0; k < part.size(); ++k) {
      outputs[k].push_back(part[k]);
    }
  }
  const auto join = [&outputs](size_t k) {  // and lets go of the parts
    const std::vector<at::Tensor> parts = std::move(outputs[k]);
    return parts.empty() ? at::Tensor() : at::cat(parts, 1);
  };
  RegionMatch match;
  match.region_features = join(0);
  match.query_features = join(1);
  match.region_logits = join(2);
  match.query_logits = join(3);
  match.saliency = join(4);
  return match;
}

inline RegionMatcherImpl::Attended RegionMatcherImpl::attend(
    const at::Tensor& chunk,
    const Regions& regions) {
  const at::Tensor normed = query_norm->forward(chunk);
  if (is_folded()) {
    const at::Tensor weights =
        attention->weights_of_normed(normed, regions.normed, *region_norm);
    return {
        weights.squeeze(1),
        chunk + attention->collect_from_normed(weights, regions.normed, *region_norm)};
  }
  const at::Tensor weights = attention->weights(normed, regions.keys);  // [B, h, c, R]
  return {weights.mean(1), chunk + attention->collect(weights, regions.values)};
}

inline RegionMatcherImpl::Attended RegionMatcherImpl::decode(
    const at::Tensor& regions) {
  at::Tensor x = queries.unsqueeze(0).expand({regions.size(0), -1, -1});  // [B, C, D]
  at::Tensor weights;
  for (RegionDecoderLayer& layer : decoder) {
    x = layer->forward(x, regions, weights);
  }
  return {weights.mean(1), x};
}

inline at::Tensor RegionMatcherImpl::to_query_features(
    const at::Tensor& output,
    const at::Tensor& region_features) {
  const at::Tensor hidden = mlp_in->forward(output_norm->forward(output)).relu();
  const at::Tensor q = mlp_out->forward(dropout->forward(hidden));
  return functional::l2_normalise(options.query_residual() ? region_features + q : q);
}

inline void RegionMatcherImpl::pretty_print(std::ostream& stream) const {
  stream << "trmml::RegionMatcher(n_cls=" << options.n_cls()
         << ", embed_dim=" << options.embed_dim() << ", attn_dim=" << options.attn_dim()
         << ", heads=" << options.heads() << ", layers=" << options.layers()
         << ", mlp_hidden=" << options.mlp_hidden() << ", dropout=" << options.dropout()
         << ", category_chunk=" << options.category_chunk() << ")";
}

}  // namespace trmml
