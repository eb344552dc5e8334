#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>
#include <c10/util/Exception.h>

#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

// Small helpers for tests on tensors.

namespace support {

/// Doubles in [-1, 1) by a formula that Python repeats exactly
/// (tests/reference/fill.py): element i is ((7919 i + (2 seed + 1) i^2 + 104729 seed)
/// mod 1000) / 500 - 1.
inline at::Tensor fill(at::IntArrayRef shape, int64_t seed) {
  int64_t n = 1;
  for (const int64_t size : shape) {
    n *= size;
  }
  const at::Tensor i = at::arange(n, at::kLong);
  return ((i * 7919 + i * i * (2 * seed + 1) + 104729 * seed)
                  .remainder(1000)
                  .to(at::kDouble) /
              500 -
          1)
      .view(shape);
}

/// Labels in {-1, 0, +1} (int8) by a formula: +1 where `fill` is below -0.5, -1 where
/// it is below 0.1, else 0.
inline at::Tensor fill_labels(at::IntArrayRef shape, int64_t seed) {
  const at::Tensor x = fill(shape, seed);
  return x.lt(-0.5).to(at::kChar) * 2 - x.lt(0.1).to(at::kChar);
}

/// A tensor of doubles from numbers written down.
inline at::Tensor numbers(const std::vector<double>& values, at::IntArrayRef shape) {
  return at::tensor(values, at::kDouble).view(shape);
}

/// The same from the array of a reference header.
template <size_t n>
at::Tensor numbers(const double (&values)[n], at::IntArrayRef shape) {
  return numbers(std::vector<double>(values, values + n), shape);
}

/// int8 labels from numbers written down.
inline at::Tensor states(const std::vector<int64_t>& values, at::IntArrayRef shape) {
  return at::tensor(values, at::kLong).to(at::kChar).view(shape);
}

/// Equal shapes and |a - b| <= tolerance (1 + |b|) everywhere; NaN is never close.
inline bool
is_close(const at::Tensor& a, const at::Tensor& b, double tolerance = 1e-9) {
  return a.sizes() == b.sizes() &&
         at::allclose(a.to(at::kDouble), b.to(at::kDouble), tolerance, tolerance);
}

/// Same shape, same values, whatever the type.
inline bool is_equal(const at::Tensor& a, const at::Tensor& b) {
  return a.sizes() == b.sizes() && a.to(at::kDouble).equal(b.to(at::kDouble));
}

/// Same type, same shape, same values.
inline bool same(const at::Tensor& a, const at::Tensor& b) {
  return a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() && a.equal(b);
}

}  // namespace support
