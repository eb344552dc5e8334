#include "support/train_in_folder.hpp"

#include "trmml/core/error.hpp"
#include "trmml/io/atomic_file.hpp"
#include "trmml/method/ablation.hpp"
#include "trmml/report/html_report.hpp"
#include "trmml/report/progress.hpp"
#include "trmml/report/run_report.hpp"
#include "trmml/training/state_file.hpp"

#include <fmt/format.h>

#include <cmath>
#include <optional>
#include <sstream>
#include <utility>

#include "support/panels.hpp"
#include "support/program.hpp"
#include "support/run_folder_state.hpp"
#include "support/run_log.hpp"
#include "support/run_record.hpp"
#include "support/trained.hpp"
#include <unistd.h>

namespace experiment {
namespace {

// What best.safetensors keeps: what the run was, not where it was or how it was
// started.
std::string without_place(const std::string& config) {
  std::istringstream all(config);
  std::string kept;
  for (std::string line; std::getline(all, line);) {
    if (!line.starts_with("out=") && !line.starts_with("resume=")) {
      kept += line + '\n';
    }
  }
  return kept;
}

std::string summary(const RunResult& result, const RunOptions& options) {
  const auto percent = [](double mAP) {
    return std::isnan(mAP) ? std::string("-") : fmt::format("{:.2f}", 100 * mAP);
  };
  const double best_on_test = result.report.mAP_best_on_test;
  return fmt::format(
      "{}, {}: held-out mAP {}, test mAP {} (%){}",
      options.method,
      options.protocol.description(),
      percent(result.report.held_out_mAP.value_or(trmml::report::RunReport::kNone)),
      percent(result.report.mAP),
      std::isnan(best_on_test)
          ? ""
          : fmt::format(", best epoch chosen on test {}", percent(best_on_test)));
}

// "loss 0.512 (classification 0.40+0.38, contrastive 1.21+1.30)": the terms of a kind
// stand together in the order of their names, as yet unweighted.
std::string loss_note(const trmml::training::NamedLosses& losses) {
  std::string terms;
  std::string total;
  std::string kind;
  for (const auto& [name, value] : losses) {
    const std::string previous = std::exchange(kind, name.substr(0, name.find('_')));
    if (kind == "total") {
      total = fmt::format("{:.3f}", value);
    } else if (kind == previous) {
      terms += fmt::format("+{:.2f}", value);
    } else {
      terms += fmt::format("{}{} {:.2f}", terms.empty() ? "" : ", ", kind, value);
    }
  }
  return fmt::format("loss {} ({})", total, terms);
}

}  // namespace

program::FolderLock begin(const RunFolder& folder) {
  const trmml::training::StateFile state(folder.path);
  if (std::filesystem::exists(folder.path / "report.json") &&
      (!folder.resume || !state.exists())) {
    throw program::UsageError(fmt::format(
        "--out: {} holds a finished run (name another folder, or remove this one)",
        folder.path.string()));
  }
  program::check_resume(state.path(), folder.resume);
  program::make_folder(folder.path);
  program::FolderLock lock(folder.path);
  if (!folder.resume) {
    trmml::io::write_file_atomically(folder.path / "config.toml", folder.config);
    return lock;
  }
  if (std::filesystem::exists(folder.path / "config.toml")) {
    check_same_options(folder.path, folder.config);
  }
  state.read();  // a damaged one is told now, not after the data is loaded
  return lock;
}

RunResult train_in_folder(
    World& world,
    RunOptions options,
    const RunFolder& folder,
    const std::function<bool()>& should_stop) {
  options.trainer.folder(folder.path).resume(folder.resume);
  if (trmml::method_switches(options.method).has_prompts()) {  // others have no state
    keep_record(folder.path, folder.resume, world, options);
  }
  program::RunLog log(folder.path, folder.resume, folder.config);
  std::optional<trmml::report::Progress> progress;
  RunCallbacks callbacks;
  // On a terminal a line goes above the bar, not into it.
  const bool has_bar = isatty(STDOUT_FILENO) != 0 && isatty(STDERR_FILENO) != 0;
  callbacks.log = [&](const std::string& line) {
    progress&& has_bar ? progress->message(line) : program::say(line);
  };
  callbacks.should_stop = should_stop;
  callbacks.epoch_end = [&log](const auto&... epoch) { log.epoch(epoch...); };
  callbacks.step_end = [&](const trmml::training::StepReport& report) {
    if (!progress) {
      progress.emplace(
          "training",
          report.total,
          stderr,
          trmml::report::ProgressOptions{.initial = report.step});
    }
    progress->update(report.step, loss_note(report.losses));
  };
  RunResult result = [&] {
    try {
      return run(world, options, callbacks);
    } catch (const trmml::Interrupted& stop) {
      if (!std::filesystem::exists(folder.path / "last.safetensors")) {
        throw;
      }
      throw trmml::Interrupted(fmt::format("{}; see --resume", stop.what()));
    }
  }();
  if (progress) {
    progress->finish();
  }
  result.report.history = log.history();
  auto page = trmml::report::html_report(result.report);
  if (result.model) {
    write_trained(
        folder.path / "best.safetensors",
        world,
        options,
        result,
        without_place(folder.config));
    page.add_section("Pictures").add_panels(panels(world, result, 8));
  }
  page.write(folder.path / "report.html");
  trmml::report::write_json(folder.path / "report.json", result.report);
  program::say(fmt::format(
      "{}; wrote {}",
      summary(result, options),
      (folder.path / "report.json").string()));
  return result;
}

}  // namespace experiment
