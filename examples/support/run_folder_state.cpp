#include "support/run_folder_state.hpp"

#include "trmml/core/error.hpp"
#include "trmml/io/atomic_file.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <iterator>
#include <limits>
#include <set>
#include <sstream>

#include "support/program.hpp"

namespace experiment {

namespace fs = std::filesystem;

namespace {

using Values = std::map<std::string, std::string>;

std::string text_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(stream)), {});
  if (!stream) {
    throw trmml::DataError(file.string() + ": cannot read the file");
  }
  return text;
}

// The lines "name=value" of a config.toml, but for what does not change the result.
Values values_of(const std::string& config) {
  static const std::set<std::string> free = {
      "out",
      "resume",
      "threads",
      "workers",
      "device",
      "cache",
      "encode-batch",
      "checkpoint-every",
      "check-pictures"};
  Values values;
  std::istringstream lines(config);
  for (std::string line; std::getline(lines, line);) {
    const size_t equals = line.find('=');
    const std::string name = line.substr(0, equals);
    if (equals != std::string::npos && free.count(name) == 0) {
      values[name] = line.substr(equals + 1);
    }
  }
  return values;
}

// "--epochs 2 there, 3 here; ...", or nothing.
std::string differences(const Values& there, const Values& here) {
  Values all = there;
  all.insert(here.begin(), here.end());
  const auto value = [](const Values& values, const std::string& name) {
    const auto found = values.find(name);
    return found == values.end() ? "not set" : found->second;
  };
  std::string text;
  for (const auto& [name, unused] : all) {
    const std::string before = value(there, name);
    const std::string now = value(here, name);
    if (!program::same_value(before, now)) {
      text += fmt::format(
          "{}--{} {} there, {} here", text.empty() ? "" : "; ", name, before, now);
    }
  }
  return text;
}

}  // namespace

void check_same_options(const fs::path& folder, const std::string& config) {
  const std::string different =
      differences(values_of(text_of(folder / "config.toml")), values_of(config));
  if (!different.empty()) {
    throw program::UsageError(fmt::format(
        "{}: expected a run with the options of now, got a {} run with others: {} "
        "(give the same options, name another --out, or remove the folder)",
        folder.string(),
        fs::exists(folder / "report.json") ? "finished" : "broken-off",
        different));
  }
}

RunState state_of(const fs::path& folder, const std::string& config) {
  const bool is_done = fs::exists(folder / "report.json");
  if (!is_done && !fs::exists(folder / "last.safetensors")) {
    return RunState::kToRun;
  }
  check_same_options(folder, config);
  return is_done ? RunState::kDone : RunState::kToResume;
}

FinishedRun read_finished(const fs::path& folder) {
  const fs::path file = folder / "report.json";
  try {
    const auto json = nlohmann::json::parse(text_of(file));
    FinishedRun run;
    run.dataset = json.at("dataset").get<std::string>();
    run.split = json.at("split").get<std::string>();
    run.mAP_definition = json.at("average_precision_definition").get<std::string>();
    const auto& mAP = json.at("mAP");
    run.mAP =
        mAP.is_null() ? std::numeric_limits<double>::quiet_NaN() : mAP.get<double>();
    run.seconds = json.at("seconds").get<double>();
    run.environment = json.at("environment").get<Values>();
    return run;
  } catch (const nlohmann::json::exception& error) {
    throw trmml::DataError(fmt::format(
        "{}: expected the report of a run, got {} (remove the folder to run it again)",
        file.string(),
        error.what()));
  }
}

void start_from(
    const fs::path& from,
    const fs::path& folder,
    const std::string& config) {
  trmml::io::write_file_atomically(folder / "config.toml", config);
  const auto copy = [&](const fs::path& name) {
    trmml::io::write_file_atomically(folder / name, text_of(from / name));
  };
  for (const fs::directory_entry& entry : fs::directory_iterator(from)) {
    const fs::path name = entry.path().filename();
    if (name == "metrics.jsonl" || name.string().starts_with("events.out.tfevents.")) {
      copy(name);
    }
  }
  copy("last.safetensors");
}

}  // namespace experiment
