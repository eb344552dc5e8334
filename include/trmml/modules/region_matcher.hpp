#pragma once

#include "trmml/core/check.hpp"
#include "trmml/core/recompute.hpp"
#include "trmml/functional/region_matching.hpp"
#include "trmml/functional/similarity.hpp"
#include "trmml/modules/region_attention.hpp"
#include "trmml/modules/region_matcher_options.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <torch/nn/cloneable.h>
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

/// What `RegionMatcher::forward` returns.
struct RegionMatch {
  at::Tensor saliency;         ///< [B, C, R] region weights; each row sums to 1
  at::Tensor region_features;  ///< [B, C, D] r, L2-normalised
  at::Tensor query_features;   ///< [B, C, D] q, L2-normalised
  at::Tensor region_logits;    ///< [B, C] z^r
  at::Tensor query_logits;     ///< [B, C] z^q
};

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
///   text_features   [2, C, D]  present, absent; or [1, C, D] / [C, D]: one prompt
///                              and a learned bias per category; need not be normalised
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
  void reset_parameters();
  struct Attended {
    at::Tensor saliency;  // [B, c, R]
    at::Tensor output;    // [B, c, D]
  };
  // The cells, and what the attention sees of them.
  struct Regions {
    at::Tensor raw;        // [B, R, D]
    at::Tensor normed;     // [B, R, D] behind the layer norm; one head: not yet scaled
    at::Tensor keys = {};  // [B, R, d], with several heads
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
  RegionMatch
  match_in_chunks(const at::Tensor& text, const Regions& regions, int64_t chunk);
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

inline RegionMatcherImpl::RegionMatcherImpl(const RegionMatcherOptions& options_)
    : options(options_) {
  check_options(options);
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
  const TensorFunction body =
      [this, self, is_saved](const std::vector<at::Tensor>& in) {
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
