// Looks at a data set before anything is trained on it.
//
//   inspect_data --dataset coco2014 --data coco --part both --out runs/coco
//   inspect_data --dataset csv --data mine/labels.csv --decode all
//
// Prints what a part is called and what it holds: pictures, labels, positives a
// picture, every category, the pairs of categories that occur together most often, and
// the digest of its labels. --check-pictures looks for every picture, --decode reads
// some or all of them. --out F writes F/inspect.json and F/inspect.html, a page with
// pictures of every category that needs no other file.
//
// Exit status: 0 done, 2 wrong options, 3 faults in the data (all of them are told), 5
// stopped by a signal, 6 an output that cannot be written.

#include <fmt/format.h>

#include "support/data_set.hpp"
#include "support/inspection.hpp"
#include "support/program.hpp"

namespace {

void inspect(const CLI::App& app, const inspection::Options& options) {
  using data_set::Part;
  data_set::check(app, options.data);
  const bool has_page = !options.out.empty();
  program::expect_effect(app, has_page, {"--thumbnails"}, "--out");
  program::expect_effect(
      app,
      options.decode != "0" || (has_page && options.thumbnails > 0),
      {"--workers"},
      "--decode, or --out with --thumbnails");
  program::expect_effect(
      app, options.part != "train", {"--test-data"}, "--part test or both");
  if (options.part != "train" && !data_set::has_part(options.data, Part::kTest)) {
    throw program::UsageError("--part " + options.part + ": needs --test-data");
  }
  if (has_page) {
    program::make_folder(options.out);
  }
  program::catch_signals();
  inspection::Inspection inspection(options);
  for (const Part part : {Part::kTrain, Part::kTest}) {
    if (options.part == "both" || (options.part == "train") == (part == Part::kTrain)) {
      inspection.add(part);
    }
  }
  if (has_page) {
    inspection.write();
    fmt::print("wrote {0}/inspect.json, {0}/inspect.html\n", options.out);
  }
  inspection.throw_if_any();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Looks at a data set before anything is trained on it."};
  inspection::Options options;
  app.option_defaults()->always_capture_default();
  data_set::add_options(app, options.data, data_set::names());
  app.add_option("--part", options.part, "Which part")
      ->check(CLI::IsMember({"train", "test", "both"}));
  app.add_option("--pairs", options.pairs, "Pairs of categories to show")
      ->check(program::at_least(0));
  app.add_option("--decode", options.decode, "Pictures to read, spread over the part")
      ->check(CLI::Validator(
          [](const std::string& text) {
            const bool is_number =
                !text.empty() && text.size() < 10 &&
                text.find_first_not_of("0123456789") == std::string::npos;
            return is_number || text == "all" ? std::string()
                                              : "expected a number or all, got " + text;
          },
          "N|all"));
  app.add_option("--workers", options.workers, "Threads that read pictures")
      ->check(CLI::Range(1, 1024));
  app.add_option("--thumbnails", options.thumbnails, "Pictures a category on the page")
      ->check(program::at_least(0));
  app.add_option("--out", options.out, "Folder for inspect.json and inspect.html");
  program::parse(app, argc, argv);
  return program::run("inspect_data", [&] { inspect(app, options); });
}
