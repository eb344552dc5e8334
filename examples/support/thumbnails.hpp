#pragma once

#include "trmml/data/split.hpp"
#include "trmml/report/html_report.hpp"

#include <cstdint>
#include <vector>

#include "support/picture_check.hpp"

// Small pictures of a data set, to look at its labels.

namespace thumbnails {

struct Galleries {
  /// [C] Pictures of each category.
  std::vector<std::vector<trmml::report::CaptionedPicture>> categories;
  std::vector<picture_check::Unreadable> unreadable;
};

/// `per_category` pictures of each category, spread over its positives, at most 160
/// pixels a side and with the names of what is present in them. Each picture is read
/// once, in `workers` threads. One that cannot be read is left out and told about.
/// Throws `trmml::Interrupted` after a signal.
Galleries make(const trmml::data::Split& split, int64_t per_category, int workers);

}  // namespace thumbnails
