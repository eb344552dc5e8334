#include "support/protocol.hpp"

#include "trmml/core/error.hpp"
#include "trmml/data/label_code.hpp"
#include "trmml/data/mask_files.hpp"

#include <fmt/format.h>

#include <limits>
#include <vector>

#include "support/program.hpp"

namespace experiment {

namespace data = trmml::data;
using Kind = data::Protocol;

bool Protocol::is_single() const {
  return mask.empty() && (options.protocol == Kind::kSinglePositive ||
                          options.protocol == Kind::kSalientPositive);
}

bool Protocol::is_salient() const {
  return mask.empty() && options.protocol == Kind::kSalientPositive;
}

bool Protocol::hides_absences() const {
  return is_single() || (mask.empty() && options.protocol == Kind::kMissingPositives);
}

bool Protocol::hides_nothing() const {
  return mask.empty() && (options.protocol == Kind::kAllLabels ||
                          known_label_proportion().value_or(0.0) >= 1.0);
}

std::string Protocol::description() const {
  if (!mask.empty()) {
    return fmt::format("mask {} ({})", mask, mask_code);
  }
  if (hides_nothing()) {
    return "all labels";
  }
  switch (options.protocol) {
    case Kind::kSinglePositive:
      return "single positive (random)";
    case Kind::kSalientPositive:
      return "single positive (salient)";
    case Kind::kMissingPositives:
      return fmt::format("{:g} % known positives", 100 * options.positives_left);
    case Kind::kFixedPerClass:
      return fmt::format(
          "up to {0} present and {0} absent labels a category",
          options.labels_per_class);
    case Kind::kRandomPerSample:
      return fmt::format("{:g} % hidden labels", 100 * options.removal_rate);
    default:
      return fmt::format("{:g} % known labels", 100 * options.known_label_proportion);
  }
}

std::optional<double> Protocol::known_label_proportion() const {
  if (!mask.empty() || options.protocol != Kind::kKnownLabelProportion) {
    return std::nullopt;
  }
  return options.known_label_proportion;
}

std::optional<uint32_t> Protocol::seed_of_mask(uint64_t seed, bool draws_salient)
    const {
  if (!mask.empty() || hides_nothing() || (is_salient() && !draws_salient)) {
    return std::nullopt;
  }
  if (mask_seed) {
    return mask_seed;
  }
  const uint32_t published = data::seed_of(options);
  const uint32_t largest = std::numeric_limits<uint32_t>::max() - published;
  if (seed > largest) {
    throw program::UsageError(fmt::format(
        "--seed: expected at most {}, as the seed of the mask has 32 bits, got {} (or "
        "give the mask its own: --mask-seed)",
        largest,
        seed));
  }
  return published + static_cast<uint32_t>(seed);
}

at::Tensor Protocol::hide(const data::Split& split, uint64_t seed) const {
  if (!mask.empty()) {
    return program::with_flag<trmml::DataError>("--mask", [&] {
      return data::read_mask(mask, data::parse_label_code(mask_code), split.table);
    });
  }
  data::ProtocolOptions seeded = options;
  seeded.seed = seed_of_mask(seed).value_or(data::seed_of(options));
  return data::hide_labels(split, seeded);
}

void add_protocol(CLI::App& app, Protocol& protocol, bool all) {
  // Without default values: else a written config.toml would hold all of them.
  auto& options = protocol.options;
  std::vector<CLI::Option*> choices;
  const auto add =
      [&](const std::string& flag, Kind kind, auto& value, const char* text) {
        using Value = std::decay_t<decltype(value)>;
        choices.push_back(app.add_option_function<Value>(
            flag,
            [&options, &value, kind](const Value& given) {
              options.protocol = kind;
              value = given;
            },
            text));
        return choices.back();
      };
  add("--known-label-proportion",
      Kind::kKnownLabelProportion,
      options.known_label_proportion,
      fmt::format(
          "Share of the labels that training sees, in (0, 1] ({:g})",
          options.known_label_proportion)
          .c_str())
      ->check(program::expects(
          "a number in (0, 1]", [](double value) { return value > 0 && value <= 1; }));
  choices.push_back(app.add_option_function<std::string>(
                           "--single-positive",
                           [&options](const std::string& word) {
                             options.protocol = word == "random"
                                                    ? Kind::kSinglePositive
                                                    : Kind::kSalientPositive;
                           },
                           "One known positive a picture: random, or salient (the most "
                           "prominent one)")
                        ->check(CLI::IsMember({"random", "salient"})));
  if (all) {
    add("--positives-left",
        Kind::kMissingPositives,
        options.positives_left,
        "Positives that a picture keeps, as SPLC: 0.75 or 0.4")
        ->check(program::expects(
            "0.75 or 0.4", [](double value) { return value == 0.75 || value == 0.4; }));
    add("--labels-per-class",
        Kind::kFixedPerClass,
        options.labels_per_class,
        "Present and absent labels that a category keeps, as CSL")
        ->check(program::at_least(1));
    add("--removal-rate",
        Kind::kRandomPerSample,
        options.removal_rate,
        "Share of the labels that is hidden, as CSL")
        ->check(program::expects("a number in [0, 1)", [](double value) {
          return value >= 0 && value < 1;
        }));
    const auto add_text = [&app](
                              const char* flag, std::string& value, const char* text) {
      return app.add_option_function<std::string>(
          flag, [&value](const std::string& given) { value = given; }, text);
    };
    auto* mask = add_text(
        "--mask", protocol.mask, "File of the known labels (docs/protocols.md)");
    auto* code = add_text(
        "--mask-code", protocol.mask_code, "Who wrote it: hcp, dualcoop, cole, splc");
    code->check(CLI::IsMember(
        {"hcp", "dualcoop", "csl", "clsl", "cole", "cole-complete", "splc", "scpnet"}));
    mask->needs(code);
    code->needs(mask);
    choices.push_back(mask);
    app.add_option_function<uint32_t>(
           "--mask-seed",
           [&protocol](const uint32_t& seed) { protocol.mask_seed = seed; },
           "Of the mask (the protocol's + --seed)")
        ->excludes(mask)
        ->check(program::at_least(0));
  }
  for (CLI::Option* one : choices) {
    for (CLI::Option* other : choices) {
      if (one != other) {
        one->excludes(other);
      }
    }
  }
}

void check(const CLI::App& app, const Protocol& protocol, bool draws_salient) {
  program::expect_effect(
      app,
      protocol.seed_of_mask(0, draws_salient).has_value(),
      {"--mask-seed"},
      "labels that are hidden by a draw, got " + protocol.description());
}

}  // namespace experiment
