#include "support/world_source.hpp"

#include "trmml/core/device.hpp"

#include <cmath>
#include <utility>

#include "support/data_set.hpp"
#include "support/program.hpp"
#include "support/scenes_world.hpp"

namespace experiment {
namespace {

class PictureSource : public WorldSource {
 public:
  explicit PictureSource(std::vector<std::string> data_sets)
      : data_sets_(std::move(data_sets)) {}

  void add_options(CLI::App& app) override {
    data_set::add_options(app, data_, data_sets_);
    experiment::add_options(app, pictures_);
  }
  void check(const CLI::App& app, const std::string& method) const override {
    data_set::check(app, data_);
    experiment::check(app, pictures_, method);
  }
  void limit(int64_t count) override { pictures_.limit_pictures = count; }
  World load(const WorldCallbacks& callbacks, bool dry_run) override {
    return load_world(data_, pictures_, callbacks, dry_run);
  }

 private:
  std::vector<std::string> data_sets_;
  data_set::Options data_;
  PictureOptions pictures_;
};

class ScenesSource : public WorldSource {
 public:
  void add_options(CLI::App& app) override {
    app.add_option("--dense", dense_, "Form of the dense map")
        ->check(CLI::IsMember({"dualcoop", "plain"}));
    app.add_option(
           "--resolution",
           options_.resolution,
           "Pixels a side that the tower sees: 96 times a whole number")
        ->check(program::expects("96 times a whole number", [](double value) {
          return value >= 96 && std::fmod(value, 96) == 0;
        }));
    app.add_option("--threads", threads_, "0: every core")->check(program::at_least(0));
    app.add_option(
           "--limit-scenes",
           options_.limit_scenes,
           "The first scenes of each split only, to try things out (0: all)")
        ->check(program::at_least(0));
    scenes::add_paths(app, options_.paths);
  }
  void check(const CLI::App&, const std::string&) const override {}
  bool draws_salient() const override { return true; }
  void limit(int64_t count) override { options_.limit_scenes = count; }
  World load(const WorldCallbacks& callbacks, bool dry_run) override {
    trmml::set_threads(threads_);
    callbacks.log(trmml::describe_backend());
    if (dense_ == "plain") {
      options_.dense = trmml::clip::DenseForm::kPlain;
    }
    return scenes::load_world(options_, callbacks, dry_run);
  }

 private:
  scenes::WorldOptions options_;
  std::string dense_ = "dualcoop";
  int threads_ = 0;
};

}  // namespace

std::unique_ptr<WorldSource> world_source(const std::vector<std::string>& data_sets) {
  if (data_sets.front() == "scenes") {
    return std::make_unique<ScenesSource>();
  }
  return std::make_unique<PictureSource>(data_sets);
}

}  // namespace experiment
