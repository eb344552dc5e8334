#pragma once

#include <CLI/CLI.hpp>

#include <cstddef>
#include <string>

#include "support/evaluation.hpp"

// The options of `evaluate` that say what is computed.

namespace evaluation_program {

/// `MetricOptions` as the command line has them.
struct MetricWords {
  std::string scale = "probabilities";
  std::string ap = "precision_at_positives";
  MetricOptions metrics;  ///< but for these two
};

void add_options(CLI::App& app, MetricWords& words);

/// What they mean; scores of a checkpoint are logits. Throws `program::UsageError` for
/// options that have no effect with the others.
MetricOptions
metric_options(const CLI::App& app, const MetricWords& words, bool has_checkpoint);

/// Throws `program::UsageError` for a --top-k that is given and is not less than the
/// number of categories: nothing is computed then.
void check_top_k(const CLI::App& app, size_t categories);

}  // namespace evaluation_program
