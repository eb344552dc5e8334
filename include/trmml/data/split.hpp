#pragma once

#include "trmml/data/label_table.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace trmml::data {

/// One part (train, test, ..) of a data set as its reader found it: N pictures, C
/// categories.
struct Split {
  /// Everything that makes results comparable, e.g. "COCO 2014 train, annotated images
  /// only, order of annotations". Reports carry it; results of different splits must
  /// never be mixed.
  std::string name;

  /// Folder that the paths in `table.images` (relative, with '/') start from.
  std::filesystem::path root;

  /// Names as the data set has them, pictures, and complete labels (unknown entries
  /// only where the data set itself has them).
  LabelTable table;

  /// [C] The names in words, for prompts: "dining table" for "diningtable".
  std::vector<std::string> names_for_clip;

  /// bool [N, C], entries that a test leaves out; undefined when there is none.
  at::Tensor ignore;

  /// [N] Category of the largest annotated object, -1 for none; empty when the data set
  /// has no sizes. For `keep_one_positive`: the salient single positive (ours).
  std::vector<int64_t> salient;
};

/// Throws `DataError` when the members contradict each other.
void validate(const Split& split);

/// The pictures `rows` of `split`, in this order, with their labels, entries to ignore
/// and salient categories; everything else is the same. Throws `c10::IndexError` for a
/// row that is none.
///
/// Example:
/// ```
/// const data::HeldOutRows rows = data::hold_out(n, 0.1, seed);
/// const data::Split train = data::select_rows(split, rows.train);
/// ```
Split select_rows(const Split& split, const std::vector<int64_t>& rows);

}  // namespace trmml::data
