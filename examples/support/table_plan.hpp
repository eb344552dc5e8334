#pragma once

#include <CLI/CLI.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "support/train_options.hpp"

// Which runs a table of the paper has.

namespace experiment {

/// One call of a training program, as if its command line had been given.
struct TrainCall {
  /// `arguments` as "--flag=value". Throws `program::UsageError` for what is no option
  /// or no value of one.
  TrainCall(const TrainProgram& program, const std::vector<std::string>& arguments);

  CLI::App app;
  TrainOptions options;
};

enum class TableKind { kKnownLabelProportions, kSinglePositive, kAblation, kBackbones };

/// The kinds by the names of the command line.
const std::vector<std::pair<std::string, TableKind>>& table_kinds();

/// What is asked for. What a table has no use for is empty.
struct TableRequest {
  TableKind kind = TableKind::kAblation;
  const TrainProgram* program = nullptr;
  std::string data_set;
  std::vector<std::string> arguments;  ///< for every run, as "--flag=value"
  std::vector<std::string> methods;    ///< names, or "all"
  std::vector<double> proportions;
  std::vector<std::string> clips;
  int64_t seeds = 1;
  std::string out;
};

/// One run of a table, in a folder of its own.
struct PlannedRun {
  std::string row;
  std::string column;
  int64_t seed = 0;
  std::filesystem::path folder;  ///< OUT/<table>/<row>/<column>/seed-N
  RunOptions options;
  std::string config;                ///< text of its config.toml
  std::shared_ptr<TrainCall> world;  ///< which loads its world; shared by many
  std::filesystem::path start;       ///< of a control: the folder whose weights it has
  std::string start_config;          ///< of that: text of its config.toml
};

/// A table and its runs, in the order in which they are done: the whole table with seed
/// 0 first.
struct TablePlan {
  std::string name;  ///< "known-label-proportions"
  std::vector<std::string> rows;
  std::vector<std::string> columns;
  std::vector<PlannedRun> runs;

  std::string label(const PlannedRun& run) const;  ///< "trm-ml, 10 %, seed 0"
};

/// An option goes to the runs where it has an effect. Throws `program::UsageError` for
/// one that has none in any run, and for methods, settings or files that cannot be.
TablePlan plan_table(const TableRequest& request);

}  // namespace experiment
