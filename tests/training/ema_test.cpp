#include "trmml/training/ema.hpp"

#include <ATen/ATen.h>

#include <stdexcept>

#include "support/catch.hpp"

using trmml::training::Ema;

namespace {

at::Tensor parameter(double value) {
  return at::full({2}, value, at::kDouble).requires_grad_();
}

void set(at::Tensor p, double value) {
  const c10::NoGradGuard no_grad;
  p.fill_(value);
}

}  // namespace

TEST_CASE("Ema: worked by hand") {
  const at::Tensor a = parameter(1);
  const at::Tensor b = parameter(-2);
  Ema ema({{"a", a}, {"b", b}}, 0.75);
  CHECK(ema.average()[0].equal(at::full({2}, 1.0, at::kDouble)));
  set(a, 3);
  ema.update();
  CHECK(ema.average()[0].equal(at::full({2}, 1.5, at::kDouble)));
  CHECK(ema.average()[1].equal(at::full({2}, -2.0, at::kDouble)));
  set(a, 5.5);
  ema.update();
  CHECK(ema.average()[0].equal(at::full({2}, 2.5, at::kDouble)));
  CHECK(a.equal(at::full({2}, 5.5, at::kDouble)));  // the weights themselves stay
  CHECK_FALSE(ema.average()[0].requires_grad());
  CHECK(ema.parameters()[1].first == "b");
}

TEST_CASE("Ema: applied while the guard lives, also through an exception") {
  const at::Tensor a = parameter(1);
  Ema ema({{"a", a}}, 0.5);
  set(a, 3);
  ema.update();
  {
    const Ema::Applied applied(ema);
    CHECK(a.equal(at::full({2}, 2.0, at::kDouble)));
    CHECK(a.requires_grad());
  }
  CHECK(a.equal(at::full({2}, 3.0, at::kDouble)));
  CHECK(ema.average()[0].equal(at::full({2}, 2.0, at::kDouble)));
  try {
    const Ema::Applied applied(ema);
    throw std::runtime_error("out");
  } catch (const std::runtime_error&) {
  }
  CHECK(a.equal(at::full({2}, 3.0, at::kDouble)));
}

TEST_CASE("Ema: decay 0 is the weights themselves") {
  const at::Tensor a = parameter(1);
  Ema ema({{"a", a}}, 0.0);
  set(a, 3);
  ema.update();
  CHECK(ema.average()[0].equal(a));
}
