#include "trmml/data/split.hpp"

#include "trmml/core/check.hpp"
#include "trmml/core/error.hpp"

#include <ATen/ops/tensor.h>
#include <c10/util/Exception.h>

#include <fmt/format.h>

namespace trmml::data {

void validate(const Split& split) {
  split.table.validate(split.name);
  const size_t n = split.table.images.size();
  const size_t n_cls = split.table.classnames.size();
  const auto expect_size = [&](size_t got, size_t expected, const char* what) {
    if (got != expected) {
      throw DataError(
          fmt::format("{}: expected {} {}, got {}", split.name, expected, what, got));
    }
  };
  expect_size(split.names_for_clip.size(), n_cls, "names for prompts");
  if (!split.salient.empty()) {
    expect_size(split.salient.size(), n, "salient categories");
  }
  if (split.ignore.defined() && (split.ignore.sizes() != split.table.labels.sizes() ||
                                 split.ignore.scalar_type() != at::kBool)) {
    throw DataError(fmt::format(
        "{}: expected a bool mask of shape {}, got {} of type {}",
        split.name,
        format_shape(split.table.labels.sizes()),
        format_shape(split.ignore.sizes()),
        toString(split.ignore.scalar_type())));
  }
}

Split select_rows(const Split& split, const std::vector<int64_t>& rows) {
  const auto n = static_cast<int64_t>(split.table.images.size());
  const at::Tensor index = at::tensor(rows);
  Split part;
  part.name = split.name;
  part.root = split.root;
  part.names_for_clip = split.names_for_clip;
  part.table.classnames = split.table.classnames;
  for (const int64_t row : rows) {
    TORCH_CHECK_INDEX(
        row >= 0 && row < n,
        "select_rows: expected rows from 0 to ",
        n - 1,
        ", got ",
        row);
    part.table.images.push_back(split.table.images[static_cast<size_t>(row)]);
    if (!split.salient.empty()) {
      part.salient.push_back(split.salient[static_cast<size_t>(row)]);
    }
  }
  part.table.labels = split.table.labels.index_select(0, index);
  if (split.ignore.defined()) {
    part.ignore = split.ignore.index_select(0, index);
  }
  return part;
}

}  // namespace trmml::data
