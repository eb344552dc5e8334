#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

#include "support/catch.hpp"
#include "support/tensors.hpp"

namespace support {

/// Value and gradient of `loss` at `logits` agree with the reference.
inline void check_reference(
    const std::function<at::Tensor(const at::Tensor&)>& loss,
    const at::Tensor& logits,
    const double (&value)[1],
    const double (&gradient)[20]) {
  const at::Tensor z = logits.clone().requires_grad_();
  const at::Tensor result = loss(z);
  result.backward();
  CHECK(is_close(result.detach(), numbers(value, {}), 1e-12));
  CHECK(is_close(z.grad(), numbers(gradient, {4, 5}), 1e-12));
}

}  // namespace support
