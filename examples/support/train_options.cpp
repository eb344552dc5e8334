#include "support/train_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>
#include <stdexcept>

#include "support/config_file.hpp"
#include "support/method_settings.hpp"
#include "support/program.hpp"
#include "support/scenes_world.hpp"

namespace experiment {
namespace {

Defaults coco_defaults() {
  Defaults defaults;
  defaults.positives_per_image = 2.9;  // 241,035 of 82,081 annotated pictures
  return defaults;
}

Defaults voc_defaults() {
  Defaults defaults;
  defaults.epochs = 80;
  defaults.weight_decay = 5e-4;
  defaults.positives_per_image = 1.5;  // 7,306 of 5,011 pictures
  return defaults;
}

// What a file of one's own does not know is unknown already.
Defaults own_defaults() {
  Defaults defaults;
  defaults.known_label_proportion = 1.0;
  return defaults;
}

// A config.toml holds what follows from its method and its protocol, too. That is no
// choice, so it must not bind another method or protocol on the command line.
class RunConfig : public program::ConfigFile {
 public:
  RunConfig(const CLI::App& app, const Defaults& defaults)
      : ConfigFile(app), command_line_(app), defaults_(defaults) {}

  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    std::vector<CLI::ConfigItem> lines = ConfigFile::from_config(input);
    const auto settings = settings_of(lines);
    const std::set<std::string> replaced = replaced_protocols();
    std::erase_if(lines, [&](const CLI::ConfigItem& item) {
      const std::pair<std::string, std::string> line = {
          "--" + item.name, item.inputs.empty() ? "" : item.inputs.front()};
      return replaced.count(line.first) > 0 ||
             std::find(settings.begin(), settings.end(), line) != settings.end();
    });
    return lines;
  }

 private:
  // What follows from the method and the protocol of the file.
  std::vector<std::pair<std::string, std::string>> settings_of(
      const std::vector<CLI::ConfigItem>& lines) const {
    RunOptions there(defaults_);
    CLI::App app;
    add_protocol(app, there.protocol, /*all=*/true);
    app.add_option("--method", there.method);
    std::vector<std::string> words;
    for (const CLI::ConfigItem& item : lines) {
      if (app.get_option_no_throw("--" + item.name) != nullptr) {
        for (const std::string& value : item.inputs) {
          words.push_back("--" + item.name + "=" + value);
        }
      }
    }
    try {
      app.parse(std::move(words));
      return settings_by_method(there);
    } catch (const std::exception&) {
      return {};  // what is wrong there is told when all options are parsed
    }
  }

  // The options that a protocol on the command line takes the place of.
  std::set<std::string> replaced_protocols() const {
    Protocol unused;
    CLI::App protocols;
    add_protocol(protocols, unused, /*all=*/true);
    std::set<std::string> replaced;
    for (const CLI::Option* protocol : protocols.get_options()) {
      const std::string name = protocol->get_name();
      if (name != "--mask-seed" && command_line_.get_option(name)->count() > 0) {
        for (const CLI::Option* other : protocol->get_excludes()) {
          replaced.insert(other->get_name());
        }
      }
    }
    if (replaced.count("--mask") > 0) {
      replaced.insert("--mask-code");
    }
    return replaced;
  }

  const CLI::App& command_line_;
  Defaults defaults_;
};

// The other methods look at the global feature alone.
bool looks_at_regions(const trmml::MethodSwitches& switches) {
  using Kind = trmml::MethodSwitches::Kind;
  return switches.pooled || switches.kind == Kind::kTextPixel ||
         switches.kind == Kind::kRegion;
}

}  // namespace

const std::vector<TrainProgram>& train_programs() {
  static const std::vector<TrainProgram> programs = {
      {"train_coco",
       "Trains a method on MS-COCO.",
       {"coco2014", "coco2017"},
       coco_defaults(),
       ""},
      {"train_voc",
       "Trains a method on PASCAL VOC.",
       {"voc2007", "voc2012"},
       voc_defaults(),
       ""},
      {"train_vg", "Trains a method on Visual Genome.", {"vg200", "vg256"}, {}, ""},
      {"train_nus", "Trains a method on NUS-WIDE.", {"nus-wide"}, {}, ""},
      {"train_cub",
       "Trains a method on the attributes of CUB-200-2011.",
       {"cub"},
       {},
       ""},
      {"train_csv",
       "Trains a method on data of one's own.",
       {"csv", "folder", "coco-json"},
       own_defaults(),
       ""},
      {"train_scenes",
       "Trains one method on FashionScenes.",
       {"scenes"},
       scenes::defaults(),
       "runs/train_scenes"}};
  return programs;
}

const TrainProgram& train_program(const std::string& name) {
  for (const TrainProgram& program : train_programs()) {
    if (program.name == name) {
      return program;
    }
  }
  throw std::invalid_argument(
      fmt::format("train_program: expected the name of one, got {}", name));
}

TrainOptions::TrainOptions(const TrainProgram& program)
    : source(world_source(program.data_sets)),
      run(program.defaults),
      out(program.out) {}

void add_options(CLI::App& app, TrainOptions& options) {
  app.option_defaults()->always_capture_default();
  options.source->add_options(app);
  add_options(app, options.run, /*all_protocols=*/true);
  app.add_option("--out", options.out, "Folder of the run");
  app.add_option(
         "--limit-batches",
         options.limit_batches,
         "The first pictures of each part only, as many as this number of batches has")
      ->check(program::at_least(0));
  if (app.get_config_ptr() != nullptr) {
    app.config_formatter(std::make_shared<RunConfig>(app, options.run.defaults));
  }
}

void set_defaults(CLI::App& app, const TrainOptions& options) {
  switches_of(options.run);  // an unknown method is told first
  for (const auto& [flag, value] : settings_by_method(options.run)) {
    app.get_option(flag)->default_str(value);
  }
}

void check(const CLI::App& app, const TrainOptions& options) {
  options.source->check(app, options.run.method);
  program::expect_effect(
      app,
      looks_at_regions(switches_of(options.run)),
      {"--dense"},
      "a method that looks at regions, got " + options.run.method);
  check(app, options.run);
  check(app, options.run.protocol, options.source->draws_salient());
  if (options.limit_batches > 0 && program::is_given(app, "--limit-scenes")) {
    throw program::UsageError("--limit-scenes excludes --limit-batches");
  }
}

World load_world(TrainOptions& options, const WorldCallbacks& callbacks, bool dry_run) {
  if (options.limit_batches > 0) {
    options.source->limit(options.limit_batches * options.run.trainer.batch_size());
  }
  return options.source->load(callbacks, dry_run);
}

}  // namespace experiment
