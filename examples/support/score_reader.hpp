#pragma once

#include <ATen/core/Tensor.h>

#include <CLI/CLI.hpp>

#include <string>
#include <utility>
#include <vector>

// Scores and labels from files, for `evaluate`.

namespace evaluation_program {

/// What metrics are computed from, wherever it comes from: files, or a model and a data
/// set. N pictures, C categories; contiguous, on the CPU.
struct Scored {
  at::Tensor scores;               ///< float or double [N, C]
  at::Tensor labels;               ///< int8 [N, C] in {-1, 0, +1}
  at::Tensor ignore;               ///< bool [N, C], true is left out; or undefined
  std::vector<std::string> names;  ///< [C], unique
  std::vector<std::pair<std::string, std::string>> files;  ///< role and path
  std::string dataset;                                     ///< where it is known
  std::string split;  ///< `data::Split::name` where it is known
};

/// Paths; `mask` and `names` may be empty.
struct ScoreFiles {
  std::string scores;
  std::string labels;
  std::string mask;
  std::string names;
  std::string code = "hcp";  ///< of the labels: `data::parse_label_code`
};

void add_options(CLI::App& app, ScoreFiles& files);

/// Reads them: CSV (`data::read_number_table`), NumPy's .npy, or safetensors (the
/// tensor that has the name of its role, "scores", "labels" or "mask", or the only
/// one). Names come from `names` (a line each, or .npy), else from a header, else they
/// are 0, 1 ...
///
/// Throws `trmml::DataError` when a file cannot be read, shapes or names disagree, or
/// values are of the wrong kind.
Scored read_score_files(const ScoreFiles& files);

}  // namespace evaluation_program
