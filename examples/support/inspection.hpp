#pragma once

#include "trmml/report/html_report.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "support/data_set.hpp"

// What `inspect_data` does with one part after the other.

namespace inspection {

struct Options {
  data_set::Options data;
  std::string part = "train";  ///< train, test, both
  int64_t pairs = 20;          ///< of categories, the most frequent ones
  std::string decode = "0";    ///< pictures of each part, or "all"
  int workers = 2;             ///< threads that read pictures
  int64_t thumbnails = 4;      ///< pictures a category on the page
  std::string out;             ///< empty: no page
};

/// Gathers what was found, so that one run tells all of it.
class Inspection {
 public:
  explicit Inspection(const Options& options);

  /// Reads, counts and prints a part. Faults of its files and pictures that cannot be
  /// read are kept for later; throws `program::UsageError` only.
  void add(data_set::Part part);

  /// Writes `inspect.json` and `inspect.html` into the folder `options.out`.
  void write() const;

  /// Throws one `trmml::DataError` with all faults, unless there is none.
  void throw_if_any() const;

 private:
  void inspect(const trmml::data::Split& split);

  const Options& options_;
  std::vector<std::string> classnames_;  // of the part before
  std::vector<std::string> faults_;
  nlohmann::json parts_ = nlohmann::json::array();
  trmml::report::HtmlReport page_;
};

}  // namespace inspection
