#include "trmml/report/label_panel.hpp"

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "support/arguments.hpp"
#include "support/catch.hpp"

using support::argument_error;
using trmml::report::group_labels;
using trmml::report::LabelPanel;
using trmml::report::make_label_panel;
using trmml::report::PanelLabel;
using trmml::report::Picture;

namespace {

const std::vector<std::string> kNames = {"bag", "boot", "coat", "dress", "hat", "shoe"};

std::vector<std::string> names_of(const std::vector<PanelLabel>& labels) {
  std::vector<std::string> names;
  for (const PanelLabel& label : labels) {
    names.push_back(label.name);
  }
  return names;
}

LabelPanel example() {
  const std::vector<std::int8_t> known = {1, -1, 0, 0, 0, 0};
  const std::vector<std::int8_t> truth = {1, -1, 1, 1, -1, 0};
  const std::vector<float> probabilities = {0.6F, 0.2F, 0.9F, 0.1F, 0.7F, 0.3F};
  return make_label_panel("a", Picture{}, kNames, known, truth, probabilities);
}

}  // namespace

TEST_CASE("labels are grouped by what is known, hidden and predicted") {
  using Names = std::vector<std::string>;
  const auto groups = group_labels(example());
  CHECK(names_of(groups.known_present) == Names{"bag"});
  CHECK(names_of(groups.known_absent) == Names{"boot"});
  CHECK(names_of(groups.hidden_present) == Names{"coat", "dress"});
  CHECK(groups.hidden_absent == 1);
  CHECK(
      names_of(groups.predicted) ==
      Names{"coat", "hat", "bag", "shoe", "boot", "dress"});
}

TEST_CASE("what is above the threshold and what was missed is always listed") {
  using Names = std::vector<std::string>;
  LabelPanel panel = example();
  CHECK(
      names_of(group_labels(panel, 0).predicted) ==
      Names{"coat", "hat", "bag", "dress"});
  CHECK(
      names_of(group_labels(panel, 4).predicted) ==
      Names{"coat", "hat", "bag", "shoe", "dress"});
  panel.threshold = 0.8;
  CHECK(names_of(group_labels(panel, 0).predicted) == Names{"coat", "bag", "dress"});
}

TEST_CASE("a panel without predictions") {
  const std::vector<std::int8_t> labels(6, 0);
  const LabelPanel panel = make_label_panel("a", Picture{}, kNames, labels, labels, {});
  CHECK(std::isnan(panel.labels[0].probability));
  CHECK(group_labels(panel).predicted.empty());
}

TEST_CASE("panels from rows of different lengths or with other numbers") {
  std::vector<std::int8_t> labels(6, 0);
  std::vector<float> probabilities(6, 0.5F);
  const auto call = [&](std::span<const std::int8_t> known,
                        std::span<const std::int8_t> truth) {
    return argument_error(
        [&] { make_label_panel("a", Picture{}, kNames, known, truth, probabilities); });
  };
  const std::vector<std::int8_t> five(5, 0);
  CHECK(
      call(five, labels) ==
      "make_label_panel: expected 6 known labels, one a category, got 5");
  CHECK(
      call(labels, five) ==
      "make_label_panel: expected 6 true labels, one a category, got 5");
  const std::vector<std::int8_t> twos(6, 2);
  CHECK(
      call(labels, twos) ==
      "make_label_panel: expected true labels in {-1 absent, 0 unknown, +1 present}, "
      "got "
      "2 for 'bag'");
  probabilities[3] = 4.5F;
  CHECK(
      call(labels, labels) ==
      "make_label_panel: expected probabilities in [0, 1], got 4.5 for 'dress'");
  probabilities.pop_back();
  CHECK(
      call(labels, labels) ==
      "make_label_panel: expected 6 probabilities, one a category, got 5");
}
