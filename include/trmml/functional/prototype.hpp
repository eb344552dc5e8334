#pragma once

#include "trmml/core/check.hpp"
#include "trmml/functional/similarity.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <cstdint>

namespace trmml::functional {

/// Sum and number of the features that belong to each category.
struct CategorySums {
  at::Tensor sums;    ///< [C, D]
  at::Tensor counts;  ///< [C], in the type of the sums, so that both can be all-reduced
};

/// Prototypes and which of them exist.
struct Prototypes {
  at::Tensor values;  ///< [C, D], L2-normalised where ready, else zero
  at::Tensor ready;   ///< [C] bool
};

/// Sums the normalised features of the entries in `mask` by category. Ours.
///
/// Shapes: features [B, C, D], mask [B, C] (bool, or weights >= 0).
/// ```
/// CategorySums seen = functional::category_sums(q, labels.gt(0));
/// ```
inline CategorySums category_sums(const at::Tensor& features, const at::Tensor& mask) {
  constexpr auto kWhere = "functional::category_sums";
  check_shape(features, {kAnySize, kAnySize, kAnySize}, kWhere, "features");
  check_shape(mask, {features.size(0), features.size(1)}, kWhere, "mask");
  const at::Tensor x = promote_reduced(features);
  const at::Tensor weights = mask.to(x.scalar_type());
  const at::Tensor lengths = x.norm(2, -1).clamp_min(kNormEps);  // [B, C]
  at::Tensor sums = at::zeros({x.size(1), x.size(2)}, x.options());
  for (int64_t b = 0; b < x.size(0); ++b) {  // no copy of the features
    sums = sums.addcmul(x[b], (weights[b] / lengths[b]).unsqueeze(1));
  }
  return {sums, weights.sum(0)};
}

/// One step of the moving average of the visual category prototypes. A memory of visual
/// prototypes is [S] stated by the paper's abstract; its update is ours:
/// \f[ m_c = \mathrm{norm}(\mathrm{sum}_c / n_c),\quad
///     P_c \leftarrow \begin{cases} P_c & n_c = 0 \\ m_c & \text{first time}
///     \\ \mathrm{norm}(\mu P_c + (1-\mu) m_c) & \text{then} \end{cases} \f]
///
/// Shapes: values [C, D], ready [C], seen.sums [C, D], seen.counts [C]. `momentum` mu
/// in [0, 1]. A pure function: returns the new prototypes and changes nothing.
/// ```
/// Prototypes next = functional::update_prototypes({values, ready}, seen, 0.9);
/// ```
inline Prototypes update_prototypes(
    const Prototypes& prototypes,
    const CategorySums& seen,
    double momentum = 0.9) {
  constexpr auto kWhere = "functional::update_prototypes";
  check_shape(prototypes.values, {kAnySize, kAnySize}, kWhere, "values");
  const int64_t categories = prototypes.values.size(0);
  check_shape(prototypes.ready, {categories}, kWhere, "ready");
  check_shape(seen.sums, {categories, prototypes.values.size(1)}, kWhere, "sums");
  check_shape(seen.counts, {categories}, kWhere, "counts");
  TORCH_CHECK_VALUE(
      momentum >= 0 && momentum <= 1,
      kWhere,
      ": expected momentum in [0, 1], got ",
      momentum);
  const at::Tensor old = prototypes.values;
  const at::Tensor ready = prototypes.ready.gt(0);  // [C]
  const at::Tensor present = seen.counts.gt(0);     // [C]
  const at::Tensor mean = l2_normalise(
      (seen.sums / seen.counts.clamp_min(1).unsqueeze(1)).to(old.scalar_type()));
  const at::Tensor moved = l2_normalise(old * momentum + mean * (1 - momentum));
  const at::Tensor next = at::where(ready.unsqueeze(1), moved, mean);  // [C, D]
  return {at::where(present.unsqueeze(1), next, old), ready.logical_or(present)};
}

}  // namespace trmml::functional
