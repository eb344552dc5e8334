#pragma once

#include "trmml/data/split.hpp"

#include <ATen/core/Tensor.h>

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

#include "support/data_set.hpp"

// Where a program's complete labels come from.

namespace label_source {

/// Either a file of labels or a data set.
struct Options {
  std::string labels;
  std::string code = "hcp";
  std::string images;
  std::string names;
  data_set::Options data;
};

void add_options(CLI::App& app, Options& options);

/// The labels that `options` name; of a data set those of its training part. Throws
/// `program::UsageError` unless one source is named and all options belong to it,
/// `trmml::DataError`.
trmml::data::Split read(const CLI::App& app, const Options& options);

/// Names from `.npy` (dtype U) or from the lines of a text file.
std::vector<std::string> read_names(const std::string& file);

/// Prints what is known in `labels`, and their digest.
void print_counts(const at::Tensor& labels);

}  // namespace label_source
