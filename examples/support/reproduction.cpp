#include "support/reproduction.hpp"

#include "trmml/core/error.hpp"
#include "trmml/method/ablation.hpp"
#include "trmml/report/progress.hpp"

#include <c10/util/Exception.h>

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "support/program.hpp"
#include "support/run_folder_state.hpp"
#include "support/run_record.hpp"
#include "support/train_in_folder.hpp"

namespace experiment {
namespace {

std::vector<RunState> states_of(const TablePlan& plan) {
  std::vector<RunState> states;
  for (const PlannedRun& run : plan.runs) {
    states.push_back(state_of(run.folder, run.config));
  }
  return states;
}

// The worlds of the runs that are not done, each once.
std::vector<TrainCall*> missing_worlds(
    const TablePlan& plan,
    const std::vector<RunState>& states) {
  std::vector<TrainCall*> worlds;
  for (size_t i = 0; i < plan.runs.size(); ++i) {
    TrainCall* world = plan.runs[i].world.get();
    if (states[i] != RunState::kDone &&
        std::find(worlds.begin(), worlds.end(), world) == worlds.end()) {
      worlds.push_back(world);
    }
  }
  return worlds;
}

// What the runs of a world that are not done look at.
TrainingViews views_of(
    const TablePlan& plan,
    const std::vector<RunState>& states,
    const TrainCall* call) {
  TrainingViews views = TrainingViews::kNone;
  for (size_t i = 0; i < plan.runs.size(); ++i) {
    const PlannedRun& run = plan.runs[i];
    if (run.world.get() == call && states[i] != RunState::kDone) {
      const auto switches = trmml::method_switches(run.options.method);
      views = std::max(views, training_views(switches));
    }
  }
  return views;
}

// What they take together: at most, as a control may use the weights of another run.
Passes all_passes(
    const TablePlan& plan,
    const std::vector<RunState>& states,
    const TrainCall* call) {
  Passes sum;
  for (size_t i = 0; i < plan.runs.size(); ++i) {
    const PlannedRun& run = plan.runs[i];
    if (run.world.get() == call && states[i] != RunState::kDone) {
      const Passes passes = passes_of(run.options);
      sum.train += passes.train;
      sum.held_out += passes.held_out;
      sum.test += passes.test;
      sum.batch = std::max(sum.batch, passes.batch);
    }
  }
  return sum;
}

// Checks all runs of one world that are not done, a seed of each cell.
void check_runs(
    const TablePlan& plan,
    const std::vector<RunState>& states,
    const TrainCall* call,
    const World& world) {
  std::set<std::pair<std::string, std::string>> cells;
  for (size_t i = 0; i < plan.runs.size(); ++i) {
    const PlannedRun& run = plan.runs[i];
    if (run.world.get() != call || states[i] == RunState::kDone) {
      continue;
    }
    if (states[i] == RunState::kToResume) {
      check_record(run.folder, world, run.options);
    }
    if (!cells.emplace(run.row, run.column).second) {
      continue;
    }
    const auto label = [&](const char* what) { return plan.label(run) + ": " + what; };
    try {
      check_run(world, run.options);
    } catch (const program::UsageError& error) {
      throw program::UsageError(label(error.what()));
    } catch (const trmml::DataError& error) {
      throw trmml::DataError(label(error.what()));
    } catch (const c10::ValueError& error) {
      throw program::UsageError(label(error.what_without_backtrace()));
    }
  }
}

bool is_trained(const PlannedRun& run) {
  return trmml::method_switches(run.options.method).has_prompts();
}

int64_t count(const std::vector<RunState>& states, RunState state) {
  return std::count(states.begin(), states.end(), state);
}

// The runs of a table that are done, by row, column and seed.
class Finished {
 public:
  explicit Finished(const TablePlan& plan) {
    for (const PlannedRun& run : plan.runs) {
      if (state_of(run.folder, run.config) == RunState::kDone) {
        runs_[run.row][run.column][run.seed] = read_finished(run.folder);
      }
    }
  }

  ResultCell cell(const std::string& row, const std::string& column) const {
    ResultCell cell;
    for (const auto& [seed, run] : of(row, column)) {
      cell.mAP.push_back(run.mAP);
    }
    return cell;
  }

  // Over the columns, of the seeds that have all of them.
  ResultCell average(const std::string& row, const std::vector<std::string>& columns)
      const {
    std::map<int64_t, std::vector<double>> by_seed;
    for (const std::string& column : columns) {
      for (const auto& [seed, run] : of(row, column)) {
        by_seed[seed].push_back(run.mAP);
      }
    }
    ResultCell cell;
    for (const auto& [seed, mAP] : by_seed) {
      if (mAP.size() == columns.size()) {
        cell.mAP.push_back(mean_deviation(mAP).mean);
      }
    }
    return cell;
  }

  // Of a run of these rows; 0: none of them is done.
  double mean_seconds(const std::set<std::string>& rows) const {
    std::vector<double> seconds;
    for (const auto& [name, columns] : runs_) {
      for (const auto& [column, seeds] : columns) {
        for (const auto& [seed, run] : seeds) {
          if (rows.count(name) > 0) {
            seconds.push_back(run.seconds);
          }
        }
      }
    }
    return seconds.empty() ? 0.0 : mean_deviation(seconds).mean;
  }

  const FinishedRun* any(const std::string& row) const {
    const auto found = runs_.find(row);
    return found == runs_.end() ? nullptr
                                : &found->second.begin()->second.begin()->second;
  }
  const FinishedRun* any() const {
    return runs_.empty() ? nullptr : any(runs_.begin()->first);
  }

 private:
  using BySeed = std::map<int64_t, FinishedRun>;

  const BySeed& of(const std::string& row, const std::string& column) const {
    static const BySeed none;
    const auto columns = runs_.find(row);
    if (columns == runs_.end()) {
      return none;
    }
    const auto found = columns->second.find(column);
    return found == columns->second.end() ? none : found->second;
  }

  std::map<std::string, std::map<std::string, BySeed>> runs_;
};

// What another seed of a run changes.
std::string varied_by_seeds(const TablePlan& plan) {
  const bool draws_masks =
      std::any_of(plan.runs.begin(), plan.runs.end(), [](const PlannedRun& run) {
        const Protocol& protocol = run.options.protocol;
        const bool draws_salient = run.world->options.source->draws_salient();
        return !protocol.mask_seed && protocol.seed_of_mask(0, draws_salient);
      });
  return draws_masks ? "mask, initial weights and order" : "initial weights and order";
}

std::vector<std::string> notes_of(
    const Reproduction& reproduction,
    const Finished& finished) {
  const TableRequest& request = reproduction.request;
  std::vector<std::string> notes;
  std::string first = "Test mAP in %";
  if (const FinishedRun* run = finished.any()) {
    first += fmt::format(" ({}; {})", run->mAP_definition, run->split);
  }
  notes.push_back(
      first +
      (request.seeds > 1
           ? fmt::format(
                 ", mean ± standard deviation (n - 1) over {} seeds of {}",
                 request.seeds,
                 varied_by_seeds(reproduction.plan))
           : ", one seed") +
      "; the epoch is chosen on held-out training pictures.");
  const PlannedRun& run = reproduction.plan.runs.front();
  if (request.kind == TableKind::kBackbones) {
    notes.push_back("Method: " + run.options.method + ".");
    for (const std::string& row : reproduction.plan.rows) {
      const FinishedRun* done = finished.any(row);
      if (done != nullptr && done->environment.count("CLIP") > 0) {
        notes.push_back(row + ": " + done->environment.at("CLIP"));
      }
    }
  }
  return notes;
}

// What the table's runs hide, as the published tables know it; nothing for masks, other
// protocols and other proportions than one they have.
PublishedTable published_of(const TableRequest& request, const TablePlan& plan) {
  const Protocol& protocol = plan.runs.front().options.protocol;
  if (protocol.is_single()) {
    return published_numbers(request.data_set, PublishedProtocol::kSinglePositive);
  }
  const bool has_proportion = request.kind == TableKind::kKnownLabelProportions ||
                              protocol.known_label_proportion() == 0.1;
  return has_proportion
             ? published_numbers(
                   request.data_set, PublishedProtocol::kKnownLabelProportion)
             : PublishedTable{};
}

std::string estimate(
    const TablePlan& plan,
    const std::vector<RunState>& states,
    const Finished& finished) {
  std::set<std::string> trained;  // rows; others take next to no time
  for (const PlannedRun& run : plan.runs) {
    if (is_trained(run)) {
      trained.insert(run.row);
    }
  }
  double seconds = 0.0;
  for (size_t i = 0; i < plan.runs.size(); ++i) {
    const PlannedRun& run = plan.runs[i];
    if (states[i] == RunState::kDone) {
      continue;
    }
    double each = finished.mean_seconds({run.row});
    if (each == 0.0 && is_trained(run)) {
      each = finished.mean_seconds(trained);
      if (each == 0.0) {
        return "time for the rest: unknown (no finished run of a method that is "
               "trained "
               "says how long one takes)";
      }
    }
    seconds += each;
  }
  return fmt::format(
      "about {} for the rest, by the finished runs",
      trmml::report::format_duration(seconds));
}

// Whether the base of a control is finished, with the options of now.
bool has_start(const PlannedRun& run) {
  try {
    return !run.start.empty() &&
           std::filesystem::exists(run.start / "last.safetensors") &&
           state_of(run.start, run.start_config) == RunState::kDone;
  } catch (const program::UsageError&) {
    return false;  // with others
  }
}

// Trains one run of the table where it left off.
void do_run(
    const PlannedRun& run,
    RunState state,
    World& world,
    const std::function<bool()>& should_stop) {
  RunFolder folder{run.folder, run.config, state == RunState::kToResume};
  const program::FolderLock lock = begin(folder);
  if (folder.resume || !has_start(run)) {
    train_in_folder(world, run.options, folder, should_stop);
    return;
  }
  check_record(run.start, world, run.options);
  folder.resume = true;
  try {
    start_from(run.start, run.folder, run.config);
    train_in_folder(world, run.options, folder, should_stop);
  } catch (...) {  // else a state that does not do would be gone on with
    std::error_code ignored;
    std::filesystem::remove(run.folder / "last.safetensors", ignored);
    throw;
  }
}

}  // namespace

ResultTable results(const Reproduction& reproduction) {
  const TablePlan& plan = reproduction.plan;
  const Finished finished(plan);
  ResultTable table;
  table.name = plan.name;
  const FinishedRun* run = finished.any();
  table.title = fmt::format(
      "{} on {}", plan.name, run ? run->dataset : reproduction.request.data_set);
  table.command = reproduction.command;
  table.columns = plan.columns;
  table.seeds = reproduction.request.seeds;
  const bool has_average =
      reproduction.request.kind == TableKind::kKnownLabelProportions &&
      plan.columns.size() > 1;
  if (has_average) {
    table.columns.emplace_back("average");
  }
  for (const std::string& name : plan.rows) {
    ResultRow row{name, {}, finished.mean_seconds({name})};
    for (const std::string& column : plan.columns) {
      row.cells.push_back(finished.cell(name, column));
    }
    if (has_average) {
      row.cells.push_back(finished.average(name, plan.columns));
    }
    table.rows.push_back(std::move(row));
  }
  table.notes = notes_of(reproduction, finished);
  table.published = published_of(reproduction.request, plan);
  return table;
}

void tell_plan(const Reproduction& reproduction) {
  const TablePlan& plan = reproduction.plan;
  const std::vector<RunState> states = states_of(plan);
  const std::vector<TrainCall*> worlds = missing_worlds(plan, states);
  for (size_t i = 0; i < plan.runs.size(); ++i) {
    const PlannedRun& run = plan.runs[i];
    const char* state = states[i] == RunState::kDone       ? "done"
                        : states[i] == RunState::kToResume ? "to resume"
                                                           : "to run";
    program::say(
        fmt::format("{:<9}  {}  {}", state, plan.label(run), run.folder.string()));
  }
  program::say(fmt::format(
      "{} runs: {} done, {} to resume, {} to run",
      plan.runs.size(),
      count(states, RunState::kDone),
      count(states, RunState::kToResume),
      count(states, RunState::kToRun)));
  WorldCallbacks callbacks;
  callbacks.log = program::say;
  callbacks.should_stop = [] { return false; };
  if (!worlds.empty()) {
    program::say(estimate(plan, states, Finished(plan)));
  }
  for (TrainCall* call : worlds) {
    callbacks.check = [&, call](const World& world) {
      check_runs(plan, states, call, world);
    };
    callbacks.training_views = views_of(plan, states, call);
    callbacks.passes = all_passes(plan, states, call);
    load_world(call->options, callbacks, /*dry_run=*/true);
  }
}

void reproduce(
    const Reproduction& reproduction,
    const std::function<bool()>& should_stop) {
  const TablePlan& plan = reproduction.plan;
  const std::filesystem::path out = reproduction.request.out;
  program::make_folder(out / plan.name);
  const program::FolderLock lock(out / plan.name);
  const std::vector<RunState> states = states_of(plan);  // all, before anything is run
  WorldCallbacks loading;
  loading.log = program::say;
  loading.should_stop = should_stop;
  const auto load = [&](TrainCall& call, bool dry_run) {
    loading.check = [&](const World& loaded) {
      check_runs(plan, states, &call, loaded);
    };
    loading.training_views = views_of(plan, states, &call);
    loading.passes = all_passes(plan, states, &call);
    return load_world(call.options, loading, dry_run);
  };
  // A CLIP that does not do is told now, not after the runs with the ones before it.
  const std::vector<TrainCall*> worlds = missing_worlds(plan, states);
  for (size_t i = 1; i < worlds.size(); ++i) {
    load(*worlds[i], /*dry_run=*/true);
  }
  World world;
  const TrainCall* loaded = nullptr;
  int64_t done = count(states, RunState::kDone);
  const auto stopped = [&](const std::string& where) {
    return trmml::Interrupted(fmt::format(
        "stopped {}, with {} of {} runs done; what there is is saved, go on with the "
        "same command",
        where,
        done,
        plan.runs.size()));
  };
  for (size_t i = 0; i < plan.runs.size(); ++i) {
    const PlannedRun& run = plan.runs[i];
    if (states[i] == RunState::kDone) {
      continue;
    }
    if (should_stop()) {
      throw stopped("before " + plan.label(run));
    }
    try {
      if (loaded != run.world.get()) {
        world = {};  // two do not have to fit into memory
        world = load(*run.world, /*dry_run=*/false);
        loaded = run.world.get();
      }
      program::say(
          fmt::format("\nrun {} of {}: {}", i + 1, plan.runs.size(), plan.label(run)));
      do_run(run, states[i], world, should_stop);
    } catch (const trmml::Interrupted&) {
      throw stopped("in " + plan.label(run));
    }
    ++done;
    write(results(reproduction), out);
  }
  const ResultTable table = results(reproduction);
  write(table, out);
  fmt::print("\n{}", as_markdown(table));
}

}  // namespace experiment
