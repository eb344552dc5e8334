#include "support/train_options.hpp"

#include <fmt/format.h>

#include <stdexcept>

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
       {},
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
}

void set_defaults(CLI::App& app, const TrainOptions& options) {
  switches_of(options.run);  // an unknown method is told first
  for (const auto& [flag, value] : settings_by_method(options.run)) {
    app.get_option(flag)->default_str(value);
  }
}

void check(const CLI::App& app, const TrainOptions& options) {
  options.source->check(app, options.run.method);
  check(app, options.run);
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
