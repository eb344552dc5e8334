#pragma once

#include "trmml/io/safetensors.hpp"

#include <ATen/core/Tensor.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "support/folder_lock.hpp"

namespace program {

/// Features that grow row by row in the folder OUT.partial and become one safetensors
/// file OUT in the end, so that a run that was stopped can go on, and more rows than
/// fit memory can be made. One object at a time, of any program, fills such a folder.
class FeatureFile {
 public:
  /// `identity` is all that the rows depend on, as text. When OUT.partial is there with
  /// the same identity, its rows are kept; with another one a `trmml::DataError` says
  /// so, or `restart` deletes them. Rows are safe at the latest `save_every` seconds
  /// after they came. Throws `trmml::WriteError` when there can be no file OUT, and
  /// `UsageError` while another program fills OUT.partial.
  FeatureFile(
      const std::filesystem::path& out,
      const std::string& identity,
      bool restart,
      double save_every);

  /// Items dealt with so far: those that have rows, and those that were left out.
  int64_t done() const { return done_; }

  /// Items that have a row, in order.
  const std::vector<int64_t>& items() const { return items_; }

  /// One row of each tensor for each of `items`; `end` items are dealt with then. What
  /// was appended is lost when the program is killed before the next `save`.
  void append(
      const std::vector<int64_t>& items,
      const std::map<std::string, at::Tensor>& rows,
      int64_t end);

  /// Puts what was appended on the disk.
  void save();

  /// Writes OUT and removes the folder. Throws `trmml::DataError` if there is no row.
  void finish(const trmml::io::Metadata& metadata);

 private:
  struct Column {
    std::vector<int64_t> shape;  // of a row
    int64_t row_bytes() const;
  };

  std::filesystem::path file_of(const std::string& name) const;
  void load_state();
  void remove_rows();
  void write_state() const;

  std::filesystem::path out_;
  std::filesystem::path folder_;
  std::optional<FolderLock> lock_;  // of `folder_`
  std::string identity_;
  std::chrono::duration<double> save_every_;
  int64_t done_ = 0;
  std::vector<int64_t> items_;
  std::map<std::string, Column> columns_;
  std::chrono::steady_clock::time_point saved_ = std::chrono::steady_clock::now();
};

}  // namespace program
