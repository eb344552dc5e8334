#include "trmml/data/missing_labels.hpp"

#include "trmml/core/check.hpp"
#include "trmml/core/error.hpp"
#include "trmml/core/random.hpp"

#include <ATen/ATen.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

namespace trmml::data {
namespace {

at::Tensor checked(const at::Tensor& labels, const char* where) {
  check_labels(labels, {kAnySize, kAnySize}, where);
  return labels.to(at::kCPU, at::kChar).contiguous();
}

/// Keeps the entries that `keeps` is true for; it gets one uniform draw each.
template <typename Keeps>
at::Tensor keep_by_draws(const at::Tensor& complete, uint32_t seed, Keeps&& keeps) {
  at::Tensor observed = complete.clone();
  std::mt19937 engine(seed);
  auto* entries = observed.data_ptr<int8_t>();
  for (int64_t i = 0; i < observed.numel(); ++i) {
    if (!keeps(legacy_uniform(engine))) {
      entries[i] = 0;
    }
  }
  return observed;
}

/// `RandomState.permutation(n)`.
std::vector<int64_t> legacy_permutation(std::mt19937& engine, size_t n) {
  std::vector<int64_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  legacy_shuffle(engine, order);
  return order;
}

std::vector<int64_t> sorted(std::vector<int64_t> rows) {
  std::sort(rows.begin(), rows.end());
  return rows;
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
  return keep_by_draws(
      complete, seed, [proportion](double draw) { return draw < proportion; });
}

at::Tensor
random_per_sample(const at::Tensor& labels, double removal_rate, uint32_t seed) {
  const at::Tensor complete = checked(labels, "random_per_sample");
  TORCH_CHECK_VALUE(
      removal_rate >= 0.0 && removal_rate <= 1.0,
      "random_per_sample: expected a removal rate in [0, 1], got ",
      removal_rate,
      removal_rate > 1.0 ? " (10 % is 0.1)" : "");
  return keep_by_draws(
      complete, seed, [removal_rate](double draw) { return !(draw < removal_rate); });
}

at::Tensor fixed_per_class(const at::Tensor& labels, int64_t n, uint32_t seed) {
  const at::Tensor complete = checked(labels, "fixed_per_class");
  TORCH_CHECK_VALUE(n >= 0, "fixed_per_class: expected 0 entries or more, got ", n);
  at::Tensor observed = at::zeros_like(complete);
  std::mt19937 engine(seed);
  const int64_t n_cls = complete.size(1);
  const auto* from = complete.data_ptr<int8_t>();
  auto* to = observed.data_ptr<int8_t>();
  std::vector<int64_t> rows;
  for (int64_t c = 0; c < n_cls; ++c) {
    for (const int8_t state : {int8_t{1}, int8_t{-1}}) {
      rows.clear();
      for (int64_t row = 0; row < complete.size(0); ++row) {
        if (from[row * n_cls + c] == state) {
          rows.push_back(row);
        }
      }
      const std::vector<int64_t> order = legacy_permutation(engine, rows.size());
      const size_t kept = std::min(rows.size(), static_cast<size_t>(n));
      for (size_t i = 0; i < kept; ++i) {
        to[rows[static_cast<size_t>(order[i])] * n_cls + c] = state;
      }
    }
  }
  return observed;
}

at::Tensor
missing_positives(const at::Tensor& labels, PositivesLeft left, uint32_t seed) {
  const at::Tensor complete = checked(labels, "missing_positives");
  const size_t divisor = left == PositivesLeft::kThreeQuarters ? 2 : 5;
  at::Tensor observed = at::zeros_like(complete);
  std::mt19937 engine(seed);
  const int64_t n_cls = complete.size(1);
  std::vector<int64_t> positives;
  for (int64_t row = 0; row < complete.size(0); ++row) {
    const auto* entries = complete.data_ptr<int8_t>() + row * n_cls;
    positives.clear();
    for (int64_t c = 0; c < n_cls; ++c) {
      if (entries[c] > 0) {
        positives.push_back(c);
      }
    }
    legacy_shuffle(engine, positives);
    const size_t kept = std::min(positives.size(), positives.size() / divisor + 1);
    for (size_t i = 0; i < kept; ++i) {
      observed.data_ptr<int8_t>()[row * n_cls + positives[i]] = 1;
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

HeldOutRows cole_held_out(int64_t n, double share, uint32_t seed) {
  TORCH_CHECK_VALUE(n >= 0, "cole_held_out: expected 0 rows or more, got ", n);
  TORCH_CHECK_VALUE(
      share >= 0.0 && share <= 1.0,
      "cole_held_out: expected a share in [0, 1], got ",
      share);
  std::mt19937 engine(seed);
  const std::vector<int64_t> order = legacy_permutation(engine, static_cast<size_t>(n));
  const auto held_out =
      static_cast<int64_t>(std::nearbyint(share * static_cast<double>(n)));
  const auto train_end = order.end() - held_out;
  return {sorted({order.begin(), train_end}), sorted({train_end, order.end()})};
}

HeldOutRows hold_out(int64_t n, double share, uint64_t seed) {
  const auto held_out =
      static_cast<int64_t>(std::llround(share * static_cast<double>(n)));
  TORCH_CHECK_VALUE(
      held_out >= 1 && held_out < n,
      "hold_out: expected rows on both sides, got ",
      held_out,
      " of ",
      n,
      " held out");
  const std::vector<int64_t> order = epoch_order(n, seed, 0);
  const auto held_out_end = order.begin() + held_out;
  return {sorted({held_out_end, order.end()}), sorted({order.begin(), held_out_end})};
}

}  // namespace trmml::data
