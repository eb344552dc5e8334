#pragma once

#include <string>

#include "support/data_set.hpp"
#include "support/predictor.hpp"
#include "support/score_reader.hpp"

// Scores of a trained method on a data set, for `evaluate`.

namespace evaluation_program {

/// Which method, and which pictures.
struct CheckpointSource {
  experiment::PredictorOptions predictor;
  data_set::Options data;
  std::string part = "test";
  std::string save_scores;  ///< file .safetensors, or empty
};

/// Adds --checkpoint and all that belongs to it; none is required.
void add_options(CLI::App& app, CheckpointSource& source);

/// Scores every picture of the part, or with --skip-unreadable those that can be read,
/// which are counted on stderr; logits. With `save_scores` also writes "scores",
/// "labels" (and "mask") as `read_score_files` reads them.
///
/// Throws `program::UsageError` for options that do not fit together;
/// `trmml::DataError` when the categories are not those of the training, or a picture
/// cannot be read; `trmml::CheckpointError`.
Scored score_checkpoint(const CLI::App& app, const CheckpointSource& source);

}  // namespace evaluation_program
