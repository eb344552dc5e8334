#include "support/train_program.hpp"

#include <fmt/format.h>

#include "support/config_file.hpp"
#include "support/program.hpp"
#include "support/run_record.hpp"
#include "support/step_time.hpp"
#include "support/train_in_folder.hpp"
#include "support/train_options.hpp"

namespace experiment {
namespace {

struct OneCall {
  bool dry_run = false;
  bool print_config = false;
};

void train(CLI::App& app, TrainOptions& options, const OneCall& call) {
  set_defaults(app, options);
  check(app, options);
  const std::string config = program::config_text(app);
  if (call.print_config) {
    fmt::print("{}", config);
    return;
  }
  program::catch_signals();
  WorldCallbacks loading;
  loading.log = program::say;
  loading.should_stop = [] { return program::stop_flag().load(); };
  loading.check = [&options](const World& world) {
    check_run(world, options.run);
    if (options.run.trainer.resume()) {
      check_record(options.out, world, options.run);
    }
  };
  loading.training_views = training_views(switches_of(options.run));
  loading.passes = passes_of(options.run);
  if (call.dry_run) {
    const World world = load_world(options, loading, /*dry_run=*/true);
    const std::string line = training_line(world, options.run);
    if (!line.empty()) {
      program::say(line);
    }
    return;
  }
  if (options.out.empty()) {
    throw program::UsageError("--out: expected a folder for the run, got nothing");
  }
  const RunFolder folder{options.out, config, options.run.trainer.resume()};
  const program::FolderLock lock = begin(folder);
  World world = load_world(options, loading, /*dry_run=*/false);
  train_in_folder(world, options.run, folder, loading.should_stop);
}

}  // namespace

int train_main(const std::string& name, int argc, char** argv) {
  const TrainProgram& program = train_program(name);
  CLI::App app{program.description};
  TrainOptions options(program);
  OneCall call;
  program::add_config(app, "Options from a TOML file, e.g. RUN/config.toml");
  add_options(app, options);
  app.add_flag("--dry-run", call.dry_run, "Read everything, train nothing")
      ->configurable(false);
  app.add_flag("--print-config", call.print_config, "Print all options and end")
      ->configurable(false);
  program::parse(app, argc, argv);
  return program::run(name.c_str(), [&] { train(app, options, call); });
}

}  // namespace experiment
