#include "support/train_program.hpp"

#include "trmml/core/device.hpp"
#include "trmml/io/atomic_file.hpp"
#include "trmml/report/html_report.hpp"
#include "trmml/report/progress.hpp"
#include "trmml/report/run_report.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <optional>
#include <sstream>

#include "support/data_set.hpp"
#include "support/experiment.hpp"
#include "support/panels.hpp"
#include "support/picture_world.hpp"
#include "support/program.hpp"
#include "support/run_log.hpp"
#include "support/trained.hpp"

namespace experiment {

namespace fs = std::filesystem;

namespace {

struct Options {
  explicit Options(const Defaults& defaults) : run(defaults) {}

  data_set::Options data;
  PictureOptions pictures;
  RunOptions run;
  std::string out;
  int64_t limit_batches = 0;
  bool dry_run = false;
  bool print_config = false;
};

// Text of `config.toml`: every option but those that belong to one call and those that
// are not set, which would count as given when it is read.
std::string config_of(CLI::App& app) {
  std::istringstream all(
      app.config_to_str(/*default_also=*/true, /*write_description=*/false));
  std::string set;
  for (std::string line; std::getline(all, line);) {
    if (!line.ends_with("=\"\"")) {
      set += line + '\n';
    }
  }
  return set;
}

void train(CLI::App& app, Options& options, const TrainProgram& program) {
  data_set::check(app, options.data);
  check(app, options.run);
  check(app, options.pictures, options.run.method);
  const std::string config = config_of(app);
  if (options.print_config) {
    fmt::print("{}", config);
    return;
  }
  if (options.limit_batches > 0) {
    options.pictures.limit_pictures =
        options.limit_batches * options.run.trainer.batch_size();
  }
  const auto say = [](const std::string& line) {
    fmt::print("{}\n", line);
    std::fflush(stdout);
  };
  program::catch_signals();
  WorldCallbacks loading;
  loading.log = say;
  loading.should_stop = [] { return program::stop_flag().load(); };
  if (options.dry_run) {
    load_world(options.data, options.pictures, loading, /*dry_run=*/true);
    return;
  }
  if (options.out.empty()) {
    throw program::UsageError("--out: expected a folder for the run, got nothing");
  }
  const fs::path out(options.out);
  const bool resume = options.run.trainer.resume();
  program::check_resume(out / "last.safetensors", resume);
  program::make_folder(out);
  if (!resume) {
    trmml::io::write_file_atomically(out / "config.toml", config);
  }
  World world = load_world(options.data, options.pictures, loading);
  options.run.trainer.folder(out);
  program::RunLog log(out, resume, config);
  std::optional<trmml::report::Progress> progress;
  RunCallbacks callbacks;
  callbacks.log = [&](const std::string& line) {
    progress ? progress->message(line) : say(line);
  };
  callbacks.should_stop = loading.should_stop;
  callbacks.epoch_end = [&log](const auto& epoch, const auto& histograms) {
    log.epoch(epoch, histograms);
  };
  callbacks.step_end = [&](int64_t step, int64_t total) {
    if (!progress) {
      progress.emplace(
          "training", total, stderr, trmml::report::ProgressOptions{.initial = step});
    }
    progress->update(step);
  };
  RunResult result = run(world, options.run, callbacks);
  if (progress) {
    progress->finish();
  }
  result.report.history = log.history();
  trmml::report::write_json(out / "report.json", result.report);
  auto page = trmml::report::html_report(result.report);
  if (result.model) {
    page.add_section("Pictures").add_panels(panels(world, result, 8));
    write_trained(out / "best.safetensors", world, options.run, result, config);
  }
  page.write(out / "report.html");
  say(fmt::format(
      "{}, {}, {}: held-out mAP {:.2f}, test mAP {:.2f} (%){}; wrote {}",
      program.name,
      options.run.method,
      options.run.protocol.description(),
      100 * result.held_out_mAP,
      100 * result.report.mAP,
      std::isnan(result.report.mAP_best_on_test)
          ? ""
          : fmt::format(
                ", best epoch chosen on test {:.2f}",
                100 * result.report.mAP_best_on_test),
      (out / "report.json").string()));
}

}  // namespace

int train_main(const TrainProgram& program, int argc, char** argv) {
  CLI::App app{program.description};
  Options options(program.defaults);
  app.option_defaults()->always_capture_default();
  app.set_config("--config", "", "Options from a TOML file, e.g. RUN/config.toml");
  data_set::add_options(app, options.data, program.data_sets);
  add_options(app, options.pictures);
  add_options(app, options.run, /*all_protocols=*/true);
  app.add_option("--out", options.out, "Folder of the run");
  app.add_option(
         "--limit-batches",
         options.limit_batches,
         "The first pictures of each part only, as many as this number of batches has")
      ->check(program::at_least(0));
  app.add_flag("--dry-run", options.dry_run, "Read everything, train nothing")
      ->configurable(false);
  app.add_flag("--print-config", options.print_config, "Print all options and end")
      ->configurable(false);
  program::parse(app, argc, argv);
  return program::run(program.name, [&] { train(app, options, program); });
}

}  // namespace experiment
