// Lists of VG-200 from Visual Genome's public annotations.
//
//   build_vg --objects objects.json --aliases object_alias.txt --out lists
//
// Writes what data::read_visual_genome reads: train_list_500.txt, test_list_500.txt,
// vg_category_200.txt, vg_category_200_labels_index.json. Lists that are there already
// stay, unless --overwrite is given.
//
// Exit status: 0 done, 2 wrong options, 3 annotations that cannot be read or used, 6 an
// output that cannot be written.

#include "trmml/data/visual_genome.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "support/program.hpp"

namespace {

struct Options {
  std::string objects;
  std::string aliases;
  std::string out;
  int64_t n_cls = 200;
  int64_t test_size = 10000;
  double test_share = 0;
  uint32_t seed = 1;
  bool labelled_only = false;
  bool overwrite = false;
};

void build(const Options& options) {
  program::make_folder(options.out);
  const auto result = trmml::data::build_visual_genome(
      trmml::data::VisualGenomeBuildOptions(options.objects, options.out)
          .aliases(options.aliases)
          .n_cls(options.n_cls)
          .test_size(options.test_size)
          .test_share(options.test_share)
          .seed(options.seed)
          .keep_unlabelled(!options.labelled_only)
          .overwrite(options.overwrite));
  fmt::print(
      "{} different names, {} pictures without one of the {} kept\n",
      result.names,
      result.unlabelled,
      result.categories.size());
  constexpr std::size_t kShown = 5;
  const std::size_t n = result.categories.size();
  for (std::size_t c = 0; c < n; ++c) {
    if (c < kShown || c + 1 == n) {
      fmt::print(
          "{:>5}  {:<20} {:>8} pictures\n",
          c,
          result.categories[c].first,
          result.categories[c].second);
    } else if (c == kShown) {
      fmt::print("  ...\n");
    }
  }
  fmt::print(
      "wrote {} training and {} test pictures to {}\n",
      result.train,
      result.test,
      options.out);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Lists of VG-200 from Visual Genome's public annotations");
  Options options;
  app.option_defaults()->always_capture_default();
  app.add_option("--objects", options.objects, "objects.json")->required();
  app.add_option("--aliases", options.aliases, "object_alias.txt (default: none)");
  app.add_option("--out", options.out, "Folder for the lists")->required();
  app.add_option("--n-cls", options.n_cls, "Categories to keep")
      ->check(program::at_least(1));
  auto* size = app.add_option("--test-size", options.test_size, "Test pictures")
                   ->check(program::at_least(1));
  app.add_option("--test-share", options.test_share, "Share of test pictures instead")
      ->check(program::expects(
          "a number in (0, 1)", [](double share) { return share > 0 && share < 1; }))
      ->excludes(size);
  app.add_option("--seed", options.seed, "Of the split");
  app.add_flag(
      "--labelled-only", options.labelled_only, "Leave out pictures without a label");
  app.add_flag("--overwrite", options.overwrite, "Replace lists that are there");
  program::parse(app, argc, argv);
  return program::run("build_vg", [&] { build(options); });
}
