#pragma once

#include "trmml/data/split.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trmml::data {

/// How labels come to be missing: the functions of `missing_labels.hpp` by name, for
/// programs.
enum class Protocol {
  kAllLabels,             ///< nothing is hidden
  kKnownLabelProportion,  ///< HCP: `known_label_proportion`
  kMissingPositives,      ///< SPLC: `missing_positives`
  kSinglePositive,        ///< Cole et al.: `single_positive`
  kSalientPositive,       ///< ours: `keep_one_positive` of `Split::salient`
  kFixedPerClass,         ///< CSL: `fixed_per_class`
  kRandomPerSample,       ///< CSL: `random_per_sample`
};

/// The protocol of this name, one of `protocol_names()`. Throws `c10::ValueError`.
Protocol parse_protocol(std::string_view name);

/// "known-label-proportion"; what `parse_protocol` reads.
std::string to_string(Protocol protocol);

/// The names of all protocols: "all-labels", "known-label-proportion",
/// "missing-positives", "single-positive", "salient-positive", "fixed-per-class",
/// "random-per-sample".
std::vector<std::string> protocol_names();

/// A protocol and its parameters; those of other protocols do not matter.
struct ProtocolOptions {
  Protocol protocol = Protocol::kAllLabels;
  double known_label_proportion = 0.1;  ///< in [0, 1]
  double positives_left = 0.75;         ///< 0.75 or 0.4, the two of SPLC
  int64_t labels_per_class = 1000;      ///< present ones, and as many absent ones
  double removal_rate = 0.9;            ///< in [0, 1]
  std::optional<uint32_t> seed = {};    ///< default: that of the published protocol
};

/// The seed that counts: the one given, else 1200 for `kSinglePositive`, else 0.
uint32_t seed_of(const ProtocolOptions& options);

/// "known-label-proportion 0.1, seed 0": what a report says about its mask.
std::string describe(const ProtocolOptions& options);

/// The labels [N, C] of `split` that `options` leaves known, the others 0.
///
/// Throws `c10::ValueError` for parameters outside of their range, and for
/// `kSalientPositive` where the data set has no sizes of objects.
at::Tensor hide_labels(const Split& split, const ProtocolOptions& options);

}  // namespace trmml::data
