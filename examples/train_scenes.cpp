// One method on FashionScenes with every option.
//
//   train_scenes --known-label-proportion 0.05 --out runs/trm-ml
//   train_scenes --method text-pixel --epochs 30
//   train_scenes --out runs/trm-ml --resume      after a kill or a signal
//
// prints a line an epoch; leaves in --out what docs/run_folder.md describes:
// report.json, report.html, config.toml, metrics.jsonl, event files for TensorBoard,
// the state last.safetensors and the chosen weights best.safetensors.

#include "trmml/core/device.hpp"
#include "trmml/io/atomic_file.hpp"
#include "trmml/io/module_weights.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <string>

#include "support/panels.hpp"
#include "support/program.hpp"
#include "support/run_log.hpp"
#include "support/scenes_world.hpp"

namespace {

namespace fs = std::filesystem;

struct Options {
  scenes::WorldOptions world;
  experiment::RunOptions run{scenes::defaults()};
  std::string dense = "dualcoop";
  std::string out = "runs/train_scenes";
  int threads = 0;
};

void train(CLI::App& app, Options& options) {
  experiment::check(app, options.run);
  const fs::path out(options.out);
  const bool resume = options.run.trainer.resume();
  program::check_resume(out / "last.safetensors", resume);
  program::make_folder(out);
  const std::string config = app.config_to_str(true, false);
  if (!resume) {
    trmml::io::write_file_atomically(out / "config.toml", config);
  }
  trmml::set_threads(options.threads);
  program::catch_signals();
  fmt::print("{}\n", trmml::describe_backend());
  const auto say = [](const std::string& line) {
    fmt::print("{}\n", line);
    std::fflush(stdout);
  };
  experiment::RunCallbacks callbacks;
  callbacks.log = say;
  callbacks.should_stop = [] { return program::stop_flag().load(); };
  if (options.dense == "plain") {
    options.world.dense = trmml::clip::DenseForm::kPlain;
  }
  experiment::World world =
      scenes::load_world(options.world, say, callbacks.should_stop);
  options.run.trainer.folder(out);
  program::RunLog log(out, resume, config);
  callbacks.epoch_end = [&log](const auto& epoch, const auto& histograms) {
    log.epoch(epoch, histograms);
  };
  experiment::RunResult result = experiment::run(world, options.run, callbacks);
  result.report.history = log.history();
  trmml::report::write_json(out / "report.json", result.report);
  auto page = trmml::report::html_report(result.report);
  if (result.model) {
    page.add_section("Pictures").add_panels(experiment::panels(world, result, 8));
    trmml::io::write_safetensors(
        out / "best.safetensors",
        trmml::io::module_tensors(result.model->as_module()),
        {{"method", options.run.method}});
  }
  page.write(out / "report.html");
  fmt::print(
      "{}, {}: held-out mAP {:.2f}, test mAP {:.2f} (%); wrote {}\n",
      options.run.method,
      options.run.protocol.description(),
      100 * result.held_out_mAP,
      100 * result.report.mAP,
      (out / "report.json").string());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Trains one method on FashionScenes."};
  Options options;
  app.option_defaults()->always_capture_default();
  app.set_config("--config", "", "Options from a TOML file, e.g. RUN/config.toml");
  experiment::add_options(app, options.run, /*all_protocols=*/false);
  app.add_option("--dense", options.dense, "Form of the dense map")
      ->check(CLI::IsMember({"dualcoop", "plain"}));
  app.add_option("--out", options.out, "Folder of the run");
  app.add_option("--threads", options.threads, "0: every core")
      ->check(program::at_least(0));
  app.add_option(
         "--limit-scenes",
         options.world.limit_scenes,
         "The first scenes of each split only, to try things out (0: all)")
      ->check(program::at_least(0));
  scenes::add_paths(app, options.world.paths);
  program::parse(app, argc, argv);
  return program::run("train_scenes", [&] { train(app, options); });
}
