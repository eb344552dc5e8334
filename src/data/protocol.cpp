#include "trmml/data/protocol.hpp"

#include "trmml/data/missing_labels.hpp"

#include <c10/util/Exception.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <utility>

namespace trmml::data {
namespace {

constexpr std::array<std::pair<Protocol, std::string_view>, 7> kProtocols = {{
    {Protocol::kAllLabels, "all-labels"},
    {Protocol::kKnownLabelProportion, "known-label-proportion"},
    {Protocol::kMissingPositives, "missing-positives"},
    {Protocol::kSinglePositive, "single-positive"},
    {Protocol::kSalientPositive, "salient-positive"},
    {Protocol::kFixedPerClass, "fixed-per-class"},
    {Protocol::kRandomPerSample, "random-per-sample"},
}};

PositivesLeft positives_left(double share) {
  TORCH_CHECK_VALUE(
      share == 0.75 || share == 0.4,
      "missing-positives: expected 0.75 or 0.4 of the positives left, got ",
      share);
  return share == 0.75 ? PositivesLeft::kThreeQuarters : PositivesLeft::kTwoFifths;
}

}  // namespace

Protocol parse_protocol(std::string_view name) {
  for (const auto& [protocol, known] : kProtocols) {
    if (known == name) {
      return protocol;
    }
  }
  TORCH_CHECK_VALUE(
      false,
      "parse_protocol: expected one of ",
      fmt::format("{}", fmt::join(protocol_names(), ", ")),
      ", got \"",
      name,
      "\"");
}

std::string to_string(Protocol protocol) {
  for (const auto& [known, name] : kProtocols) {
    if (known == protocol) {
      return std::string(name);
    }
  }
  return "unknown";
}

std::vector<std::string> protocol_names() {
  std::vector<std::string> names;
  for (const auto& [unused, name] : kProtocols) {
    names.emplace_back(name);
  }
  return names;
}

uint32_t seed_of(const ProtocolOptions& options) {
  return options.seed.value_or(
      options.protocol == Protocol::kSinglePositive ? 1200U : 0U);
}

std::string describe(const ProtocolOptions& options) {
  const std::string name = to_string(options.protocol);
  const uint32_t seed = seed_of(options);
  switch (options.protocol) {
    case Protocol::kAllLabels:
    case Protocol::kSalientPositive:
      return name;
    case Protocol::kKnownLabelProportion:
      return fmt::format("{} {}, seed {}", name, options.known_label_proportion, seed);
    case Protocol::kMissingPositives:
      return fmt::format("{} {} left, seed {}", name, options.positives_left, seed);
    case Protocol::kSinglePositive:
      return fmt::format("{}, seed {}", name, seed);
    case Protocol::kFixedPerClass:
      return fmt::format("{} {}, seed {}", name, options.labels_per_class, seed);
    case Protocol::kRandomPerSample:
      return fmt::format("{} {} removed, seed {}", name, options.removal_rate, seed);
  }
  return name;
}

at::Tensor hide_labels(const Split& split, const ProtocolOptions& options) {
  const at::Tensor& labels = split.table.labels;
  const uint32_t seed = seed_of(options);
  switch (options.protocol) {
    case Protocol::kAllLabels:
      return labels.clone();
    case Protocol::kKnownLabelProportion:
      return known_label_proportion(labels, options.known_label_proportion, seed);
    case Protocol::kMissingPositives:
      return missing_positives(labels, positives_left(options.positives_left), seed);
    case Protocol::kSinglePositive:
      return single_positive(labels, seed);
    case Protocol::kSalientPositive:
      TORCH_CHECK_VALUE(
          !split.salient.empty(),
          "salient-positive: expected the category of each picture's largest object, "
          "but ",
          split.name,
          " has no sizes of objects");
      return keep_one_positive(labels, split.salient);
    case Protocol::kFixedPerClass:
      return fixed_per_class(labels, options.labels_per_class, seed);
    case Protocol::kRandomPerSample:
      return random_per_sample(labels, options.removal_rate, seed);
  }
  return labels.clone();
}

}  // namespace trmml::data
