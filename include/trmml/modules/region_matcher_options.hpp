#pragma once

#include <c10/util/Exception.h>
#include <torch/arg.h>

#include <cstdint>

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

/// Throws `c10::ValueError` for options out of range or in contradiction.
inline void check_options(const RegionMatcherOptions& options) {
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
}

}  // namespace trmml
