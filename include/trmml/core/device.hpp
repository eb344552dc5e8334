#pragma once

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/version.h>

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <thread>

namespace trmml {

/// Sets LibTorch's intra-op threads: `requested`, or every core when it is 0.
/// (Debian's LibTorch starts with one thread whatever the machine has.)
/// Returns the number in force.
inline int set_threads(int requested) {
  const int all = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  at::set_num_threads(requested > 0 ? requested : all);
  return at::get_num_threads();
}

/// One line for the start of a program: LibTorch's version, threads, and BLAS.
inline std::string describe_backend() {
  const std::string config = at::show_config();
  const auto has = [&config](const char* word) {
    return config.find(word) != std::string::npos;
  };
  return fmt::format(
      "LibTorch {}, {} thread{}, BLAS: {}",
      TORCH_VERSION,
      at::get_num_threads(),
      at::get_num_threads() == 1 ? "" : "s",
      has("BLAS_INFO=mkl") || has("Math Kernel Library") ? "MKL"
      : has("BLAS_INFO=open")                            ? "OpenBLAS"
                                                         : "the system's");
}

}  // namespace trmml
