#include "trmml/data/missing_labels.hpp"

#include "trmml/core/check.hpp"
#include "trmml/core/error.hpp"
#include "trmml/core/random.hpp"

#include <ATen/ATen.h>

#include <fmt/format.h>

#include <random>

namespace trmml::data {
namespace {

at::Tensor checked(const at::Tensor& labels, const char* where) {
  check_labels(labels, {kAnySize, kAnySize}, where);
  return labels.to(at::kCPU, at::kChar).contiguous();
}

}  // namespace

at::Tensor
known_label_proportion(const at::Tensor& labels, double proportion, uint32_t seed) {
  const at::Tensor complete = checked(labels, "known_label_proportion");
  TORCH_CHECK_VALUE(
      proportion >= 0.0 && proportion <= 1.0,
      "known_label_proportion: expected a proportion in [0, 1], got ",
      proportion,
      proportion > 1.0 ? " (10 % is 0.1)" : "");
  at::Tensor observed = complete.clone();
  std::mt19937 engine(seed);
  auto* entries = observed.data_ptr<int8_t>();
  for (int64_t i = 0; i < observed.numel(); ++i) {
    if (!(legacy_uniform(engine) < proportion)) {
      entries[i] = 0;
    }
  }
  return observed;
}

at::Tensor single_positive(const at::Tensor& labels, uint32_t seed) {
  const at::Tensor complete = checked(labels, "single_positive");
  at::Tensor observed = at::zeros_like(complete);
  std::mt19937 engine(seed);
  const int64_t n_cls = complete.size(1);
  std::vector<int64_t> positives;
  std::vector<int64_t> negatives;
  for (int64_t row = 0; row < complete.size(0); ++row) {
    const auto* entries = complete.data_ptr<int8_t>() + row * n_cls;
    positives.clear();
    negatives.clear();
    for (int64_t c = 0; c < n_cls; ++c) {
      (entries[c] > 0 ? positives : negatives).push_back(c);
    }
    legacy_shuffle(engine, positives);
    legacy_shuffle(engine, negatives);  // consumes random numbers, as theirs does
    if (!positives.empty()) {
      observed.data_ptr<int8_t>()[row * n_cls + positives.front()] = 1;
    }
  }
  return observed;
}

at::Tensor keep_one_positive(
    const at::Tensor& labels,
    const std::vector<int64_t>& category) {
  const at::Tensor complete = checked(labels, "keep_one_positive");
  const int64_t n_cls = complete.size(1);
  TORCH_CHECK_VALUE(
      static_cast<int64_t>(category.size()) == complete.size(0),
      "keep_one_positive: expected one category for each of ",
      complete.size(0),
      " pictures, got ",
      category.size());
  at::Tensor observed = at::zeros_like(complete);
  for (int64_t row = 0; row < complete.size(0); ++row) {
    const int64_t c = category[static_cast<size_t>(row)];
    if (c == -1) {
      continue;
    }
    if (c < 0 || c >= n_cls || complete.data_ptr<int8_t>()[row * n_cls + c] <= 0) {
      throw DataError(fmt::format(
          "keep_one_positive: expected a category that is present in picture {}, "
          "got {}",
          row,
          c));
    }
    observed.data_ptr<int8_t>()[row * n_cls + c] = 1;
  }
  return observed;
}

}  // namespace trmml::data
