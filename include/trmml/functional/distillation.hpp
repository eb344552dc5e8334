#pragma once

#include "trmml/core/check.hpp"
#include "trmml/functional/similarity.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>

namespace trmml::functional {

/// Knowledge distillation between logits: the direction region -> query is [S] stated
/// by the paper's abstract, the form is ours. \f[ L = \frac{\tau^2}{B} \sum_b
/// \mathrm{KL}\big(
///     \mathrm{softmax}_c(z^{t}_b/\tau) \,\|\, \mathrm{softmax}_c(z^{s}_b/\tau) \big)
///     \f]
///
/// Shapes (B images, C categories): student_logits (query level) and teacher_logits
/// (region level) [B, C]; returns a scalar >= 0, zero with one category. `tau` > 0 is a
/// temperature in logits (default 2). Gradients reach the student only: the teacher is
/// detached. Throws `c10::ValueError` when shapes disagree or tau <= 0.
/// ```
/// auto loss = functional::distillation_kl(match.query_logits, match.region_logits);
/// ```
inline at::Tensor distillation_kl(
    const at::Tensor& student_logits,
    const at::Tensor& teacher_logits,
    double tau = 2.0) {
  constexpr auto kWhere = "functional::distillation_kl";
  check_shape(student_logits, {kAnySize, kAnySize}, kWhere, "student_logits");
  check_shape(
      teacher_logits,
      {student_logits.size(0), student_logits.size(1)},
      kWhere,
      "teacher_logits");
  TORCH_CHECK_VALUE(tau > 0, kWhere, ": expected tau > 0, got ", tau);
  const at::Tensor student = (promote_reduced(student_logits) / tau).log_softmax(1);
  const at::Tensor teacher =
      (promote_reduced(teacher_logits).detach() / tau).log_softmax(1);
  const double images = static_cast<double>(std::max<int64_t>(1, student.size(0)));
  return (teacher.exp() * (teacher - student)).sum() * (tau * tau / images);
}

/// Distillation between features, the cosine form (ours, an option): the mean over all
/// rows of 1 - <x^s, x^t>, with both normalised.
///
/// Shapes: student_features and teacher_features [.., D], equal; returns a scalar in
/// [0, 2]. Gradients reach the student only: the teacher is detached.
/// ```
/// auto loss = functional::distillation_cosine(match.query_features,
/// match.region_features);
/// ```
inline at::Tensor distillation_cosine(
    const at::Tensor& student_features,
    const at::Tensor& teacher_features) {
  TORCH_CHECK_VALUE(
      student_features.dim() >= 1 &&
          student_features.sizes() == teacher_features.sizes(),
      "functional::distillation_cosine: expected student_features and teacher_features "
      "of one shape [.., D], got ",
      format_shape(student_features.sizes()),
      " and ",
      format_shape(teacher_features.sizes()));
  const at::Tensor student = l2_normalise(promote_reduced(student_features));
  const at::Tensor teacher = l2_normalise(promote_reduced(teacher_features).detach());
  const at::Tensor distance = 1 - (student * teacher).sum(-1);
  return distance.sum() / static_cast<double>(std::max<int64_t>(1, distance.numel()));
}

}  // namespace trmml::functional
