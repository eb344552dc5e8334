#pragma once

#include "trmml/core/check.hpp"
#include "trmml/evaluation/average_precision.hpp"
#include "trmml/method/evidence.hpp"
#include "trmml/method/feature_source.hpp"
#include "trmml/method/method.hpp"

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>
#include <vector>

// From tensors to metrics: the evaluation folder knows matrices only.

namespace trmml::training {

/// Scores [N, C] (logits, on the CPU) of all pictures, in evaluation mode and without
/// gradient; the last, smaller batch is kept. `batch_size` (0: by the size of the
/// output) and `should_stop`, which makes it throw `Interrupted`, as for
/// `for_each_output`.
inline at::Tensor predict(
    Method& method,
    const Features& images,
    Score score = Score::kMean,
    int64_t batch_size = 0,
    const std::function<bool()>& should_stop = {}) {
  std::vector<at::Tensor> scores;
  const auto collect = [&](const TrmMlOutput& output) {
    scores.push_back(score_of(output, score).cpu());
  };
  for_each_output(method, images, batch_size, should_stop, "predict", collect);
  return at::cat(scores);
}

/// A float matrix that reads the memory of `scores` [N, C]; keep the tensor alive.
inline Eigen::Map<const evaluation::ScoreMatrix<float>> as_matrix(
    const at::Tensor& scores) {
  check_shape(scores, {kAnySize, kAnySize}, "as_matrix", "scores");
  TORCH_CHECK_TYPE(
      scores.scalar_type() == at::kFloat && scores.is_contiguous() &&
          scores.device().is_cpu(),
      "as_matrix: expected contiguous float scores on the CPU");
  return {scores.data_ptr<float>(), scores.size(0), scores.size(1)};
}

/// The same for int8 labels [N, C].
inline Eigen::Map<const evaluation::LabelMatrix> as_label_matrix(
    const at::Tensor& labels) {
  check_shape(labels, {kAnySize, kAnySize}, "as_label_matrix", "labels");
  TORCH_CHECK_TYPE(
      labels.scalar_type() == at::kChar && labels.is_contiguous() &&
          labels.device().is_cpu(),
      "as_label_matrix: expected contiguous int8 labels on the CPU");
  return {labels.data_ptr<int8_t>(), labels.size(0), labels.size(1)};
}

/// Mean average precision of scores [N, C] against labels [N, C] in {-1, 0, +1}, of any
/// signed type. Throws `c10::ValueError` for other labels and for shapes that disagree,
/// `c10::TypeError` for an unsigned type.
inline evaluation::MeanAveragePrecision mean_average_precision(
    const at::Tensor& scores,
    const at::Tensor& labels,
    evaluation::ApDefinition definition =
        evaluation::ApDefinition::kPrecisionAtPositives) {
  check_shape(scores, {kAnySize, kAnySize}, "mean_average_precision", "scores");
  check_labels(labels, {scores.size(0), scores.size(1)}, "mean_average_precision");
  const at::Tensor s = scores.to(at::kCPU, at::kFloat).contiguous();
  const at::Tensor y = labels.to(at::kCPU, at::kChar).contiguous();
  return evaluation::mean_average_precision(
      as_matrix(s), as_label_matrix(y), definition);
}

}  // namespace trmml::training
