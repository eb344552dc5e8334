#pragma once

#include <string>
#include <utility>
#include <vector>

// Test mAP that others have published for the protocols of our tables. None is ours,
// and none is TRM-ML's: no number of its paper was readable to us.

namespace experiment {

/// What is hidden in a published experiment.
enum class PublishedProtocol { kKnownLabelProportion, kSinglePositive };

struct PublishedRow {
  std::string method;
  std::vector<double> mAP;  ///< in percent, by `PublishedTable::columns`; NaN: unknown
  std::string remark;       ///< who hides, with which backbone, ... ; may be empty
};

struct PublishedTable {
  std::string data;  ///< "MS-COCO 2014"
  std::vector<std::string> columns;
  std::vector<PublishedRow> rows;  ///< empty: we know of none
};

/// `data_set` is one of `data_set::names()`, or "scenes".
PublishedTable published_numbers(
    const std::string& data_set,
    PublishedProtocol protocol);

}  // namespace experiment
