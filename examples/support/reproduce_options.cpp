#include "support/reproduce_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "support/config_file.hpp"
#include "support/program.hpp"

namespace experiment {
namespace {

using Words = std::vector<std::string>;

Words data_sets() {
  Words all;
  for (const TrainProgram& program : train_programs()) {
    all.insert(all.end(), program.data_sets.begin(), program.data_sets.end());
  }
  return all;
}

const TrainProgram& program_of(const std::string& data_set) {
  for (const TrainProgram& program : train_programs()) {
    const Words& sets = program.data_sets;
    if (std::find(sets.begin(), sets.end(), data_set) != sets.end()) {
      return program;
    }
  }
  throw std::invalid_argument("program_of: no data set " + data_set);
}

// Table and data set come first: they decide which options there are.
void parse_names(TableRequest& request, int argc, char** argv) {
  Words tables;
  for (const auto& [name, kind] : table_kinds()) {
    tables.push_back(name);
  }
  CLI::App app{
      "Runs a table of the paper: what is missing of it.\n"
      "`reproduce TABLE --dataset S --help` lists all options."};
  std::string table;
  app.add_option("TABLE", table, "Which table")
      ->required()
      ->check(CLI::IsMember(tables));
  app.add_option("--dataset", request.data_set, "Which data set")
      ->required()
      ->check(CLI::IsMember(data_sets()));
  std::vector<char*> names = {argv[0]};
  for (int i = 1; i < argc; ++i) {
    const bool is_data_set = std::strcmp(argv[i], "--dataset") == 0;
    if (i == 1 || is_data_set || std::strncmp(argv[i], "--dataset=", 10) == 0) {
      names.push_back(argv[i]);
    }
    if (is_data_set && i + 1 < argc) {
      names.push_back(argv[++i]);
    }
  }
  program::parse(app, static_cast<int>(names.size()), names.data());
  for (const auto& [name, kind] : table_kinds()) {
    if (name == table) {
      request.kind = kind;
    }
  }
  request.program = &program_of(request.data_set);
}

// What a table says itself, or says of several runs.
Words taken_by(TableKind kind) {
  Words flags = {"--method", "--seed", "--resume", "--out"};
  if (kind == TableKind::kBackbones) {
    flags.emplace_back("--clip");
  }
  if (kind == TableKind::kKnownLabelProportions || kind == TableKind::kSinglePositive) {
    CLI::App app;
    Protocol protocol;
    add_protocol(app, protocol, /*all=*/true);
    for (const CLI::Option* option : app.get_options()) {
      if (option->get_name() != "--mask-seed" && option->get_name() != "--help") {
        flags.push_back(option->get_name());
      }
    }
  }
  return flags;
}

// The options of a run that are left to the command line; their names.
Words add_run_options(CLI::App& app, TrainOptions& options, TableKind kind) {
  add_options(app, options);
  for (const std::string& flag : taken_by(kind)) {
    if (CLI::Option* option = app.get_option_no_throw(flag)) {
      app.remove_option(option);
    }
  }
  Words names;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_name() != "--help") {
      names.push_back(option->get_name());
    }
  }
  if (app.get_option_no_throw("--dataset") == nullptr) {
    app.add_option_function<std::string>(
        "--dataset", [](const std::string&) {}, "Which data set");  // already parsed
  }
  return names;
}

void add_table_options(CLI::App& app, ReproduceOptions& options) {
  TableRequest& request = options.request;
  if (request.kind == TableKind::kKnownLabelProportions) {
    request.proportions = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9};
    app.add_option("--proportions", request.proportions, "A column each")
        ->delimiter(',')
        ->check(program::expects("a number in (0, 1]", [](double value) {
          return value > 0 && value <= 1;
        }));
  }
  if (request.kind == TableKind::kBackbones) {
    app.add_option("--clip", request.clips, "Files or folders of CLIPs, a row each")
        ->delimiter(',')
        ->required();
  }
  request.methods = {request.kind == TableKind::kAblation ? "all" : "trm-ml"};
  app.add_option(
         "--methods",
         request.methods,
         request.kind == TableKind::kBackbones
             ? "The method of all rows"
             : "A row each, as in the ablation; all: those of the ablation")
      ->delimiter(',');
  app.add_option("--seeds", request.seeds, "Runs a cell, with seeds 0, 1, ...")
      ->check(CLI::Range(1, 100));
  app.add_option("--out", request.out, "Folder of the tables and their runs")
      ->required();
  app.add_flag("--dry-run", options.dry_run, "List the runs and read the data only")
      ->configurable(false);
  app.add_flag("--print-config", options.print_config, "Print all options of each run")
      ->configurable(false);
}

// The words of a command line as a shell takes them.
std::string shell_text(int argc, char** argv) {
  std::string text = "reproduce";
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool is_plain =
        !word.empty() &&
        word.find_first_not_of(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
            "-_./,=+:@%") == std::string::npos;
    std::string quoted;
    for (const char c : word) {
      quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    }
    text += " " + (is_plain ? word : "'" + quoted + "'");
  }
  return text;
}

}  // namespace

void parse_reproduce(ReproduceOptions& options, int argc, char** argv) {
  parse_names(options.request, argc, argv);
  TableRequest& request = options.request;
  options.command = shell_text(argc, argv);
  const std::string name = std::string("reproduce ") + argv[1];
  CLI::App app{fmt::format("Runs a table of {}.", request.data_set), name};
  TrainOptions run(*request.program);
  const Words names = add_run_options(app, run, request.kind);
  program::add_config(app, "Options from a TOML file");
  add_table_options(app, options);
  program::parse(app, argc - 1, argv + 1);
  for (const std::string& flag : names) {
    for (const std::string& value : app.get_option(flag)->results()) {
      request.arguments.push_back(flag + "=" + value);
    }
  }
}

}  // namespace experiment
