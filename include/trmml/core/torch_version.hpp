#pragma once

#include <ATen/autocast_mode.h>
#include <ATen/core/Tensor.h>
#include <c10/util/C++17.h>
#include <torch/version.h>

#include <string>

// Every switch between versions of LibTorch stands in this file.

namespace trmml {

/// The version this code was compiled against, e.g. "1.13.1".
inline std::string torch_version() {
  return TORCH_VERSION;
}

/// The key under which an optimizer files the state of a parameter.
inline auto optimizer_key(const at::Tensor& parameter) {
#if TORCH_VERSION_MAJOR >= 2
  return static_cast<void*>(parameter.unsafeGetTensorImpl());
#else
  return c10::guts::to_string(parameter.unsafeGetTensorImpl());
#endif
}

/// Whether autocast is on, and in which type it computes.
struct AutocastState {
  bool enabled = false;
  at::ScalarType dtype = at::kBFloat16;
};

/// Of this thread, on devices of this type.
inline AutocastState autocast_state(c10::DeviceType device) {
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
  return {
      at::autocast::is_autocast_enabled(device),
      at::autocast::get_autocast_dtype(device)};
#else
  if (device == at::kCUDA) {
    return {at::autocast::is_enabled(), at::autocast::get_autocast_gpu_dtype()};
  }
  return {at::autocast::is_cpu_enabled(), at::autocast::get_autocast_cpu_dtype()};
#endif
}

/// While it lives, matrix products and convolutions on devices of this type run in
/// bfloat16 (when `enabled`), or as `state` says. The autocast cache is cleared when it
/// ends.
class AutocastGuard {
 public:
  AutocastGuard(c10::DeviceType device, bool enabled)
      : AutocastGuard(device, AutocastState{enabled, at::kBFloat16}) {}
  AutocastGuard(c10::DeviceType device, const AutocastState& state)
      : device_(device), previous_(autocast_state(device)) {
    set(device, state);
    at::autocast::increment_nesting();
  }
  ~AutocastGuard() {
    if (at::autocast::decrement_nesting() == 0) {
      at::autocast::clear_cache();
    }
    set(device_, previous_);
  }
  AutocastGuard(const AutocastGuard&) = delete;
  AutocastGuard& operator=(const AutocastGuard&) = delete;

 private:
  static void set(c10::DeviceType device, const AutocastState& state) {
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
    at::autocast::set_autocast_enabled(device, state.enabled);
    at::autocast::set_autocast_dtype(device, state.dtype);
#else
    if (device == at::kCUDA) {
      at::autocast::set_enabled(state.enabled);
      at::autocast::set_autocast_gpu_dtype(state.dtype);
    } else {
      at::autocast::set_cpu_enabled(state.enabled);
      at::autocast::set_autocast_cpu_dtype(state.dtype);
    }
#endif
  }

  c10::DeviceType device_;
  AutocastState previous_;
};

}  // namespace trmml
