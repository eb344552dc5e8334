#pragma once

#include "trmml/report/run_report.hpp"

#include <cstdint>
#include <string>

#include "support/score_reader.hpp"

// All metrics of a set of scores, for `evaluate`.

namespace evaluation_program {

/// What scores are.
enum class Scale {
  kProbabilities,  ///< in [0, 1]
  kLogits,         ///< a sigmoid makes them probabilities
  kRanking,        ///< of any kind: neither threshold nor calibration
};

struct MetricOptions {
  Scale scale = Scale::kProbabilities;
  trmml::evaluation::ApDefinition definition =
      trmml::evaluation::ApDefinition::kPrecisionAtPositives;
  double threshold = 0.5;
  int64_t top_k = 3;  ///< left out where there are no more categories
  int64_t bins = 15;
  trmml::evaluation::BootstrapOptions bootstrap;  ///< 0 replicates: none
};

/// The report of `scored`, whose logits become probabilities in place. AP, bootstrap
/// and top-k are those of the scores as they came: a sigmoid in single precision makes
/// high logits equal.
///
/// Throws `trmml::DataError` on NaN, and on values outside [0, 1] where probabilities
/// are needed.
trmml::report::RunReport evaluate(Scored& scored, const MetricOptions& options);

/// The report in some lines, and a line for each category.
std::string summary(const trmml::report::RunReport& report);
std::string category_table(const trmml::report::RunReport& report);

}  // namespace evaluation_program
