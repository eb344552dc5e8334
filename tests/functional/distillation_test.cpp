#include "trmml/functional/distillation.hpp"

#include <ATen/ops/zeros.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "functional/check_reference.hpp"
#include "reference/functional.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/gradcheck.hpp"
#include "support/tensors.hpp"

namespace f = trmml::functional;
namespace ref = reference::functional;
using support::check_reference;
using support::error_of;
using support::fill;
using support::is_close;
using support::numbers;

TEST_CASE("distillation_kl: by hand, reference, gradient, invariants") {
  // Teacher softmax (3/4, 1/4) against a uniform student, tau = 2.
  const at::Tensor student = at::zeros({1, 2}, at::kDouble);
  const at::Tensor teacher = numbers({2 * std::log(3.0), 0}, {1, 2});
  CHECK(
      f::distillation_kl(student, teacher).item<double>() ==
      Catch::Approx(4 * (0.75 * std::log(1.5) + 0.25 * std::log(0.5))));

  const at::Tensor s = 3 * fill({4, 5}, 4);
  const at::Tensor t = 3 * fill({4, 5}, 5);
  check_reference(
      [&](const at::Tensor& x) { return f::distillation_kl(x, t); },
      s,
      ref::kKlTwo,
      ref::kKlTwoGradient);
  check_reference(
      [&](const at::Tensor& x) { return f::distillation_kl(x, t, 0.5); },
      s,
      ref::kKlHalf,
      ref::kKlHalfGradient);
  const auto loss = [&](const std::vector<at::Tensor>& in) {
    return f::distillation_kl(in[0], t);
  };
  CHECK(support::gradient_error(loss, {s}) < 1e-6);

  CHECK(std::abs(f::distillation_kl(t, t).item<double>()) < 1e-12);
  CHECK(f::distillation_kl(fill({3, 1}, 1), fill({3, 1}, 2)).item<double>() == 0);
  CHECK(is_close(f::distillation_kl(s + 7, t - 3), f::distillation_kl(s, t), 1e-10));
  at::Tensor mean = at::zeros({}, at::kDouble);
  for (int64_t b = 0; b < 4; ++b) {
    mean = mean + f::distillation_kl(s.narrow(0, b, 1), t.narrow(0, b, 1)) / 4;
  }
  CHECK(is_close(f::distillation_kl(s, t), mean, 1e-12));

  const at::Tensor leaf = t.clone().requires_grad_();  // the teacher gets no gradient
  CHECK_FALSE(f::distillation_kl(s, leaf).requires_grad());
}

TEST_CASE("distillation_cosine: by hand, reference, gradient") {
  const at::Tensor student = numbers({2, 0, 1, 1}, {2, 2});
  const at::Tensor teacher = numbers({0, 3, 5, 5}, {2, 2});
  CHECK(f::distillation_cosine(student, teacher).item<double>() == Catch::Approx(0.5));

  const at::Tensor s = fill({4, 5, 6}, 6);
  const at::Tensor t = fill({4, 5, 6}, 7);
  CHECK(is_close(f::distillation_cosine(s, t), numbers(ref::kCosine, {}), 1e-12));
  const auto loss = [&](const std::vector<at::Tensor>& in) {
    return f::distillation_cosine(in[0], t);
  };
  CHECK(support::gradient_error(loss, {s}) < 1e-6);
  CHECK_FALSE(f::distillation_cosine(s, t.clone().requires_grad_()).requires_grad());
}

TEST_CASE("distillation: messages") {
  CHECK(
      error_of<c10::ValueError>([] {
        f::distillation_kl(fill({2, 3}, 1), fill({2, 4}, 1));
      }) ==
      "functional::distillation_kl: expected teacher_logits of shape [2, 3], got [2, "
      "4]");
  CHECK(error_of<c10::ValueError>([] {
          f::distillation_kl(fill({2, 3}, 1), fill({2, 3}, 1), 0);
        }) == "functional::distillation_kl: expected tau > 0, got 0");
  CHECK(
      error_of<c10::ValueError>([] {
        f::distillation_cosine(fill({2, 3}, 1), fill({2, 4}, 1));
      }) ==
      "functional::distillation_cosine: expected student_features and teacher_features "
      "of "
      "one shape [.., D], got [2, 3] and [2, 4]");
}
