#pragma once

#include <ATen/autocast_mode.h>
#include <ATen/core/Tensor.h>
#include <c10/util/C++17.h>
#include <torch/version.h>

#include <string>

// Every switch between versions of LibTorch stands in this file.

namespace trmml {

/// True when LibTorch is at least `major.minor`.
constexpr bool torch_at_least(int major, int minor) {
  return TORCH_VERSION_MAJOR > major ||
         (TORCH_VERSION_MAJOR == major && TORCH_VERSION_MINOR >= minor);
}

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

/// While it lives, matrix products and convolutions on devices of this type run in
/// bfloat16 (when `enabled`). The autocast cache is cleared when it ends.
class AutocastGuard {
 public:
  AutocastGuard(c10::DeviceType device, bool enabled)
      : device_(device), previous_(is_enabled(device)), previous_dtype_(dtype(device)) {
    set(device, enabled, at::kBFloat16);
    at::autocast::increment_nesting();
  }
  ~AutocastGuard() {
    if (at::autocast::decrement_nesting() == 0) {
      at::autocast::clear_cache();
    }
    set(device_, previous_, previous_dtype_);
  }
  AutocastGuard(const AutocastGuard&) = delete;
  AutocastGuard& operator=(const AutocastGuard&) = delete;

 private:
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
  static bool is_enabled(c10::DeviceType device) {
    return at::autocast::is_autocast_enabled(device);
  }
  static at::ScalarType dtype(c10::DeviceType device) {
    return at::autocast::get_autocast_dtype(device);
  }
  static void set(c10::DeviceType device, bool enabled, at::ScalarType dtype) {
    at::autocast::set_autocast_enabled(device, enabled);
    at::autocast::set_autocast_dtype(device, dtype);
  }
#else
  static bool is_enabled(c10::DeviceType device) {
    return device == at::kCUDA ? at::autocast::is_enabled()
                               : at::autocast::is_cpu_enabled();
  }
  static at::ScalarType dtype(c10::DeviceType device) {
    return device == at::kCUDA ? at::autocast::get_autocast_gpu_dtype()
                               : at::autocast::get_autocast_cpu_dtype();
  }
  static void set(c10::DeviceType device, bool enabled, at::ScalarType dtype) {
    if (device == at::kCUDA) {
      at::autocast::set_enabled(enabled);
      at::autocast::set_autocast_gpu_dtype(dtype);
    } else {
      at::autocast::set_cpu_enabled(enabled);
      at::autocast::set_autocast_cpu_dtype(dtype);
    }
  }
#endif

  c10::DeviceType device_;
  bool previous_;
  at::ScalarType previous_dtype_;
};

}  // namespace trmml
