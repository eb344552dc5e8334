#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

namespace support {

/// Compares the gradients of `f` with central differences, in double. `f` maps `inputs`
/// to a tensor; its entries are weighted by a fixed formula and summed, so that entries
/// whose gradients would cancel are seen. Returns the largest |analytic - numeric| /
/// max(1, |numeric|) over all entries of all inputs.
inline double gradient_error(
    const std::function<at::Tensor(const std::vector<at::Tensor>&)>& f,
    const std::vector<at::Tensor>& inputs,
    double step = 1e-6) {
  const auto scalar = [&f](const std::vector<at::Tensor>& x) {
    const at::Tensor y = f(x).flatten();
    const at::Tensor weights =
        (at::arange(y.numel(), y.options().requires_grad(false)) * 0.7 + 0.3).cos() +
        0.1;
    return (y * weights).sum();
  };
  std::vector<at::Tensor> leaves;
  for (const at::Tensor& input : inputs) {
    leaves.push_back(input.detach().clone().requires_grad_());
  }
  scalar(leaves).backward();

  double largest = 0;
  for (size_t k = 0; k < inputs.size(); ++k) {
    const at::Tensor analytic = leaves[k].grad().defined()
                                    ? leaves[k].grad().contiguous().view(-1)
                                    : at::zeros({inputs[k].numel()}, at::kDouble);
    for (int64_t i = 0; i < inputs[k].numel(); ++i) {
      const auto shifted = [&](double delta) {
        std::vector<at::Tensor> x;
        for (const at::Tensor& input : inputs) {
          x.push_back(input.detach().clone().contiguous());
        }
        x[k].view(-1)[i].add_(delta);
        return scalar(x).item<double>();
      };
      const double numeric = (shifted(step) - shifted(-step)) / (2 * step);
      const double error = std::abs(analytic[i].item<double>() - numeric);
      largest = std::max(largest, error / std::max(1.0, std::abs(numeric)));
      if (std::isnan(error)) {
        return std::nan("");
      }
    }
  }
  return largest;
}

}  // namespace support
