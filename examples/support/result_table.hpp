#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "support/mean_deviation.hpp"
#include "support/published_numbers.hpp"

// A table of results over seeds, and its files.

namespace experiment {

struct ResultCell {
  std::vector<double> mAP;  ///< of the seeds that are done, fractions
};

struct ResultRow {
  std::string name;
  std::vector<ResultCell> cells;  ///< by column
  double seconds = 0.0;           ///< mean of a run; 0: none is done
};

struct ResultTable {
  std::string name;     ///< "ablation", of its files
  std::string title;    ///< "ablation on FashionScenes"
  std::string command;  ///< that makes it
  std::vector<std::string> columns;
  std::vector<ResultRow> rows;
  int64_t seeds = 1;               ///< that are asked for
  std::vector<std::string> notes;  ///< sentences on what the numbers are
  PublishedTable published;
};

/// Mean and deviation in percent, with what others have published below, marked as
/// such.
std::string as_markdown(const ResultTable& table);

/// A line a cell, fractions in full precision; nothing of others.
std::string as_csv(const ResultTable& table);

std::string as_json(const ResultTable& table);

/// Writes <name>.md, .csv, .json and .html into `folder`, each atomically.
void write(const ResultTable& table, const std::filesystem::path& folder);

}  // namespace experiment
