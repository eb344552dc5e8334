// Hides labels by a protocol, or converts the mask of another project.
//
//   make_masks --dataset voc2007 --data data --protocol salient-positive --out m.npy
//   make_masks --labels F --protocol single-positive --out mask.npy
//   make_masks --labels F --import partial_label_0.10.pt --code dualcoop --out mask.csv
//
// Complete labels are those of a data set's training part, or a matrix [N, C]: .csv (a
// column a category), .npy or .safetensors in the code of --labels-code, where
// --image-names and --names name rows and columns: mask files that name their pictures
// need that. Prints what is known, and the digest that reports carry.
//
// Exit status: 0 done, 2 wrong options, 3 labels or masks with faults, 6 an output that
// cannot be written.

#include "trmml/data/mask_files.hpp"
#include "trmml/data/missing_labels.hpp"
#include "trmml/data/protocol.hpp"
#include "trmml/io/npy.hpp"

#include <ATen/ops/from_blob.h>

#include <fmt/format.h>

#include <string>
#include <vector>

#include "support/label_source.hpp"
#include "support/program.hpp"

namespace {

namespace data = trmml::data;
namespace fs = std::filesystem;

struct Options {
  label_source::Options labels;
  data::ProtocolOptions protocol;
  std::string protocol_name;
  std::string salient;
  std::string import;
  std::string code;
  std::string import_images;
  std::string form = "matrix";
  std::string held_out;
  std::string out;
};

/// SPLC's list names its pictures by their files.
bool is_positive_list(const Options& options) {
  return !options.import.empty() && fs::path(options.import).extension() == ".txt" &&
         data::parse_label_code(options.code) == data::LabelCode::kSplc;
}

/// The observed labels, and a line about where they come from.
at::Tensor make_mask(const Options& options, data::Split& split, std::string& origin) {
  if (!options.import.empty()) {
    origin = fmt::format("{}, code {}", options.import, options.code);
    if (is_positive_list(options)) {
      const data::PositiveList list =
          data::read_positive_list(options.import, split.table);
      origin += fmt::format(
          ", md5 {} ({} the published single-label list of COCO)",
          list.md5,
          list.is_published_single() ? "this is" : "not");
      return list.labels;
    }
    const auto images = options.import_images.empty()
                            ? std::vector<std::string>()
                            : label_source::read_names(options.import_images);
    return data::read_mask(
        options.import, data::parse_label_code(options.code), split.table, images);
  }
  origin = data::describe(options.protocol);
  if (!options.salient.empty()) {
    const at::Tensor named =
        trmml::io::read_npy(options.salient).to(at::kLong).contiguous();
    const auto* first = named.data_ptr<int64_t>();
    split.salient.assign(first, first + named.numel());
  }
  return data::hide_labels(split, options.protocol);
}

void make_masks(const CLI::App& app, const Options& options) {
  data::Split split = label_source::read(app, options.labels);
  const int64_t n = split.table.labels.size(0);
  fmt::print("labels: {}, {} x {}\n", split.name, n, split.table.labels.size(1));
  label_source::print_counts(split.table.labels);
  std::string origin;
  const at::Tensor mask = make_mask(options, split, origin);
  fmt::print("mask: {}\n", origin);
  label_source::print_counts(mask);
  if (!options.held_out.empty()) {
    data::HeldOutRows rows = data::cole_held_out(n);
    const auto size = static_cast<int64_t>(rows.held_out.size());
    trmml::io::write_npy(
        options.held_out, at::from_blob(rows.held_out.data(), {size}, at::kLong));
    fmt::print("held out: {} of {} rows, in {}\n", size, n, options.held_out);
  }
  if (fs::path(options.out).extension() == ".npy") {
    trmml::io::write_npy(options.out, mask);
  } else {
    split.table.labels = mask;
    data::write_mask_csv(
        options.out,
        split.table,
        options.form == "long" ? data::MaskCsv::kLong : data::MaskCsv::kMatrix);
  }
}

// Parameters belong to their protocols, rows that are held out to those of Cole et al.,
// --csv-form to .csv.
void check(const CLI::App& app, const Options& options) {
  const std::string& protocol = options.protocol_name;
  if (protocol.empty() == options.import.empty()) {
    throw program::UsageError("expected --protocol or --import");
  }
  const auto belongs = [&](const char* flag, const std::string& owner) {
    program::expect_effect(app, protocol == owner, {flag}, "--protocol " + owner);
  };
  belongs("--known-label-proportion", "known-label-proportion");
  belongs("--positives-left", "missing-positives");
  belongs("--labels-per-class", "fixed-per-class");
  belongs("--removal-rate", "random-per-sample");
  belongs("--salient", "salient-positive");
  const bool is_drawn =
      !protocol.empty() && protocol != "all-labels" && protocol != "salient-positive";
  program::expect_effect(app, is_drawn, {"--seed"}, "a --protocol that draws");
  program::expect_effect(
      app,
      !is_positive_list(options),
      {"--import-images"},
      "an --import without names of pictures");
  program::expect_effect(
      app,
      protocol == "single-positive" || options.code.starts_with("cole"),
      {"--held-out"},
      "--protocol single-positive, --code cole or cole-complete");
  program::expect_effect(
      app,
      options.labels.data.name.empty(),  // else `label_source` refuses it
      {"--test-data"},
      "--data alone, whose labels are hidden");
  program::check_output("--out", options.out, {".npy", ".csv"});
  program::check_output("--held-out", options.held_out, {".npy"});
  const bool is_csv = fs::path(options.out).extension() == ".csv";
  program::expect_effect(app, is_csv, {"--csv-form"}, "--out F.csv");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Hides labels by a protocol, or converts the mask of another project."};
  Options options;
  app.option_defaults()->always_capture_default();
  label_source::add_options(app, options.labels);
  auto* protocol = app.add_option("--protocol", options.protocol_name, "How to hide")
                       ->check(CLI::IsMember(data::protocol_names()));
  auto& parameters = options.protocol;
  app.add_option(
         "--known-label-proportion",
         parameters.known_label_proportion,
         "Share that stays known, in (0, 1]")
      ->check(program::expects(
          "a number in (0, 1]", [](double value) { return value > 0 && value <= 1; }));
  app.add_option("--positives-left", parameters.positives_left, "SPLC's: 0.75 or 0.4");
  app.add_option(
         "--labels-per-class", parameters.labels_per_class, "n present, n absent")
      ->check(program::at_least(1));
  app.add_option("--removal-rate", parameters.removal_rate, "Share hidden, in [0, 1)")
      ->check(program::expects(
          "a number in [0, 1)", [](double value) { return value >= 0 && value < 1; }));
  app.add_option(
      "--seed", parameters.seed, "Default: 1200 for single-positive, else 0");
  app.add_option("--salient", options.salient, ".npy [N]: category, -1 for none");
  auto* import = app.add_option("--import", options.import, "A mask file to convert");
  auto* code = app.add_option(
      "--code", options.code, "Who wrote it: hcp, dualcoop, cole, cole-complete, splc");
  app.add_option("--import-images", options.import_images, "Names of its rows")
      ->needs(import);
  import->needs(code)->excludes(protocol);
  code->needs(import);
  app.add_option("--held-out", options.held_out, "Write the rows Cole et al. hold out");
  app.add_option("--csv-form", options.form, "Of --out F.csv")
      ->check(CLI::IsMember({"matrix", "long"}));
  app.add_option("--out", options.out, "The mask, .npy or .csv")->required();
  program::parse(app, argc, argv);
  return program::run("make_masks", [&] {
    if (!options.protocol_name.empty()) {
      options.protocol.protocol = data::parse_protocol(options.protocol_name);
    }
    check(app, options);
    make_masks(app, options);
  });
}
