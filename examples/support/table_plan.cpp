#include "support/table_plan.hpp"

#include "trmml/method/ablation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <stdexcept>
#include <system_error>

#include "support/ablation_table.hpp"
#include "support/config_file.hpp"
#include "support/data_set.hpp"
#include "support/program.hpp"

namespace experiment {

namespace fs = std::filesystem;

namespace {

using Words = std::vector<std::string>;

// Something that distinguishes the runs of a table, and the options that say so.
struct Setting {
  std::string label;
  Words arguments;
};

// "10 % known labels" as "10-percent-known-labels". Several labels may have one.
std::string folder_name(const std::string& label) {
  std::string name;
  for (const char c : label) {
    if (c == '%') {
      name += "percent";
    } else if (
        std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '+' ||
        c == '_' || static_cast<unsigned char>(c) >= 0x80) {
      name += c;
    } else if (!name.empty() && name.back() != '-') {
      name += '-';
    }
  }
  return name.substr(0, name.find_last_not_of('-') + 1);
}

Words joined(Words first, const Words& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

// The options that are given, each sent where it has an effect.
class Given {
 public:
  explicit Given(const TableRequest& request) : request_(request) {}

  std::shared_ptr<TrainCall> call(const Words& own) {
    Words given = request_.arguments;
    for (;;) {
      auto call = std::make_shared<TrainCall>(*request_.program, joined(given, own));
      try {
        set_defaults(call->app, call->options);
        experiment::check(call->app, call->options);
        useful_.insert(given.begin(), given.end());
        return call;
      } catch (const program::NoEffect& error) {
        const auto useless =
            std::find_if(given.begin(), given.end(), [&](const std::string& argument) {
              return argument.starts_with(error.flag() + "=");
            });
        if (useless == given.end()) {
          throw;
        }
        refusals_.emplace(*useless, error.what());
        given.erase(useless);
      }
    }
  }

  // Throws for an option that no run has taken.
  void check() const {
    for (const auto& [argument, refusal] : refusals_) {
      if (useful_.count(argument) == 0) {
        throw program::UsageError(refusal);
      }
    }
  }

 private:
  const TableRequest& request_;
  std::set<std::string> useful_;
  std::map<std::string, std::string> refusals_;
};

Setting proportion_setting(double proportion) {
  return {
      fmt::format("{:g} %", 100 * proportion),
      {fmt::format("--known-label-proportion={}", proportion)}};
}

// Which labels are hidden: a column each.
std::vector<Setting> columns_of(const TableRequest& request) {
  std::vector<Setting> columns;
  if (request.kind == TableKind::kKnownLabelProportions) {
    std::set<std::string> labels;
    for (const double proportion : request.proportions) {
      columns.push_back(proportion_setting(proportion));
      if (!labels.insert(columns.back().label).second) {
        throw program::UsageError(fmt::format(
            "--proportions: expected different ones, got {} twice",
            columns.back().label));
      }
    }
    return columns;
  }
  if (request.kind == TableKind::kSinglePositive) {
    columns.push_back({"random", {"--single-positive=random"}});
    if (request.data_set == "scenes" || data_set::has_sizes(request.data_set)) {
      columns.push_back({"salient", {"--single-positive=salient"}});
    }
    return columns;
  }
  return {{"", {}}};  // what the options say
}

void check_method(const std::string& name) {
  if (name != "all") {
    try {
      trmml::method_switches(name);
    } catch (const std::invalid_argument& error) {
      throw program::UsageError(std::string("--methods: ") + error.what());
    }
  }
}

// "ViT-B-16" of clips/ViT-B-16.pt; a folder, clips/ViT-B-16.openai/, has no ending.
std::string name_of_clip(const std::string& clip) {
  std::error_code error;  // what cannot be loaded is told later
  fs::path path = fs::absolute(clip, error).lexically_normal();
  if (!path.has_filename()) {
    path = path.parent_path();
  }
  return (fs::is_directory(path, error) ? path.filename() : path.stem()).string();
}

// What is compared: a row each.
std::vector<Setting> rows_of(const TableRequest& request) {
  std::vector<Setting> rows;
  const auto is_there = [&rows](const std::string& label) {
    return std::any_of(rows.begin(), rows.end(), [&](const Setting& row) {
      return row.label == label;
    });
  };
  if (request.kind == TableKind::kBackbones) {
    if (request.methods.size() != 1 || request.methods.front() == "all") {
      throw program::UsageError("--methods: expected one for a table of backbones");
    }
    for (const std::string& clip : request.clips) {
      const std::string label = name_of_clip(clip);
      if (is_there(label)) {
        throw program::UsageError(fmt::format(
            "--clip: expected files with different names, got {} twice", label));
      }
      rows.push_back(
          {label, {"--clip=" + clip, "--method=" + request.methods.front()}});
    }
    return rows;
  }
  for (const std::string& method : request.methods) {
    check_method(method);
    for (const auto& [name, switches] : trmml::methods()) {
      if ((method == "all" || method == name) && !is_there(name)) {
        rows.push_back({name, {"--method=" + name}});
      }
    }
  }
  return rows;
}

// Whether a row has this column; a method that is named must.
bool is_in_table(const TableRequest& request, const Setting& row, const Protocol& how) {
  if (request.methods != Words{"all"}) {
    return true;
  }
  RunOptions options(request.program->defaults);
  options.protocol = how;
  const Words defined = table_methods(options, "all");
  return std::find(defined.begin(), defined.end(), row.label) != defined.end();
}

Protocol protocol_of(const TableRequest& request, const Setting& column) {
  CLI::App app;
  app.allow_extras();
  Protocol protocol;
  add_protocol(app, protocol, /*all=*/true);
  Words arguments = joined(request.arguments, column.arguments);
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
  app.parse(std::move(arguments));
  return protocol;
}

// What loads the worlds: one, or one a CLIP. It has all options, also those that some
// runs have no use for.
class Worlds {
 public:
  explicit Worlds(const TableRequest& request) : request_(request) {}

  std::shared_ptr<TrainCall> of(const Setting& row) {
    const bool is_by_row = request_.kind == TableKind::kBackbones;
    const std::string key = is_by_row ? row.label : "";
    for (const auto& [known, world] : worlds_) {
      if (known == key) {
        return world;
      }
    }
    worlds_.emplace_back(
        key,
        std::make_shared<TrainCall>(
            *request_.program,
            joined(request_.arguments, is_by_row ? row.arguments : Words{})));
    return worlds_.back().second;
  }

  // A world after the other.
  void sort(std::vector<PlannedRun>& runs) const {
    const auto place = [this](const PlannedRun& run) {
      return std::find_if(worlds_.begin(), worlds_.end(), [&run](const auto& world) {
        return world.second == run.world;
      });
    };
    std::stable_sort(runs.begin(), runs.end(), [&](const auto& a, const auto& b) {
      return place(a) < place(b);
    });
  }

 private:
  const TableRequest& request_;
  std::vector<std::pair<std::string, std::shared_ptr<TrainCall>>> worlds_;
};

std::string name_of(TableKind kind) {
  const auto& kinds = table_kinds();
  return std::find_if(
             kinds.begin(),
             kinds.end(),
             [kind](const auto& known) { return known.second == kind; })
      ->first;
}

PlannedRun make_run(
    const TableRequest& request,
    const Setting& row,
    const Setting& column,
    int64_t seed,
    Given& given) {
  const auto folder_of = [&](const Setting& of) {
    return fs::path(request.out) / name_of(request.kind) / folder_name(of.label) /
           folder_name(column.label) / fmt::format("seed-{}", seed);
  };
  const auto call_of = [&](const Setting& of) {
    return given.call(joined(
        joined(column.arguments, of.arguments),
        {fmt::format("--seed={}", seed), "--out=" + folder_of(of).string()}));
  };
  const auto call = call_of(row);
  PlannedRun run{
      row.label,
      column.label,
      seed,
      folder_of(row),
      call->options.run,
      program::config_text(call->app),
      nullptr,
      {},
      {}};
  if (request.kind != TableKind::kBackbones && is_control(run.options.method)) {
    const Setting base{kBaseOfControl, {std::string("--method=") + kBaseOfControl}};
    run.start = folder_of(base);
    run.start_config = program::config_text(call_of(base)->app);
  }
  return run;
}

// Two runs in one folder would be taken for one.
void check_folders(const TablePlan& plan) {
  std::map<fs::path, const PlannedRun*> known;
  for (const PlannedRun& run : plan.runs) {
    const auto [other, is_new] = known.emplace(run.folder, &run);
    if (!is_new) {
      throw program::UsageError(fmt::format(
          "{}: expected the folder of one run, got that of \"{}\" and \"{}\" (rename "
          "one of the files)",
          run.folder.string(),
          plan.label(*other->second),
          plan.label(run)));
    }
  }
}

}  // namespace

TrainCall::TrainCall(
    const TrainProgram& program,
    const std::vector<std::string>& arguments)
    : app(program.description), options(program) {
  add_options(app, options);
  Words reversed(arguments.rbegin(), arguments.rend());  // as CLI11 wants them
  try {
    app.parse(std::move(reversed));
  } catch (const CLI::ParseError& error) {
    throw program::UsageError(error.what());
  }
}

const std::vector<std::pair<std::string, TableKind>>& table_kinds() {
  static const std::vector<std::pair<std::string, TableKind>> kinds = {
      {"known-label-proportions", TableKind::kKnownLabelProportions},
      {"single-positive", TableKind::kSinglePositive},
      {"ablation", TableKind::kAblation},
      {"backbones", TableKind::kBackbones}};
  return kinds;
}

std::string TablePlan::label(const PlannedRun& run) const {
  return fmt::format("{}, {}, seed {}", run.row, run.column, run.seed);
}

TablePlan plan_table(const TableRequest& request) {
  TablePlan plan;
  plan.name = name_of(request.kind);
  std::vector<Setting> columns = columns_of(request);
  std::vector<Protocol> protocols;
  for (Setting& column : columns) {
    protocols.push_back(protocol_of(request, column));
    if (column.label.empty()) {
      column.label = protocols.back().description();
    }
    plan.columns.push_back(column.label);
  }
  Given given(request);
  Worlds worlds(request);
  for (int64_t seed = 0; seed < request.seeds; ++seed) {
    for (const Setting& row : rows_of(request)) {
      if (seed == 0) {
        plan.rows.push_back(row.label);
      }
      for (size_t c = 0; c < columns.size(); ++c) {
        if (is_in_table(request, row, protocols[c])) {
          plan.runs.push_back(make_run(request, row, columns[c], seed, given));
          plan.runs.back().world = worlds.of(row);
        }
      }
    }
  }
  given.check();
  check_folders(plan);
  worlds.sort(plan.runs);
  return plan;
}

}  // namespace experiment
