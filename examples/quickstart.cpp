// The embedded default: TRM-ML, its ablation and its baselines on FashionScenes with
// most labels hidden.
//
//   quickstart                              all methods, 10 % known labels, one seed
//   quickstart --single-positive salient    one label a picture, the most prominent
//   quickstart --method trm-ml --seeds 3    one method, three seeds
//
// prints the table of the ablation and leaves report.json and report.html in
// runs/scenes. README.md says how long it takes and what to expect.

#include "trmml/core/device.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "support/ablation_table.hpp"
#include "support/folder_lock.hpp"
#include "support/panels.hpp"
#include "support/program.hpp"
#include "support/scenes_world.hpp"

namespace {

struct Options {
  scenes::WorldOptions world;
  experiment::TableOptions table{experiment::RunOptions(scenes::defaults()), "all", 1};
  std::string out = "runs/scenes";
  int threads = 0;
};

void print_row(const trmml::report::RunReport& row) {
  const std::string spread =
      row.runs > 1 ? fmt::format(" +- {:.1f}", 100 * row.mAP_sd) : "";
  fmt::print(
      "{:<44} {:5.1f}{:<8} {:6.1f} s\n",
      row.method,
      100 * row.mAP,
      spread,
      row.seconds);
  std::fflush(stdout);
}

// Reports of this program may be replaced, those of a run that has its folder may not.
program::FolderLock lock_folder(const std::filesystem::path& out) {
  program::make_folder(out);
  program::FolderLock lock(out);
  for (const char* name : {"config.toml", "last.safetensors"}) {
    if (std::filesystem::exists(out / name)) {
      throw program::UsageError(fmt::format(
          "--out: {} holds the run of a training program, by its {} (name another "
          "folder)",
          out.string(),
          name));
    }
  }
  return lock;
}

void quickstart(const Options& options) {
  // A wrong one is told before the work begins.
  experiment::table_methods(options.table.run, options.table.method);
  const std::filesystem::path out(options.out);
  const program::FolderLock lock = lock_folder(out);
  trmml::set_threads(options.threads);
  program::catch_signals();
  fmt::print("{}\n", trmml::describe_backend());
  experiment::RunCallbacks callbacks;
  callbacks.should_stop = [] { return program::stop_flag().load(); };
  experiment::World world =
      scenes::load_world(options.world, {program::say, callbacks.should_stop, {}});
  fmt::print(
      "\nFashionScenes, {}, {} seed{}: test mAP (%) and seconds a run\n",
      options.table.run.protocol.description(),
      options.table.seeds,
      options.table.seeds == 1 ? "" : "s");
  const experiment::Table table =
      experiment::make_table(world, options.table, callbacks, print_row);

  trmml::report::write_json(out / "report.json", table.report);
  auto page = trmml::report::html_report(table.report);
  if (table.trained) {
    page.add_section("Training of every method").add_line_chart(table.curves);
    page.add_section("Pictures")
        .add_panels(experiment::panels(world, *table.trained, 8));
  }
  page.write(out / "report.html");
  fmt::print(
      "\nwrote {} and {}\n",
      (out / "report.json").string(),
      (out / "report.html").string());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"TRM-ML and its baselines on FashionScenes, the embedded default."};
  Options options;
  app.option_defaults()->always_capture_default();
  experiment::add_protocol(app, options.table.run.protocol, /*all=*/false);
  app.add_option("--seeds", options.table.seeds, "Runs a method, with seeds 0, 1, ...")
      ->check(CLI::Range(1, 100));
  app.add_option("--method", options.table.method, "One method by its name, or all");
  app.add_option("--out", options.out, "Folder of report.json and report.html");
  app.add_option("--threads", options.threads, "0: every core")
      ->check(program::at_least(0));
  scenes::add_paths(app, options.world.paths);
  program::parse(app, argc, argv);
  return program::run("quickstart", [&] { quickstart(options); });
}
