#include "support/reproduce_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>
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

// Where TABLE stands: at the name of a table that is no option's value, or else at any,
// or else in front.
Words::const_iterator find_table(const Words& words, const Words& tables) {
  const auto is_table = [&](const std::string& word) {
    return std::find(tables.begin(), tables.end(), word) != tables.end();
  };
  for (auto word = words.begin(); word != words.end(); ++word) {
    const bool may_be_value = word != words.begin() && word[-1].starts_with("--");
    if (is_table(*word) && !may_be_value) {
      return word;
    }
  }
  const auto any = std::find_if(words.begin(), words.end(), is_table);
  const bool has_front = !words.empty() && !words.front().starts_with("-");
  return any == words.end() && has_front ? words.begin() : any;
}

void parse(CLI::App& app, char* program, Words words) {
  std::vector<char*> all = {program};
  for (std::string& word : words) {
    all.push_back(word.data());
  }
  program::parse(app, static_cast<int>(all.size()), all.data());
}

// Table and data set come first: they decide which options there are. Returns TABLE,
// and takes it out of the words.
std::string parse_names(TableRequest& request, char* program, Words& words) {
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
  Words names;
  const auto found = find_table(words, tables);
  if (found != words.end()) {
    names.push_back(*found);
    words.erase(found);
  }
  const size_t without_data_set = names.size();
  for (size_t i = 0; i < words.size(); ++i) {
    const bool is_flag = words[i] == "--dataset";
    if (is_flag || words[i].starts_with("--dataset=")) {
      names.push_back(words[i]);
    }
    if (is_flag && i + 1 < words.size()) {
      names.push_back(words[++i]);
    }
  }
  const bool is_complete = without_data_set == 1 && names.size() > without_data_set;
  for (const std::string& word : words) {
    if (!is_complete && (word == "--help" || word == "-h" || word == "--version")) {
      names.push_back(word);
    }
  }
  parse(app, program, std::move(names));
  for (const auto& [name, kind] : table_kinds()) {
    if (name == table) {
      request.kind = kind;
    }
  }
  request.program = &program_of(request.data_set);
  return table;
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
  TableRequest& request = options.request;
  options.command = shell_text(argc, argv);
  Words words(argv + 1, argv + argc);
  const std::string table = parse_names(request, argv[0], words);
  CLI::App app{
      fmt::format("Runs a table of {}.", request.data_set), "reproduce " + table};
  TrainOptions run(*request.program);
  const Words names = add_run_options(app, run, request.kind);
  program::add_config(app, "Options from a TOML file");
  add_table_options(app, options);
  parse(app, argv[0], std::move(words));
  for (const std::string& flag : names) {
    for (const std::string& value : app.get_option(flag)->results()) {
      request.arguments.push_back(flag + "=" + value);
    }
  }
}

}  // namespace experiment
