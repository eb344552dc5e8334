#pragma once

#include "trmml/data/protocol.hpp"
#include "trmml/data/split.hpp"

#include <CLI/CLI.hpp>

#include <cstdint>
#include <optional>
#include <string>

// Which labels a training program shows to its method.

namespace experiment {

/// A protocol of missing labels, or a mask in a file.
struct Protocol {
  trmml::data::ProtocolOptions options = {
      .protocol = trmml::data::Protocol::kKnownLabelProportion};
  std::string mask;       ///< file of `data::read_mask`; empty: `options` count
  std::string mask_code;  ///< who wrote it
  std::optional<uint32_t> mask_seed;

  /// One known positive a picture and no known absence.
  bool is_single() const;
  bool is_salient() const;

  /// Positives alone are known: one or some of each picture.
  bool hides_absences() const;
  bool hides_nothing() const;

  /// "10 % known labels", "single positive (salient)"; without the seed.
  std::string description() const;

  /// In a report: the proportion where that says all, else empty.
  std::optional<double> known_label_proportion() const;

  /// The seed of the mask in a run of seed `seed`, which shifts that of the published
  /// protocol unless `mask_seed` is given; none of a file, and where nothing is drawn
  /// (`draws_salient`: the salient category is). Throws `program::UsageError` for one
  /// of more than 32 bits.
  std::optional<uint32_t> seed_of_mask(uint64_t seed, bool draws_salient = false) const;

  /// Labels [N, C] that stay known in a run of seed `seed`.
  at::Tensor hide(const trmml::data::Split& split, uint64_t seed) const;
};

/// `--known-label-proportion` and `--single-positive`, which exclude each other; with
/// `all`, every protocol and `--mask`, too.
void add_protocol(CLI::App& app, Protocol& protocol, bool all);

/// Throws `program::NoEffect` for --mask-seed where nothing is drawn.
void check(const CLI::App& app, const Protocol& protocol, bool draws_salient);

}  // namespace experiment
