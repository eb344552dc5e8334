// Where a trained method sees categories: their saliency over the pictures, as PNG.
//
//   visualize_regions --checkpoint RUN/best.safetensors --images photos --out maps
//   visualize_regions --checkpoint RUN/best.safetensors --images a.jpg
//     --categories "dog,traffic light" --out maps
//
// writes OUT/00000-a-017-dog.png: number and name of the picture, number and name of
// the category, letters and digits only; and prints a CSV line for each. Without
// --categories, the --top most probable ones of each picture. Colours run from the
// lowest to the highest saliency of a map. For methods with regions (region...,
// trm-ml).
//
// Exit status: 0 done, 2 wrong options or a method without regions, 3 a picture that
// cannot be read, 4 a checkpoint or a CLIP that cannot be read or does not fit, 5
// stopped by a signal, 6 an output that cannot be written.

#include "trmml/data/csv.hpp"
#include "trmml/report/progress.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <string>
#include <vector>

#include "support/map_choice.hpp"
#include "support/predictor.hpp"
#include "support/program.hpp"
#include "support/shown_picture.hpp"

namespace {

struct Options {
  experiment::PredictorOptions predictor;
  std::vector<std::string> images;
  std::vector<std::string> categories;
  std::string out;
  int64_t top = 3;
  int side = 640;
};

// What is read of a picture: as the tower sees it, and as it is shown.
struct Read {
  at::Tensor pixels;
  trmml::data::Image shown;
};

void visualize(const Options& options) {
  program::catch_signals();
  const experiment::Trained trained =
      experiment::read_trained(options.predictor.checkpoint);
  if (!trained.has_regions()) {
    throw program::UsageError(fmt::format(
        "--checkpoint: expected a method with regions, got {}",
        trained.options.method));
  }
  const std::vector<int64_t> chosen =
      experiment::category_indices(options.categories, trained.names);
  const experiment::PictureList pictures = experiment::list_pictures(options.images);
  experiment::Predictor predictor(trained, options.predictor);
  program::make_folder(options.out);
  const auto count = static_cast<int64_t>(pictures.paths.size());
  trmml::report::Progress progress(
      "visualize_regions", count, stderr, {.unit = "pictures"});
  int64_t left_out = 0;
  fmt::print("file,image,category,probability\n");
  const auto use = [&](const program::PictureBatch<Read>& batch) {
    std::vector<at::Tensor> pixels;
    for (const Read& read : batch.items) {
      pixels.push_back(read.pixels);
    }
    if (!pixels.empty()) {
      const trmml::TrmMlOutput output = predictor.forward(pixels);
      const at::Tensor probabilities = predictor.logits(output).sigmoid();  // [B, C]
      for (size_t i = 0; i < pixels.size(); ++i) {
        const auto row = static_cast<int64_t>(i);
        const std::string& path = pictures.paths[static_cast<size_t>(batch.indices[i])];
        const std::vector<int64_t> categories =
            chosen.empty() ? experiment::most_probable(probabilities[row], options.top)
                           : chosen;
        for (const int64_t c : categories) {
          const std::string& name = trained.names[static_cast<size_t>(c)];
          const std::string file =
              experiment::map_name(batch.indices[i], path, c, name);
          trmml::report::write_png(
              std::filesystem::path(options.out) / file,
              experiment::saliency_map(batch.items[i].shown, output.saliency[row][c]));
          fmt::print(
              "{},{},{},{}\n",
              file,
              trmml::data::csv_field(path),
              trmml::data::csv_field(name),
              probabilities[row][c].item<float>());
        }
      }
    }
    progress.update(batch.end);
  };
  program::stream_pictures<Read>(
      0,
      count,
      options.predictor.stream,
      [&](int64_t i) {
        const trmml::data::Image image = predictor.read(pictures.file(i));
        return Read{predictor.pixels(image), experiment::shrink(image, options.side)};
      },
      use,
      [&](int64_t, const trmml::DataError& error) {
        ++left_out;
        progress.message(std::string("left out: ") + error.what());
      },
      "stopped; what was printed is written");
  progress.finish();
  if (left_out > 0) {
    fmt::print(stderr, "left out {} of {} pictures\n", left_out, count);
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Where a trained method sees categories, as PNG."};
  Options options;
  app.option_defaults()->always_capture_default();
  app.add_option("--images", options.images, "Folders (at any depth) and files")
      ->required();
  app.add_option("--out", options.out, "Folder for the PNG files")->required();
  CLI::Option* categories =
      app.add_option(
             "--categories", options.categories, "Names, between commas or repeated")
          ->delimiter(',');
  app.add_option("--top", options.top, "The most probable categories of each picture")
      ->check(program::at_least(1))
      ->excludes(categories);
  app.add_option("--side", options.side, "Longer side of what is written at most")
      ->check(CLI::Range(16, 16384));
  experiment::add_skip_unreadable(app, options.predictor);
  experiment::add_options(app, options.predictor)->required();
  program::parse(app, argc, argv);
  return program::run("visualize_regions", [&] { visualize(options); });
}
