#pragma once

#include "trmml/core/check.hpp"
#include "trmml/core/recompute.hpp"
#include "trmml/functional/similarity.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/eye.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

namespace trmml::functional {

/// The features of the entries that `labels` marks as present, with their categories.
struct Anchors {
  at::Tensor features;    ///< [n, D]
  at::Tensor categories;  ///< [n] int64
};

/// Picks the anchors of a contrastive loss: every (image, category) with a label > 0,
/// in row-major order.
///
/// Shapes: features [B, C, D], labels [B, C]. Gradients reach the features; the number
/// of anchors depends on values, hence synchronises.
/// ```
/// Anchors anchors = functional::select_anchors(match.query_features, labels);
/// ```
inline Anchors select_anchors(const at::Tensor& features, const at::Tensor& labels) {
  constexpr auto kWhere = "functional::select_anchors";
  check_shape(features, {kAnySize, kAnySize, kAnySize}, kWhere, "features");
  check_shape(labels, {features.size(0), features.size(1)}, kWhere, "labels");
  const at::Tensor places = labels.gt(0).nonzero().to(features.device());  // [n, 2]
  const at::Tensor categories = places.select(1, 1);
  const at::Tensor rows = places.select(1, 0) * features.size(1) + categories;
  return {features.flatten(0, 1).index_select(0, rows), categories};
}

namespace detail {

/// Sum over the anchors x [n, D] of log softmax(<x^, P>/t) at their category; P
/// normalised [C, D], `usable` [C] bool or undefined.
inline at::Tensor prototype_log_likelihood(
    const at::Tensor& x,
    const at::Tensor& prototypes,
    const at::Tensor& categories,
    const at::Tensor& usable,
    double temperature) {
  at::Tensor logits =
      (l2_normalise(x) * (1 / temperature)).matmul(prototypes.t());  // [n, C]
  if (usable.defined()) {
    logits = logits.masked_fill(
        usable.logical_not(), -std::numeric_limits<double>::infinity());
  }
  return logits.log_softmax(1).gather(1, categories.unsqueeze(1)).sum();
}

}  // namespace detail

/// Contrast of anchors with the prototypes of all categories: same category together,
/// other categories apart ([S]); cross-entropy over cosine similarities is ours.
/// \f[ L = -\frac{1}{n} \sum_i \log \frac{\exp(\langle \hat x_i, \hat
/// P_{c_i}\rangle/t)}
///     {\sum_{k\ \mathrm{ready}} \exp(\langle \hat x_i, \hat P_k\rangle/t)} \f]
///
/// Shapes (n anchors, C categories, D joint width):
///   features    [n, D]
///   categories  [n] integers, the category of each anchor
///   prototypes  [C, D]
///   ready       [C] bool: prototypes that exist; undefined counts as all. Others are
///   in
///               no sum, and anchors of their categories are left out.
///   returns     scalar; 0, with a graph, without any anchor
/// `temperature` > 0 (default 0.1, ours). Gradients reach features and prototypes
/// (detach what must not move; the bank's visual prototypes never require one). Large
/// [n, C] is computed in chunks, and once more in backward().
/// ```
/// auto loss = functional::prototype_contrast(a.features, a.categories, prototypes);
/// ```
inline at::Tensor prototype_contrast(
    const at::Tensor& features,
    const at::Tensor& categories,
    const at::Tensor& prototypes,
    const at::Tensor& ready = {},
    double temperature = 0.1) {
  constexpr auto kWhere = "functional::prototype_contrast";
  check_shape(features, {kAnySize, kAnySize}, kWhere, "features");
  check_shape(categories, {features.size(0)}, kWhere, "categories");
  check_shape(prototypes, {kAnySize, features.size(1)}, kWhere, "prototypes");
  TORCH_CHECK_VALUE(
      temperature > 0, kWhere, ": expected temperature > 0, got ", temperature);
  at::Tensor x = promote_reduced(features);
  at::Tensor own = categories.to(at::kLong);
  at::Tensor usable;
  if (ready.defined()) {
    check_shape(ready, {prototypes.size(0)}, kWhere, "ready");
    usable = ready.gt(0);
    const at::Tensor kept = usable.index_select(0, own).nonzero().squeeze(1);
    x = x.index_select(0, kept);
    own = own.index_select(0, kept);
  }
  if (own.size(0) == 0) {
    return promote_reduced(features).sum() * 0;
  }
  // In chunks of anchors: of large [n, C] only a part stands in memory.
  const at::Tensor targets = l2_normalise(prototypes.to(x.scalar_type()));
  const int64_t chunk =
      std::max<int64_t>(1, kChunkElements / std::max<int64_t>(1, prototypes.size(0)));
  const auto anchors = x.split(chunk, 0);
  const auto categories_of = own.split(chunk, 0);
  at::Tensor sum;
  for (size_t i = 0; i < anchors.size(); ++i) {
    const auto body = [temperature, usable, mine = categories_of[i]](
                          const std::vector<at::Tensor>& in) {
      return std::vector<at::Tensor>{
          detail::prototype_log_likelihood(in[0], in[1], mine, usable, temperature)};
    };
    const std::vector<at::Tensor> inputs = {anchors[i], targets};
    const at::Tensor part =
        anchors.size() == 1 ? body(inputs)[0] : recompute(body, inputs)[0];
    sum = sum.defined() ? sum + part : part;
  }
  return -sum / static_cast<double>(own.size(0));
}

/// Contrast of anchors with one another (ours, an option): the anchors of the same
/// category are an anchor's positives.
/// \f[ L = -\frac{1}{|I|} \sum_{i \in I} \frac{1}{|S_i|} \sum_{j \in S_i} \log
///     \frac{\exp(\langle \hat x_i, \hat x_j\rangle/t)}
///     {\sum_{k \ne i} \exp(\langle \hat x_i, \hat x_k\rangle/t)},\quad
///     S_i = \{j \ne i : c_j = c_i\},\ I = \{i : S_i \ne \emptyset\} \f]
///
/// Shapes: features [n, D], categories [n] int64; returns a scalar, 0 with a graph when
/// no two anchors share a category. `temperature` > 0 (default 0.2, ours). Needs memory
/// for [n, n].
/// ```
/// auto loss = functional::feature_contrast(anchors.features, anchors.categories);
/// ```
inline at::Tensor feature_contrast(
    const at::Tensor& features,
    const at::Tensor& categories,
    double temperature = 0.2) {
  constexpr auto kWhere = "functional::feature_contrast";
  check_shape(features, {kAnySize, kAnySize}, kWhere, "features");
  check_shape(categories, {features.size(0)}, kWhere, "categories");
  TORCH_CHECK_VALUE(
      temperature > 0, kWhere, ": expected temperature > 0, got ", temperature);
  const at::Tensor x = l2_normalise(promote_reduced(features));
  const int64_t n = x.size(0);
  const at::Tensor self = at::eye(n, x.options().dtype(at::kBool).requires_grad(false));
  const at::Tensor same = categories.unsqueeze(1)
                              .eq(categories.unsqueeze(0))
                              .logical_and(self.logical_not());
  const at::Tensor partners = same.sum(1);  // [n]
  const at::Tensor kept = partners.nonzero().squeeze(1);
  if (kept.size(0) == 0) {
    return x.sum() * 0;
  }
  const at::Tensor log_likelihood =
      (x.matmul(x.t()) / temperature)
          .masked_fill(self, -std::numeric_limits<double>::infinity())
          .log_softmax(1)
          .masked_fill(same.logical_not(), 0);  // [n, n]
  const at::Tensor mean_over_partners = log_likelihood.sum(1) / partners.clamp_min(1);
  return -mean_over_partners.index_select(0, kept).mean();
}

}  // namespace trmml::functional
