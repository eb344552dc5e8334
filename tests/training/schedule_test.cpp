#include "trmml/training/schedule.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "reference/training.hpp"
#include "support/catch.hpp"

namespace ref = reference::training;
using trmml::training::one_cycle;
using trmml::training::OneCyclePoint;

namespace {

template <size_t n>
void check_schedule(double rise, const double (&rates)[n], const double (&momenta)[n]) {
  for (size_t step = 0; step < n; ++step) {
    const OneCyclePoint point =
        one_cycle(static_cast<int64_t>(step), static_cast<int64_t>(n), 0.02, rise);
    INFO("step " << step << " of " << n);
    CHECK(point.learning_rate == Catch::Approx(rates[step]).epsilon(1e-9));
    CHECK(point.momentum == Catch::Approx(momenta[step]).epsilon(1e-9));
  }
}

}  // namespace

TEST_CASE("one_cycle: torch's OneCycleLR, step by step") {
  check_schedule(0.2, ref::kRate10, ref::kMomentum10);
  check_schedule(0.5, ref::kRate24, ref::kMomentum24);
  check_schedule(0.3, ref::kRate37, ref::kMomentum37);
  check_schedule(0.2, ref::kRate3, ref::kMomentum3);
}

TEST_CASE("one_cycle: from max / 25 over max to max / 250,000") {
  CHECK(one_cycle(0, 101, 1.0, 0.3).learning_rate == Catch::Approx(0.04));
  CHECK(one_cycle(100, 101, 1.0, 0.3).learning_rate == Catch::Approx(4e-6));
  double largest = 0;
  for (int64_t step = 0; step < 101; ++step) {
    largest = std::max(largest, one_cycle(step, 101, 1.0, 0.3).learning_rate);
  }
  CHECK(largest <= 1.0);
  CHECK(largest > 0.99);
}

TEST_CASE("one_cycle: runs too short to rise") {
  CHECK(one_cycle(0, 1, 0.5).learning_rate == 0.5);
  CHECK(one_cycle(0, 1, 0.5).momentum == 0.85);
  CHECK(one_cycle(0, 5, 0.5, 0.2).learning_rate == Catch::Approx(0.5));  // peak at 0
  CHECK(one_cycle(4, 5, 0.5, 0.2).learning_rate == Catch::Approx(0.5 / 25e4));
  CHECK(one_cycle(1, 2, 0.5).learning_rate == Catch::Approx(0.5 / 25e4));
}
