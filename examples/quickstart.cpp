// The embedded default: TRM-ML, its ablation and its baselines on FashionScenes with
// most labels hidden.
//
//   quickstart                                  all methods, 10 % known labels, one
//   seed quickstart --single-positive salient        one label a picture, the most
//   prominent quickstart --method trm-ml --seeds 3        one method, three seeds
//
// prints the table of the ablation and leaves report.json and report.html in
// runs/scenes. README.md says how long it takes and what to expect.

#include "trmml/core/device.hpp"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>

#include "support/program.hpp"
#include "support/scenes_options.hpp"

namespace {

struct Options {
  scenes::Paths paths = scenes::default_paths();
  scenes::Protocol protocol;
  int64_t seeds = 1;
  std::string method = "all";
  std::string out = "runs/scenes";
  int threads = 0;
};

std::vector<std::string> methods_of(
    const Options& options,
    const scenes::Protocol& protocol) {
  if (options.method != "all") {
    scenes::RunOptions run;
    run.method = options.method;
    run.protocol = protocol;
    scenes::check(run);
    return {options.method};
  }
  std::vector<std::string> names;
  for (const auto& [name, switches] : trmml::methods()) {
    const bool needs_unknown = switches.pseudo_labels;
    if (scenes::is_defined(name, protocol) &&
        !(needs_unknown && !protocol.is_single() && protocol.proportion >= 1.0)) {
      names.push_back(name);
    }
  }
  return names;
}

// Mean and standard deviation (n - 1) of the test mAP over seeds, on the last seed's
// report.
trmml::report::RunReport summary(const std::vector<trmml::report::RunReport>& runs) {
  trmml::report::RunReport row = runs.back();
  double mean = 0.0;
  double squares = 0.0;
  for (const auto& run : runs) {
    mean += run.mAP / static_cast<double>(runs.size());
  }
  for (const auto& run : runs) {
    squares += (run.mAP - mean) * (run.mAP - mean);
  }
  row.runs = static_cast<int64_t>(runs.size());
  row.mAP = mean;
  if (runs.size() > 1) {
    row.mAP_sd = std::sqrt(squares / static_cast<double>(runs.size() - 1));
  }
  return row;
}

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

void quickstart(const Options& options) {
  const scenes::Protocol& protocol = options.protocol;
  const auto names = methods_of(options, protocol);
  const std::filesystem::path out(options.out);
  std::filesystem::create_directories(out);
  trmml::set_threads(options.threads);
  program::catch_signals();
  fmt::print("{}\n", trmml::describe_backend());
  scenes::World world = scenes::load_world(
      options.paths, trmml::clip::DenseForm::kDualCoOp, [](const std::string& line) {
        fmt::print("{}\n", line);
        std::fflush(stdout);
      });
  fmt::print(
      "\nFashionScenes, {}, {} seed{}: test mAP (%) and seconds a run\n",
      protocol.description(),
      options.seeds,
      options.seeds == 1 ? "" : "s");

  trmml::report::RunReport report;
  trmml::report::LineChart curves{
      "mAP on held-out scenes", "epoch", "mAP (%)", {}, /*y_in_percent=*/true};
  std::optional<scenes::RunResult> last;
  scenes::RunCallbacks callbacks;
  callbacks.should_stop = [] { return program::stop_flag().load(); };
  std::vector<scenes::RunResult> bases;  // of the control, one a seed
  for (const auto& name : names) {
    std::vector<trmml::report::RunReport> runs;
    for (int64_t seed = 0; seed < options.seeds; ++seed) {
      scenes::RunOptions run;
      run.method = name;
      run.protocol = protocol;
      run.seed = static_cast<uint64_t>(seed);
      const bool is_control = trmml::method_switches(name).zero_shot_at_test;
      const auto index = static_cast<size_t>(seed);
      scenes::RunResult result = scenes::run(
          world,
          run,
          callbacks,
          is_control && index < bases.size() ? &bases[index] : nullptr);
      if (name == "region+distillation+contrastive") {
        bases.push_back(result);
      }
      runs.push_back(result.report);
      if (result.model) {
        last = std::move(result);
      }
    }
    report.rows.push_back(summary(runs));
    print_row(report.rows.back());
    if (last && last->report.method == name) {
      trmml::report::Series series{name, {}, {}};
      for (const auto& [epoch, mAP] : last->held_out) {
        series.x.push_back(epoch);
        series.y.push_back(mAP);
      }
      curves.series.push_back(series);
    }
  }
  const auto rows = report.rows;
  report = rows.back();
  report.rows = rows;
  trmml::report::write_json(out / "report.json", report);
  auto page = trmml::report::html_report(report);
  if (last) {
    page.add_section("Training").add_line_chart(curves);
    page.add_section("Pictures").add_panels(scenes::panels(world, *last, 8));
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
  scenes::add_protocol(app, options.protocol);
  app.add_option("--seeds", options.seeds, "Runs a method, with seeds 0, 1, ...")
      ->check(CLI::Range(1, 100));
  app.add_option("--method", options.method, "One method by its name, or all");
  app.add_option("--out", options.out, "Folder of report.json and report.html");
  app.add_option("--threads", options.threads, "0: every core")
      ->check(CLI::NonNegativeNumber);
  scenes::add_paths(app, options.paths);
  program::parse(app, argc, argv);
  return program::run("quickstart", [&] { quickstart(options); });
}
