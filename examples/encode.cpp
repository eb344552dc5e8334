// Features of pictures or of texts by a CLIP, as one safetensors file.
//
//   encode --clip ViT-B-16.pt --images photos --out photos.safetensors
//   encode --clip ViT-B-16.pt --images photos --dense plain --out maps.safetensors
//   encode --clip ViT-B-16.pt --texts lines.txt --out texts.safetensors
//
// writes the fp32 tensor `features` [N, D], not normalised: a row for every picture
// below the folder (in the order of their sorted paths) or for every line. `--dense`
// adds `regions` [N, R, D], the cells of the region map row by row. The file's metadata
// holds the paths or lines as a JSON list under `names`. Stopped by a signal or killed,
// the same command goes on where it was (the rows wait in OUT.partial).
//
// --clip takes every published form (docs/clip_checkpoints.md). Without --vocab the
// vocabulary is looked for beside the checkpoint, then in the cache
// (docs/tokenizer.md).

#include "trmml/data/lines.hpp"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "support/clip_program.hpp"
#include "support/encoding.hpp"
#include "support/program.hpp"

namespace {

void check(const CLI::App& app, const clip_program::EncodeOptions& options) {
  const bool has_images = !options.clip.images.empty();
  if (has_images == !options.texts.empty()) {
    throw program::UsageError("expected either --images or --texts");
  }
  program::expect_effect(
      app,
      has_images,
      {"--dense",
       "--resolution",
       "--fit",
       "--filter",
       "--pillow",
       "--exif-orientation",
       "--skip-unreadable",
       "--workers",
       "--stop-after-batches"},
      "--images");
  program::expect_effect(app, !has_images, {"--vocab", "--truncate"}, "--texts");
  program::check_ending("--out", options.out, {".safetensors"});
}

void encode(const CLI::App& app, const clip_program::EncodeOptions& options) {
  check(app, options);
  program::catch_signals();
  const std::vector<std::string> names =
      options.texts.empty() ? clip_program::list_images(options.clip.images)
                            : trmml::data::read_lines(options.texts);
  clip_program::Encoding encoding(options, names);
  encoding.run();
  fmt::print("wrote {} rows to {}\n", encoding.finish(), options.out);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Features of pictures or texts by a CLIP, as a safetensors file."};
  clip_program::EncodeOptions options;
  app.option_defaults()->always_capture_default();
  app.add_option("--images", options.clip.images, "Folder of pictures, at any depth");
  app.add_option("--texts", options.texts, "File with a text a line");
  app.add_option("--out", options.out, "File to write (.safetensors)")->required();
  app.add_option("--dense", options.dense, "Region maps too, in this form")
      ->check(CLI::IsMember({"plain", "dualcoop"}));
  app.add_flag(
      "--restart", options.restart, "Forget the rows of a run that was stopped");
  app.add_option(
         "--save-every", options.save_every, "Seconds of work that a crash may cost")
      ->check(program::at_least(0.0));
  clip_program::add_options(app, options.clip);
  app.add_option(
         "--stop-after-batches",
         options.clip.stop_after_batches,
         "Stop after so many, as a signal would; 0: never")
      ->check(program::at_least(0));
  program::parse(app, argc, argv);
  return program::run("encode", [&] { encode(app, options); });
}
