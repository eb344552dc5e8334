#pragma once

#include "trmml/core/torch_version.hpp"

#include <ATen/autocast_mode.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

namespace trmml {

/// Tensors to tensors, by differentiable operations. Must compute the same whenever it
/// is called: no random numbers.
using TensorFunction =
    std::function<std::vector<at::Tensor>(const std::vector<at::Tensor>&)>;

namespace detail {

struct RecomputedFunction : torch::CustomClassHolder {
  explicit RecomputedFunction(TensorFunction function_)
      : function(std::move(function_)) {}
  TensorFunction function;
  size_t n_inputs = 0;  // the parameters stand behind them
  c10::DeviceType device = c10::kCPU;
  AutocastState autocast;  // of forward(): backward() runs outside of its guard
};

/// Autocast keeps no casts while it lives: those that are made without a graph would
/// hide the weights from a later pass with one.
class NoAutocastCache {
 public:
  NoAutocastCache() { at::autocast::set_autocast_cache_enabled(false); }
  ~NoAutocastCache() { at::autocast::set_autocast_cache_enabled(was_enabled_); }
  NoAutocastCache(const NoAutocastCache&) = delete;
  NoAutocastCache& operator=(const NoAutocastCache&) = delete;

 private:
  bool was_enabled_ = at::autocast::is_autocast_cache_enabled();
};

struct Recompute : torch::autograd::Function<Recompute> {
  using Tensors = torch::autograd::variable_list;

  static Tensors forward(
      torch::autograd::AutogradContext* context,
      const c10::intrusive_ptr<RecomputedFunction>& body,
      at::TensorList tensors) {
    context->saved_data["body"] = c10::IValue::make_capsule(body);
    context->save_for_backward(tensors.vec());
    context->set_materialize_grads(false);
    const NoAutocastCache no_cache;
    return body->function(tensors.slice(0, body->n_inputs).vec());
  }

  static Tensors backward(
      torch::autograd::AutogradContext* context,
      const Tensors& gradients) {
    const auto body = c10::static_intrusive_pointer_cast<RecomputedFunction>(
        context->saved_data["body"].toCapsule());
    // Parameters stand for themselves, for the function knows them; inputs start anew.
    Tensors tensors = context->get_saved_variables();
    for (size_t i = 0; i < body->n_inputs; ++i) {
      const bool needs_gradient = tensors[i].requires_grad();
      tensors[i] = tensors[i].detach().requires_grad_(needs_gradient);
    }
    Tensors outputs, known;
    {
      const c10::AutoGradMode with_graph(true);
      const AutocastGuard autocast(body->device, body->autocast);
      const NoAutocastCache no_cache;
      const Tensors all =
          body->function(at::TensorList(tensors).slice(0, body->n_inputs).vec());
      for (size_t i = 0; i < all.size(); ++i) {
        if (gradients[i].defined() && all[i].requires_grad()) {
          outputs.push_back(all[i]);
          known.push_back(gradients[i]);
        }
      }
    }
    return gradients_of(outputs, known, tensors);
  }

 private:
  // One for the function, which has none, then one for each tensor.
  static Tensors
  gradients_of(const Tensors& outputs, const Tensors& known, const Tensors& tensors) {
    Tensors wanted;
    for (const at::Tensor& tensor : tensors) {
      if (tensor.requires_grad()) {
        wanted.push_back(tensor);
      }
    }
    Tensors result(1 + tensors.size());
    if (outputs.empty() || wanted.empty()) {
      return result;
    }
    const Tensors found = torch::autograd::grad(
        outputs, wanted, known, /*retain_graph=*/false, /*create_graph=*/false, true);
    size_t next = 0;
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (tensors[i].requires_grad()) {
        result[1 + i] = found[next++];
      }
    }
    return result;
  }
};

}  // namespace detail

/// `function(inputs)`, of which backward() remembers the inputs only: what stands
/// between them and the outputs is computed once more for the gradients (gradient
/// checkpointing, Chen et al., 2016). Memory of the inputs instead of every
/// intermediate, for one more forward pass.
///
/// `parameters` are the tensors that `function` uses besides its inputs and that may
/// need gradients. Values and gradients are those of `function(inputs)`, autocast
/// included; there are no second derivatives. `function` is kept until the graph goes,
/// and called in the thread of backward(): what it holds must live as long. Without
/// gradients it is just called. All tensors must be defined.
/// ```
/// at::Tensor y = recompute(
///     [mlp](const auto& x) mutable { return std::vector{mlp->forward(x[0])}; },
///     {x}, mlp->parameters())[0];
/// ```
inline std::vector<at::Tensor> recompute(
    TensorFunction function,
    const std::vector<at::Tensor>& inputs,
    const std::vector<at::Tensor>& parameters = {}) {
  if (!c10::GradMode::is_enabled()) {
    return function(inputs);
  }
  std::vector<at::Tensor> tensors = inputs;
  tensors.insert(tensors.end(), parameters.begin(), parameters.end());
  auto body = c10::make_intrusive<detail::RecomputedFunction>(std::move(function));
  body->n_inputs = inputs.size();
  const auto is_cuda = [](const at::Tensor& tensor) { return tensor.is_cuda(); };
  if (std::any_of(tensors.begin(), tensors.end(), is_cuda)) {
    body->device = c10::kCUDA;
  }
  body->autocast = autocast_state(body->device);
  return detail::Recompute::apply(body, at::TensorList(tensors));
}

}  // namespace trmml
