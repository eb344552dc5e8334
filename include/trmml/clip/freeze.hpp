#pragma once

#include <torch/nn/module.h>

namespace trmml::clip {

/// Freezes a module in place: evaluation mode, and no parameter asks for a gradient
/// (gradients still pass through it to its inputs).
///
/// Example:
/// ```
/// freeze(*model->text);
/// ```
inline void freeze(torch::nn::Module& module) {
  module.eval();
  for (auto& parameter : module.parameters()) {
    parameter.set_requires_grad(false);
  }
}

}  // namespace trmml::clip
