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

/// While it lives, matrix products and convolutions on the CPU run in bfloat16
/// (when `enabled`). The autocast cache is cleared when it ends.
class CpuAutocastGuard {
 public:
  explicit CpuAutocastGuard(bool enabled) : previous_(is_enabled()) {
    set_enabled(enabled);
    at::autocast::increment_nesting();
  }
  ~CpuAutocastGuard() {
    if (at::autocast::decrement_nesting() == 0) {
      at::autocast::clear_cache();
    }
    set_enabled(previous_);
  }
  CpuAutocastGuard(const CpuAutocastGuard&) = delete;
  CpuAutocastGuard& operator=(const CpuAutocastGuard&) = delete;

 private:
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
  static bool is_enabled() {
    return at::autocast::is_autocast_enabled(at::kCPU);
  }
  static void set_enabled(bool enabled) {
    at::autocast::set_autocast_enabled(at::kCPU, enabled);
  }
#else
  static bool is_enabled() {
    return at::autocast::is_cpu_enabled();
  }
  static void set_enabled(bool enabled) {
    at::autocast::set_cpu_enabled(enabled);
  }
#endif

  bool previous_;
};

}  // namespace trmml
