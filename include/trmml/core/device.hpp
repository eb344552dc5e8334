#pragma once

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/version.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <thread>

#include <dlfcn.h>

namespace trmml {

/// Sets LibTorch's intra-op threads: `requested`, or when it is 0 what the environment
/// says in OMP_NUM_THREADS, or else every core. (Debian's LibTorch starts with one
/// thread whatever the machine has.) Returns the number in force.
inline int set_threads(int requested) {
  const char* wanted = std::getenv("OMP_NUM_THREADS");
  const int preset = wanted == nullptr ? 0 : std::atoi(wanted);
  const int all = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  at::set_num_threads(requested > 0 ? requested : preset > 0 ? preset : all);
  return at::get_num_threads();
}

/// The library behind matrix products: "MKL", "OpenBLAS", or "the system's" (the
/// reference BLAS, which is some 20 times slower, or another one).
inline std::string blas_name() {
  if (at::show_config().find("BLAS_INFO=mkl") != std::string::npos) {
    return "MKL";
  }
  // Debian's LibTorch calls whatever stands behind libblas.so.3.
  const bool is_openblas = dlsym(RTLD_DEFAULT, "openblas_get_config") != nullptr;
  return is_openblas ? "OpenBLAS" : "the system's";
}

/// True when this CPU multiplies bfloat16 in hardware (AVX-512 BF16 or AMX). Without it
/// bfloat16 works and is slow.
inline bool cpu_has_bf16() {
#if defined(__x86_64__) && defined(__GNUC__)
  return __builtin_cpu_supports("avx512bf16") != 0;
#else
  return false;
#endif
}

/// One line for the start of a program: LibTorch's version, threads, and BLAS.
inline std::string describe_backend() {
  const int threads = at::get_num_threads();
  return fmt::format(
      "LibTorch {}, {} thread{}, BLAS: {}",
      TORCH_VERSION,
      threads,
      threads == 1 ? "" : "s",
      blas_name());
}

}  // namespace trmml
