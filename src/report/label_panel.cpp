#include "trmml/report/label_panel.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace trmml::report {

namespace {

void check_length(std::size_t expected, std::size_t got, std::string_view name) {
  if (expected != got) {
    throw std::invalid_argument(fmt::format(
        "make_label_panel: expected {} {}, one a category, got {}",
        expected,
        name,
        got));
  }
}

void check_label(int label, std::string_view name, const std::string& category) {
  if (label < -1 || label > 1) {
    throw std::invalid_argument(fmt::format(
        "make_label_panel: expected {} in {{-1 absent, 0 unknown, +1 present}}, got {} "
        "for '{}'",
        name,
        label,
        category));
  }
}

}  // namespace

LabelPanel make_label_panel(
    std::string title,
    Picture picture,
    std::span<const std::string> names,
    std::span<const std::int8_t> known,
    std::span<const std::int8_t> truth,
    std::span<const float> probabilities) {
  check_length(names.size(), known.size(), "known labels");
  check_length(names.size(), truth.size(), "true labels");
  if (!probabilities.empty()) {
    check_length(names.size(), probabilities.size(), "probabilities");
  }
  LabelPanel panel;
  panel.title = std::move(title);
  panel.picture = std::move(picture);
  for (std::size_t c = 0; c < names.size(); ++c) {
    PanelLabel label;
    label.name = names[c];
    label.known = known[c];
    label.truth = truth[c];
    check_label(label.known, "known labels", label.name);
    check_label(label.truth, "true labels", label.name);
    if (!probabilities.empty()) {
      label.probability = probabilities[c];
      if (!(label.probability >= 0.0 && label.probability <= 1.0)) {
        throw std::invalid_argument(fmt::format(
            "make_label_panel: expected probabilities in [0, 1], got {} for '{}'",
            label.probability,
            label.name));
      }
    }
    panel.labels.push_back(std::move(label));
  }
  return panel;
}

PanelGroups group_labels(const LabelPanel& panel, std::int64_t max_predicted) {
  PanelGroups groups;
  std::vector<PanelLabel> ranked;
  for (const PanelLabel& label : panel.labels) {
    if (label.known > 0) {
      groups.known_present.push_back(label);
    } else if (label.known < 0) {
      groups.known_absent.push_back(label);
    } else if (label.truth > 0) {
      groups.hidden_present.push_back(label);
    } else if (label.truth < 0) {
      ++groups.hidden_absent;
    }
    if (!std::isnan(label.probability)) {
      ranked.push_back(label);
    }
  }
  std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) {
    return a.probability > b.probability;
  });
  for (const PanelLabel& label : ranked) {
    const bool has_room =
        static_cast<std::int64_t>(groups.predicted.size()) < max_predicted;
    if (label.probability > panel.threshold || has_room || label.truth > 0) {
      groups.predicted.push_back(label);
    }
  }
  return groups;
}

}  // namespace trmml::report
