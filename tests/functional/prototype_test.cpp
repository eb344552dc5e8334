#include "trmml/functional/prototype.hpp"

#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <cstdint>

#include "reference/functional.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/tensors.hpp"

namespace f = trmml::functional;
namespace ref = reference::functional;
using support::error_of;
using support::fill;
using support::fill_labels;
using support::is_close;
using support::is_equal;
using support::numbers;
using support::states;

TEST_CASE("prototypes: by hand") {
  // Two images of category 0, (3, 4) and (6, 8): mean direction (0.6, 0.8).
  const at::Tensor x = numbers({3, 4, 1, 0, 6, 8, 1, 0}, {2, 2, 2});
  const f::CategorySums seen = f::category_sums(x, states({1, 0, 1, 0}, {2, 2}));
  CHECK(is_close(seen.sums, numbers({1.2, 1.6, 0, 0}, {2, 2}), 1e-12));
  CHECK(is_equal(seen.counts, numbers({2, 0}, {2})));

  const at::Tensor zero = at::zeros({2, 2}, at::kDouble);
  const at::Tensor nothing = at::zeros({2}, at::kBool);
  const f::Prototypes first = f::update_prototypes({zero, nothing}, seen);
  CHECK(is_close(first.values, numbers({0.6, 0.8, 0, 0}, {2, 2}), 1e-12));
  CHECK(is_equal(first.ready, at::tensor({1, 0})));

  // Then (1, 0): norm(0.9 (0.6, 0.8) + 0.1 (1, 0)) = (0.64, 0.72) / |.|.
  const f::CategorySums next{numbers({5, 0, 0, 0}, {2, 2}), numbers({5, 0}, {2})};
  const f::Prototypes second = f::update_prototypes(first, next);
  const double length = std::sqrt(0.64 * 0.64 + 0.72 * 0.72);
  CHECK(
      is_close(second.values[0], numbers({0.64 / length, 0.72 / length}, {2}), 1e-12));

  // Momentum 1 keeps the first value for ever.
  const f::Prototypes kept = f::update_prototypes({zero, nothing}, seen, 1);
  CHECK(is_close(kept.values, first.values, 1e-12));
  CHECK(is_close(f::update_prototypes(kept, next, 1).values, first.values, 1e-12));

  // Nothing seen: nothing changes.
  const f::CategorySums none{zero, at::zeros({2}, at::kDouble)};
  const f::Prototypes same = f::update_prototypes(second, none);
  CHECK(is_equal(same.values, second.values));
  CHECK(is_equal(same.ready, second.ready));
}

TEST_CASE(
    "prototypes: three updates against the reference; a split batch is the same") {
  f::Prototypes whole{at::zeros({5, 6}, at::kDouble), at::zeros({5}, at::kBool)};
  f::Prototypes split = whole;
  for (int64_t step = 0; step < 3; ++step) {
    const at::Tensor x = fill({4, 5, 6}, 20 + step);
    const at::Tensor y = fill_labels({4, 5}, 3 + step);
    y.select(1, 3).zero_();
    if (step < 1) {
      y.select(1, 4).zero_();
    }
    whole = f::update_prototypes(whole, f::category_sums(x, y.gt(0)));
    // Two ranks of two images each, summed as an all-reduce would.
    const f::CategorySums a =
        f::category_sums(x.narrow(0, 0, 2), y.narrow(0, 0, 2).gt(0));
    const f::CategorySums b =
        f::category_sums(x.narrow(0, 2, 2), y.narrow(0, 2, 2).gt(0));
    split = f::update_prototypes(split, {a.sums + b.sums, a.counts + b.counts});
  }
  CHECK(is_close(whole.values, numbers(ref::kPrototypes, {5, 6}), 1e-12));
  CHECK(is_equal(whole.ready, numbers(ref::kReady, {5})));
  CHECK(is_close(split.values, whole.values, 1e-12));
}

TEST_CASE("prototypes: messages") {
  const f::Prototypes bank{fill({2, 3}, 1), at::ones({2}, at::kBool)};
  CHECK(
      error_of<c10::ValueError>([&] {
        f::update_prototypes(bank, {fill({3, 3}, 1), fill({3}, 1)});
      }) == "functional::update_prototypes: expected sums of shape [2, 3], got [3, 3]");
  CHECK(error_of<c10::ValueError>([&] {
          f::update_prototypes(bank, {fill({2, 3}, 1), fill({2}, 1)}, 1.5);
        }) == "functional::update_prototypes: expected momentum in [0, 1], got 1.5");
}
