#include "reference/core.hpp"

#include "trmml/core/check.hpp"
#include "trmml/core/device.hpp"
#include "trmml/core/error.hpp"
#include "trmml/core/random.hpp"
#include "trmml/core/torch_version.hpp"
#include "trmml/core/version.hpp"

#include <ATen/ATen.h>

#include <fmt/format.h>

#include <array>
#include <limits>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/tensors.hpp"

namespace ref = reference::core;
using support::error_of;
using trmml::check_floating;
using trmml::check_labels;
using trmml::check_shape;
using trmml::kAnySize;

// ---------------------------------------------------------------- check.hpp

TEST_CASE("format_shape: sizes, any size, no size") {
  CHECK(trmml::format_shape({}) == "[]");
  CHECK(trmml::format_shape({5}) == "[5]");
  CHECK(trmml::format_shape({2, kAnySize, 0}) == "[2, *, 0]");
}

TEST_CASE("check_shape: what fits") {
  const at::Tensor x = at::zeros({2, 3});
  CHECK_NOTHROW(check_shape(x, {2, 3}, "f", "x"));
  CHECK_NOTHROW(check_shape(x, {kAnySize, 3}, "f", "x"));
  CHECK_NOTHROW(check_shape(x, {kAnySize, kAnySize}, "f", "x"));
  CHECK_NOTHROW(check_shape(at::zeros({}), {}, "f", "x"));
  CHECK_NOTHROW(check_shape(at::zeros({0, 3}), {0, kAnySize}, "f", "x"));
}

TEST_CASE("check_shape: messages") {
  const at::Tensor x = at::zeros({2, 3});
  const auto message = [&x](std::initializer_list<int64_t> shape, const char* hint) {
    return error_of<c10::ValueError>([&] { check_shape(x, shape, "f", "x", hint); });
  };
  CHECK(message({2, 4}, "") == "f: expected x of shape [2, 4], got [2, 3]");
  CHECK(message({kAnySize, 2}, "") == "f: expected x of shape [*, 2], got [2, 3]");
  CHECK(
      message({2}, "one row each") ==
      "f: expected x of shape [2], got [2, 3] (one row each)");
  CHECK(
      message({2, 3, kAnySize}, "") == "f: expected x of shape [2, 3, *], got [2, 3]");
  const auto undefined = [](const char* hint) {
    return error_of<c10::ValueError>([&] {
      check_shape(at::Tensor(), {1, kAnySize}, "f", "x", hint);
    });
  };
  CHECK(undefined("") == "f: expected x of shape [1, *], got an undefined tensor");
  CHECK(
      undefined("give one") ==
      "f: expected x of shape [1, *], got an undefined tensor (give one)");
}

TEST_CASE("check_floating: floating types pass, others are named") {
  for (const auto type : {at::kHalf, at::kBFloat16, at::kFloat, at::kDouble}) {
    CHECK_NOTHROW(check_floating(at::zeros({1}, type), "f", "x"));
  }
  CHECK(error_of<c10::TypeError>([] {
          check_floating(at::zeros({1}, at::kLong), "f", "x");
        }) == "f: expected x of a floating-point type, got Long");
  CHECK(error_of<c10::TypeError>([] {
          check_floating(at::zeros({1}, at::kBool), "f", "x");
        }) == "f: expected x of a floating-point type, got Bool");
}

TEST_CASE("check_labels: any type that holds -1, 0 and +1") {
  const at::Tensor labels = support::states({1, 0, -1, -1, 0, 1}, {2, 3});
  for (const auto type : {at::kChar, at::kInt, at::kLong, at::kFloat, at::kDouble}) {
    CHECK_NOTHROW(check_labels(labels.to(type), {2, 3}, "f"));
  }
  CHECK_NOTHROW(check_labels(at::zeros({0, 3}, at::kChar), {0, 3}, "f"));
}

TEST_CASE("check_labels: the first offender and its place") {
  const auto message = [](const at::Tensor& labels) {
    return error_of<c10::ValueError>([&] { check_labels(labels, {2, kAnySize}, "f"); });
  };
  at::Tensor labels = at::zeros({2, 3}, at::kChar);
  CHECK(message(labels) == "no error");
  labels[1][0] = 2;
  labels[1][2] = -3;
  CHECK(
      message(labels) ==
      "f: expected labels in {-1 absent, 0 unknown, +1 present}, got 2 at [1, 0] "
      "(other "
      "projects code their labels differently: convert them first)");
  at::Tensor broken = at::zeros({2, 3});
  broken[0][1] = std::numeric_limits<double>::quiet_NaN();
  CHECK(message(broken).find("got nan at [0, 1]") != std::string::npos);
  broken[0][1] = 0.5;
  CHECK(message(broken).find("got 0.5 at [0, 1]") != std::string::npos);
  CHECK(
      message(at::zeros({3, 2}, at::kChar)) ==
      "f: expected labels of shape [2, *], got [3, 2]");
  CHECK(error_of<c10::ValueError>([] {
          check_labels(at::full({1}, 7), {1}, "f", "pseudo_labels");
        }).find("f: expected pseudo_labels in {-1 absent") == 0);
}

// ---------------------------------------------------------------- error.hpp

TEST_CASE("errors: what programs tell apart") {
  CHECK(std::is_base_of_v<std::runtime_error, trmml::Error>);
  CHECK(std::is_base_of_v<trmml::Error, trmml::DataError>);
  CHECK(std::is_base_of_v<trmml::Error, trmml::CheckpointError>);
  CHECK(std::is_base_of_v<trmml::Error, trmml::Interrupted>);
  CHECK_FALSE(std::is_base_of_v<trmml::DataError, trmml::CheckpointError>);
  CHECK(
      trmml::CheckpointError("a.safetensors: truncated").what() ==
      std::string("a.safetensors: truncated"));
}

// ---------------------------------------------------------------- random.hpp

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

// ---------------------------------------------------------------- torch_version.hpp

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

// ---------------------------------------------------------------- device.hpp

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
