#include "trmml/core/device.hpp"

#include <ATen/Parallel.h>
#include <torch/version.h>

#include <string>

#include "support/catch.hpp"

TEST_CASE("set_threads: asked for, or all") {
  const int before = at::get_num_threads();
  CHECK(trmml::set_threads(1) == 1);
  CHECK(trmml::describe_backend().find(", 1 thread, ") != std::string::npos);
  CHECK(trmml::set_threads(2) == 2);
  CHECK(trmml::describe_backend().find(", 2 threads, ") != std::string::npos);
  CHECK(trmml::set_threads(0) >= 1);
  at::set_num_threads(before);
}

TEST_CASE("describe_backend: one line with version and BLAS") {
  const std::string line = trmml::describe_backend();
  CHECK(line.find(std::string("LibTorch ") + TORCH_VERSION) == 0);
  CHECK(line.find("BLAS: ") != std::string::npos);
  CHECK(line.find('\n') == std::string::npos);
}
