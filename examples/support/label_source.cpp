#include "support/label_source.hpp"

#include "trmml/data/lines.hpp"
#include "trmml/data/mask_files.hpp"
#include "trmml/io/npy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "support/program.hpp"

namespace label_source {

namespace data = trmml::data;
namespace fs = std::filesystem;

void add_options(CLI::App& app, Options& options) {
  auto* labels = app.add_option(
      "--labels", options.labels, "Complete labels: .csv, .npy or .safetensors");
  app.add_option(
         "--labels-code",
         options.code,
         "Code of --labels (.npy, .safetensors): hcp, dualcoop, cole, cole-complete")
      ->needs(labels);
  app.add_option("--image-names", options.images, "Pictures of --labels, .npy or lines")
      ->needs(labels);
  app.add_option("--names", options.names, "Categories of --labels, .npy or lines")
      ->needs(labels);
  data_set::add_options(app, options.data, data_set::names(), /*required=*/false);
}

data::Split read(const CLI::App& app, const Options& options) {
  if (options.labels.empty() == options.data.name.empty()) {
    throw program::UsageError("expected either --labels or --dataset");
  }
  data_set::check(app, options.data);
  program::expect_effect(
      app,
      fs::path(options.labels).extension() != ".csv",
      {"--labels-code", "--image-names", "--names"},
      "--labels that end with .npy or .safetensors");
  if (options.labels.empty()) {
    return data_set::read(options.data, data_set::Part::kTrain);
  }
  data::Split split;
  split.name = options.labels;
  if (fs::path(options.labels).extension() == ".csv") {
    split.table = data::read_label_csv(options.labels);
  } else {
    const auto names_of = [](const std::string& file) {
      return file.empty() ? std::vector<std::string>() : read_names(file);
    };
    split.table = data::read_label_array(
        options.labels,
        data::parse_label_code(options.code),
        names_of(options.images),
        names_of(options.names));
  }
  split.names_for_clip = split.table.classnames;
  data::validate(split);
  return split;
}

std::vector<std::string> read_names(const std::string& file) {
  return fs::path(file).extension() == ".npy" ? trmml::io::read_npy_names(file)
                                              : data::read_lines(file);
}

void print_counts(const at::Tensor& labels) {
  const data::LabelCounts counts = data::count_labels(labels);
  fmt::print(
      "known {} of {} ({:.2f} %), present {}, absent {}, digest {}\n",
      counts.known,
      labels.numel(),
      100.0 * static_cast<double>(counts.known) /
          static_cast<double>(std::max<int64_t>(labels.numel(), 1)),
      counts.present,
      counts.absent,
      data::label_digest(labels));
}

}  // namespace label_source
