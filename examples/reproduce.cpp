// A whole table of the paper: runs what is missing, goes on where it was stopped,
// prints mean and deviation over seeds beside what others have published.
//
//   reproduce ablation --dataset scenes --seeds 3 --out runs/tables
//   reproduce known-label-proportions --dataset coco2014 --data D --clip F --out OUT
//   reproduce single-positive --dataset voc2012 --data D --clip F --out OUT
//   reproduce backbones --dataset coco2014 --data D --clip RN50.pt,RN101.pt --out OUT
//
// Each run is a folder as docs/run_folder.md describes it; docs/reproduction.md has the
// command of each table, and says what it takes.

#include <fmt/format.h>

#include <string>

#include "support/program.hpp"
#include "support/reproduce_options.hpp"
#include "support/reproduction.hpp"

int main(int argc, char** argv) {
  experiment::ReproduceOptions options;
  experiment::parse_reproduce(options, argc, argv);
  return program::run("reproduce", [&] {
    experiment::Reproduction reproduction;
    reproduction.request = options.request;
    reproduction.plan = experiment::plan_table(options.request);
    reproduction.command = options.command;
    if (options.print_config) {
      for (const experiment::PlannedRun& run : reproduction.plan.runs) {
        fmt::print("# {}\n{}\n", run.folder.string(), run.config);
      }
      return;
    }
    if (options.dry_run) {
      experiment::tell_plan(reproduction);
      return;
    }
    program::catch_signals();
    experiment::reproduce(reproduction, [] { return program::stop_flag().load(); });
  });
}
