#include "trmml/method/ablation.hpp"

#include <cstddef>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/errors.hpp"

using support::error_of;
using trmml::MethodSwitches;

namespace {

/// The parts of a row, one bit each.
std::vector<bool> parts(const MethodSwitches& row) {
  return {
      row.assume_negative,
      row.pooled,
      row.distillation,
      row.contrastive,
      row.pseudo_labels,
      row.zero_shot_at_test};
}

/// How many parts `row` has more than `base`; -1 when it lacks one.
int extra_parts(const std::string& base, const std::string& row) {
  const auto a = parts(trmml::method_switches(base));
  const auto b = parts(trmml::method_switches(row));
  int more = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] && !b[i]) {
      return -1;
    }
    more += !a[i] && b[i] ? 1 : 0;
  }
  return more;
}

}  // namespace

TEST_CASE("methods: every row is the one before it and one part more") {
  CHECK(extra_parts("region", "region+distillation") == 1);
  CHECK(extra_parts("region+distillation", "region+distillation+contrastive") == 1);
  CHECK(extra_parts("region+distillation+contrastive", "trm-ml") == 1);
  CHECK(
      extra_parts(
          "region+distillation+contrastive",
          "region+distillation+contrastive+zero-shot") == 1);
  CHECK(extra_parts("text-pixel", "text-pixel+pseudo-labels") == 1);
  CHECK(extra_parts("linear", "linear-assume-negative") == 1);
  CHECK(extra_parts("linear", "linear-pooled") == 1);
  CHECK(extra_parts("text-pixel", "region") == 0);  // the kind is what differs
  using Kind = MethodSwitches::Kind;
  CHECK(trmml::method_switches("zero-shot").kind == Kind::kZeroShot);
  CHECK(trmml::method_switches("linear-pooled").kind == Kind::kLinear);
  CHECK(trmml::method_switches("text-image").kind == Kind::kTextImage);
  CHECK(trmml::method_switches("text-pixel+pseudo-labels").kind == Kind::kTextPixel);
  CHECK(trmml::method_switches("trm-ml").kind == Kind::kRegion);
  CHECK(trmml::method_switches("trm-ml").pseudo_labels);
}

TEST_CASE("methods: names are unique, an unknown one is answered with the list") {
  std::set<std::string> names;
  for (const auto& [name, switches] : trmml::methods()) {
    names.insert(name);
  }
  CHECK(names.size() == trmml::methods().size());
  CHECK(trmml::methods().front().first == "zero-shot");
  CHECK(trmml::methods().back().first == "trm-ml");
  CHECK(
      error_of<std::invalid_argument>([] { trmml::method_switches("TRM"); }) ==
      "expected a method of zero-shot, linear, linear-assume-negative, linear-pooled, "
      "text-image, text-pixel, text-pixel+pseudo-labels, region, region+distillation, "
      "region+distillation+contrastive, region+distillation+contrastive+zero-shot, "
      "trm-ml, got \"TRM\"");
}
