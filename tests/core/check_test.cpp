#include "trmml/core/check.hpp"

#include <ATen/ATen.h>

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/tensors.hpp"

using support::error_of;
using trmml::check_floating;
using trmml::check_labels;
using trmml::check_shape;
using trmml::kAnySize;

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
