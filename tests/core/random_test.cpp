#include "trmml/core/random.hpp"

#include <ATen/ATen.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <random>
#include <set>
#include <vector>

#include "reference/core.hpp"
#include "support/catch.hpp"

namespace ref = reference::core;

TEST_CASE("derive_seed: the values of an independent implementation") {
  const auto half = [](size_t i) { return static_cast<uint64_t>(ref::kSeeds[i]); };
  const auto expected = [&half](size_t i) {
    return (half(2 * i) << 32U) | half(2 * i + 1);
  };
  CHECK(trmml::derive_seed(0, 0, "") == expected(0));
  CHECK(trmml::derive_seed(0, 0, "order") == expected(1));
  CHECK(trmml::derive_seed(7, 3, "order") == expected(2));
  CHECK(trmml::derive_seed(3, 7, "order") == expected(3));
  CHECK(
      trmml::derive_seed(std::numeric_limits<uint64_t>::max(), 12, "initial weights") ==
      expected(4));
}

TEST_CASE("derive_seed: neighbours share nothing") {
  std::set<uint64_t> seen;
  double bits = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    for (uint64_t epoch = 0; epoch < 40; ++epoch) {
      for (const char* purpose : {"order", "augmentation"}) {
        const uint64_t value = trmml::derive_seed(seed, epoch, purpose);
        seen.insert(value);
        bits += __builtin_popcountll(value);
      }
    }
  }
  CHECK(seen.size() == 40 * 40 * 2);
  CHECK(bits / 3200 == Catch::Approx(32).margin(0.5));  // 7 standard deviations
}

TEST_CASE("make_generator: its own stream, the global one stays") {
  const auto global = [] {
    return at::globalContext().defaultGenerator(at::kCPU).get_state();
  };
  const at::Tensor before = global().clone();
  at::Generator a = trmml::make_generator(1, 2, "noise");
  at::Generator b = trmml::make_generator(1, 2, "noise");
  at::Generator c = trmml::make_generator(1, 3, "noise");
  CHECK(a.current_seed() == trmml::derive_seed(1, 2, "noise"));
  const at::Tensor x = at::randn({8}, a);
  CHECK(x.equal(at::randn({8}, b)));
  CHECK_FALSE(x.equal(at::randn({8}, c)));
  CHECK_FALSE(x.equal(at::randn({8}, a)));
  CHECK(global().equal(before));
}

namespace {

template <size_t n>
void check_legacy(
    uint32_t seed,
    const double (&uniform)[6],
    const double (&shuffled)[n],
    const double (&intervals)[8]) {
  std::mt19937 engine(seed);
  for (const double value : uniform) {
    CHECK(trmml::legacy_uniform(engine) == value);  // bit for bit
  }
  std::vector<int> numbers(n);
  std::iota(numbers.begin(), numbers.end(), 0);
  trmml::legacy_shuffle(engine, numbers);
  CHECK(
      std::vector<double>(numbers.begin(), numbers.end()) ==
      std::vector<double>(shuffled, shuffled + n));
  constexpr std::array<uint32_t, 8> kMax = {0, 1, 2, 9, 15, 16, 999, 2147483647U};
  for (size_t i = 0; i < kMax.size(); ++i) {
    CHECK(trmml::legacy_interval(engine, kMax[i]) == intervals[i]);
  }
}

}  // namespace

TEST_CASE("make_engine: seeded by the generator's next output, which it takes") {
  // 3499211612 is the first output of MT19937 seeded with 5489, 581869302 the second.
  at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(5489);
  CHECK(trmml::make_engine(generator) == std::mt19937(3499211612U));
  CHECK(trmml::make_engine(generator) == std::mt19937(581869302U));
  at::Generator none;
  CHECK_THROWS_AS(trmml::make_engine(none), c10::ValueError);
}

TEST_CASE("legacy random numbers: NumPy's, bit for bit") {
  check_legacy(0, ref::kUniform0, ref::kShuffled0, ref::kIntervals0);
  check_legacy(1200, ref::kUniform1200, ref::kShuffled1200, ref::kIntervals1200);
}

TEST_CASE("legacy random numbers: nothing is drawn where nothing is to be chosen") {
  std::mt19937 engine(5);
  std::mt19937 untouched(5);
  CHECK(trmml::legacy_interval(engine, 0) == 0);
  std::vector<int> none;
  std::vector<int> one = {4};
  trmml::legacy_shuffle(engine, none);
  trmml::legacy_shuffle(engine, one);
  CHECK(one == std::vector<int>{4});
  CHECK(engine == untouched);
}
