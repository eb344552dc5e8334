#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace trmml::data {

/// The state of one category in one picture. Tensors of labels hold these values as
/// int8; readers of other projects' files convert to them and nothing else does.
enum class LabelState : int8_t { kAbsent = -1, kUnknown = 0, kPresent = 1 };

/// What an annotation file says: N pictures, C categories.
struct LabelTable {
  std::vector<std::string> classnames;  ///< [C], unique
  std::vector<std::string> images;      ///< [N], paths or identifiers
  at::Tensor labels;                    ///< int8 [N, C] in {-1, 0, +1}, on the CPU

  /// Index of a category. Throws `DataError` that names close matches when it is
  /// unknown.
  int64_t index_of(const std::string& classname) const;

  /// Throws `DataError`, beginning with `where` (say the file's name), when a category
  /// is there twice or the three members contradict each other, and `c10::ValueError`
  /// for labels outside {-1, 0, +1}.
  void validate(std::string_view where = "LabelTable") const;
};

/// Known entries, present ones and absent ones of a label matrix.
struct LabelCounts {
  int64_t known = 0;
  int64_t present = 0;
  int64_t absent = 0;
};
LabelCounts count_labels(const at::Tensor& labels);

/// Sixteen hexadecimal digits that change when any entry (or the shape) of int8
/// `labels` [N, C] changes: FNV-1a over the shape and the entries in row-major order.
/// Every report carries the digest of its mask, so that two runs can be compared.
std::string label_digest(const at::Tensor& labels);

}  // namespace trmml::data
