// Scores of categories for pictures by a CLIP, without training.
//
//   zero_shot --clip ViT-B-16.pt --images photos --names names.txt
//   zero_shot ... --templates templates.txt --score probability --out scores.json
//
// prints a CSV line (or writes CSV or JSON, by the ending of --out) for every picture
// below the folder, in the order of their sorted paths: one score a category, in the
// order of the lines of --names (blank ones do not count). The score is the cosine of
// picture and category, or with `--score probability` CLIP's softmax over the
// categories (for pictures that show one of them). A category is the normalised mean of
// the normalised features of its name in every template ("{}" stands for it), as in
// CLIP's own ensembles.
//
// --clip takes every published form (docs/clip_checkpoints.md). Without --vocab the
// vocabulary is looked for beside the checkpoint, then in the cache
// (docs/tokenizer.md).

#include "trmml/clip/frozen_image_tower.hpp"
#include "trmml/data/lines.hpp"
#include "trmml/functional/similarity.hpp"
#include "trmml/report/progress.hpp"

#include <ATen/ATen.h>

#include <fmt/format.h>

#include <string>
#include <vector>

#include "support/clip_program.hpp"
#include "support/program.hpp"
#include "support/prompt_ensemble.hpp"
#include "support/score_writer.hpp"

namespace {

struct Options {
  clip_program::Options clip;
  std::string names;
  std::vector<std::string> templates = {"a photo of a {}."};
  std::string templates_file;
  std::string score = "cosine";
  std::string out;
};

// Blank lines of a file do not count.
std::vector<std::string> templates(const Options& options) {
  const bool is_file = !options.templates_file.empty();
  std::vector<std::string> all = options.templates;
  if (is_file) {
    all = trmml::data::read_lines(options.templates_file);
    std::erase_if(all, [](const std::string& line) {
      return line.find_first_not_of(" \t\r\v\f") == std::string::npos;
    });
  }
  const char* flag = is_file ? "--templates" : "--template";
  if (all.empty()) {
    throw program::UsageError(fmt::format("{}: expected a template, got none", flag));
  }
  for (const std::string& text : all) {
    if (text.find("{}") == std::string::npos) {
      throw program::UsageError(
          fmt::format("{}: expected {{}} for the name, got '{}'", flag, text));
    }
  }
  return all;
}

void zero_shot(const Options& options) {
  const std::vector<std::string> prompts = templates(options);
  program::check_output("--out", options.out, {".csv", ".json"});
  program::catch_signals();
  const std::vector<std::string> names = clip_program::read_categories(options.names);
  const std::vector<std::string> paths = clip_program::list_images(options.clip.images);
  clip_program::Clip clip = clip_program::load(options.clip);
  const at::Tensor text =
      clip_program::ensemble_features(clip, options.clip, names, prompts);  // [C, D]
  const trmml::clip::FrozenImageTower tower(*clip.model, clip.dtype);
  const float scale = clip.model->logit_scale.to(at::kFloat).exp().item<float>();
  program::ScoreWriter file(
      options.out, names, {options.score, prompts, clip.description});
  trmml::report::Progress progress(
      "zero_shot", static_cast<int64_t>(paths.size()), stderr, {.unit = "pictures"});
  const auto use = [&](const clip_program::Batch& batch) {
    if (!batch.indices.empty()) {
      const at::Tensor image =
          tower.encode_image(batch.pixels).to(at::kCPU, at::kFloat);  // [B, D]
      at::Tensor scores =
          trmml::functional::l2_normalise(image).matmul(text.t());  // [B, C]
      if (options.score == "probability") {
        scores = (scores * scale).softmax(-1);
      }
      for (size_t i = 0; i < batch.indices.size(); ++i) {
        file.add(
            paths[static_cast<size_t>(batch.indices[i])],
            scores[static_cast<int64_t>(i)]);
      }
    }
    progress.update(batch.end);
  };
  clip_program::for_each_batch(
      options.clip,
      clip,
      paths,
      0,
      use,
      [&progress](const std::string& line) { progress.message(line); },
      "stopped; what was printed is right, nothing was written to --out");
  file.finish();
  progress.finish();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Scores of categories for pictures by a CLIP, without training."};
  Options options;
  app.option_defaults()->always_capture_default();
  app.add_option("--images", options.clip.images, "Folder of pictures, at any depth")
      ->required();
  app.add_option("--names", options.names, "File with the name of a category a line")
      ->required();
  CLI::Option* given = app.add_option(
      "--template", options.templates, "Prompt with {} for the name; several");
  app.add_option("--templates", options.templates_file, "File with a template a line")
      ->excludes(given);
  app.add_option("--score", options.score, "What is printed")
      ->check(CLI::IsMember({"cosine", "probability"}));
  app.add_option("--out", options.out, "File .csv or .json instead of printing");
  clip_program::add_options(app, options.clip);
  program::parse(app, argc, argv);
  return program::run("zero_shot", [&] { zero_shot(options); });
}
