#include "trmml/data/split.hpp"

#include "trmml/core/check.hpp"
#include "trmml/core/error.hpp"

#include <fmt/format.h>

namespace trmml::data {

void validate(const Split& split) {
  split.table.validate();
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

}  // namespace trmml::data
