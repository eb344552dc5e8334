#pragma once

#include <filesystem>
#include <map>
#include <string>

// What the folder of a run holds, from run to run of the program that fills it.

namespace experiment {

enum class RunState {
  kToRun,     ///< nothing to go on from
  kToResume,  ///< a state
  kDone,      ///< a report, which comes last
};

/// Throws `program::UsageError` that names them when the run of `folder` had other
/// options than `config` (text of config.toml); where it is, and how fast it runs, may
/// differ. Throws `trmml::DataError` when the folder has no config.toml.
void check_same_options(const std::filesystem::path& folder, const std::string& config);

/// With `check_same_options` for a folder that holds a run.
RunState state_of(const std::filesystem::path& folder, const std::string& config);

/// What a table shows of a finished run.
struct FinishedRun {
  std::string dataset;
  std::string split;
  std::string mAP_definition;  ///< "precision_at_positives"
  double mAP = 0.0;            ///< on the test part
  double seconds = 0.0;
  std::map<std::string, std::string> environment;
};

/// Reads report.json. Throws `trmml::DataError` when it is none of `train_in_folder`.
FinishedRun read_finished(const std::filesystem::path& folder);

/// Makes `folder`, which is there, a run of these options that is trained already: with
/// lines, events and state of `from`. The state comes last, so that a break leaves a
/// run that is trained itself. Only for a run of the same training.
void start_from(
    const std::filesystem::path& from,
    const std::filesystem::path& folder,
    const std::string& config);

}  // namespace experiment
