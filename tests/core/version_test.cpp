#include "trmml/core/version.hpp"

#include "trmml/core/torch_version.hpp"

#include <ATen/ATen.h>

#include <fmt/format.h>

#include <stdexcept>
#include <string>

#include "support/catch.hpp"

TEST_CASE("versions") {
  CHECK(trmml::torch_version().find(std::to_string(TORCH_VERSION_MAJOR) + ".") == 0);
  CHECK(
      fmt::format(
          "{}.{}.{}", TRMML_VERSION_MAJOR, TRMML_VERSION_MINOR, TRMML_VERSION_PATCH) ==
      TRMML_VERSION);
}

namespace {

at::ScalarType type_of_a_product() {
  const at::Tensor x = at::ones({4, 4});
  return at::matmul(x, x).scalar_type();
}

}  // namespace

TEST_CASE("AutocastGuard: bfloat16 while it lives") {
  CHECK(type_of_a_product() == at::kFloat);
  {
    const trmml::AutocastGuard guard(at::kCPU, true);
    CHECK(type_of_a_product() == at::kBFloat16);
    {
      const trmml::AutocastGuard off(at::kCPU, false);
      CHECK(type_of_a_product() == at::kFloat);
      const trmml::AutocastGuard on(at::kCPU, true);
      CHECK(type_of_a_product() == at::kBFloat16);
    }
    CHECK(type_of_a_product() == at::kBFloat16);
  }
  CHECK(type_of_a_product() == at::kFloat);
  {
    const trmml::AutocastGuard guard(at::kCPU, false);
    CHECK(type_of_a_product() == at::kFloat);
  }
  CHECK(type_of_a_product() == at::kFloat);
}

TEST_CASE("AutocastGuard: an exception ends it too") {
  try {
    const trmml::AutocastGuard guard(at::kCPU, true);
    throw std::runtime_error("out");
  } catch (const std::runtime_error&) {
  }
  CHECK(type_of_a_product() == at::kFloat);
}

TEST_CASE("AutocastGuard: no cast of an old weight outlives it") {
  at::Tensor weight = at::ones({4, 4}).requires_grad_();
  const at::Tensor x = at::ones({1, 4});
  const auto sum = [&] {
    const trmml::AutocastGuard guard(at::kCPU, true);
    return at::matmul(x, weight).sum().item<double>();
  };
  CHECK(sum() == 16);
  {
    const at::NoGradGuard no_grad;
    weight.mul_(2);
  }
  CHECK(sum() == 32);  // 16 if the casts were kept
}

TEST_CASE("AutocastGuard: gradients come back in float") {
  const at::Tensor weight = at::full({4, 4}, 0.5).requires_grad_();
  at::Tensor product;
  {
    const trmml::AutocastGuard guard(at::kCPU, true);
    product = at::matmul(at::ones({2, 4}), weight);
  }
  product.to(at::kFloat).sum().backward();
  CHECK(weight.grad().scalar_type() == at::kFloat);
  CHECK(weight.grad().equal(at::full({4, 4}, 2.0)));
}
