// Features of pictures or of texts by a CLIP, as one safetensors file.
//
//   encode --clip clip.safetensors --images photos --out photos.safetensors
//   encode --clip clip.safetensors --images photos --dense plain --out maps.safetensors
//   encode --clip clip.safetensors --vocab merges.txt --texts lines.txt --out
//   texts.safetensors
//
// writes the fp32 tensor `features` [N, D], not normalised: a row for every picture
// below the folder (in the order of their sorted paths) or for every line. `--dense`
// adds `regions` [N, R, D], the cells of the region map row by row. The file's metadata
// holds the paths or lines as a JSON list under `names`. Stopped by a signal or killed,
// the same command goes on where it was (the rows wait in OUT.partial).

#include "trmml/core/version.hpp"
#include "trmml/data/image.hpp"
#include "trmml/report/progress.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <filesystem>

#include "support/clip_program.hpp"
#include "support/feature_file.hpp"
#include "support/program.hpp"

namespace {

namespace fs = std::filesystem;
using trmml::clip::DenseForm;

struct Options {
  clip_program::Options clip;
  std::string texts;
  std::string out;
  std::string dense;
  bool restart = false;
};

/// JSON text that is UTF-8 whatever the names are.
std::string as_json(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// All that the rows depend on. Of a checkpoint and of texts, the size and the time of
/// the last change stand for the content; of pictures their paths.
std::string identity(const Options& options, const std::vector<std::string>& names) {
  const auto stamp = [](const std::string& path) {
    const auto changed = fs::last_write_time(path).time_since_epoch().count();
    const auto size = fs::is_directory(path) ? 0 : fs::file_size(path);
    return nlohmann::json{fs::absolute(path).string(), size, int64_t{changed}};
  };
  const clip_program::Options& o = options.clip;
  return as_json(
      {{"clip", stamp(o.clip)},
       {"vocab", o.vocab.empty() ? nlohmann::json() : stamp(o.vocab)},
       {"quick_gelu", o.quick_gelu ? nlohmann::json(*o.quick_gelu) : nlohmann::json()},
       {"images", options.texts.empty() ? fs::absolute(o.images).string() : ""},
       {"names", names},
       {"resolution", o.resolution},
       {"fit", o.fit},
       {"filter", o.filter},
       {"pillow", o.pillow},
       {"exif_orientation", o.exif_orientation},
       {"skip_bad", o.skip_bad},
       {"truncate", o.truncate},
       {"dense", options.dense}});
}

class Encoding {
 public:
  Encoding(const Options& options, const std::vector<std::string>& names)
      : options_(options),
        names_(names),
        clip_(clip_program::load(options.clip)),
        file_(options.out, identity(options, names), options.restart),
        progress_(
            "encode",
            static_cast<int64_t>(names.size()),
            stderr,
            {.unit = options.texts.empty() ? "pictures" : "texts",
             .initial = file_.done()}) {}

  void images() {
    const auto log = [this](const std::string& line) { progress_.message(line); };
    try {
      clip_program::for_each_batch(
          options_.clip,
          clip_,
          names_,
          file_.done(),
          [this](const clip_program::Batch& batch) { append(batch); },
          log,
          fmt::format("stopped; the same command goes on with {}", options_.out));
    } catch (...) {
      file_.save();
      throw;
    }
  }

  void texts() {
    const trmml::clip::Tokenizer tokenizer =
        clip_program::load_tokenizer(options_.clip);
    const auto end = static_cast<int64_t>(names_.size());
    while (file_.done() < end) {
      const int64_t first = file_.done();
      const int64_t last = std::min(end, first + options_.clip.batch);
      const std::vector<std::string> batch(
          names_.begin() + first, names_.begin() + last);
      std::vector<int64_t> items;
      for (int64_t i = first; i < last; ++i) {
        items.push_back(i);
      }
      const at::Tensor features =
          clip_program::encode_texts(clip_, tokenizer, batch, options_.clip.truncate);
      file_.append(items, {{"features", features}}, last);
      progress_.update(last);
      if (program::stop_flag() && last < end) {
        file_.save();
        throw trmml::Interrupted(
            fmt::format("stopped; the same command goes on with {}", options_.out));
      }
    }
  }

  void finish() {
    std::vector<std::string> kept;
    for (const int64_t item : file_.items()) {
      kept.push_back(names_[static_cast<size_t>(item)]);
    }
    trmml::io::Metadata metadata = {
        {"names", as_json(kept)},
        {"clip", as_json(clip_.description)},
        {"of", options_.texts.empty() ? "images" : "texts"},
        {"trmml_version", TRMML_VERSION}};
    if (options_.texts.empty()) {
      metadata["resolution"] = std::to_string(clip_.preprocess.resolution());
      metadata["fit"] = options_.clip.fit;
      metadata["filter"] = options_.clip.filter;
      metadata["pillow"] = std::to_string(options_.clip.pillow);
      metadata["jpeg_decoder"] = trmml::data::jpeg_decoder();
      metadata["dense"] = options_.dense;
    }
    file_.finish(metadata);
    progress_.finish();
    fmt::print("wrote {} rows to {}\n", kept.size(), options_.out);
  }

 private:
  void append(const clip_program::Batch& batch) {
    std::map<std::string, at::Tensor> rows;
    if (!batch.indices.empty() && options_.dense.empty()) {
      rows["features"] = clip_.model->encode_image(batch.pixels);
    } else if (!batch.indices.empty()) {
      const auto form =
          options_.dense == "plain" ? DenseForm::kPlain : DenseForm::kDualCoOp;
      const auto features = clip_.model->image_features(batch.pixels, form);
      rows["features"] = features.global;
      rows["regions"] = features.regions;
    }
    file_.append(batch.indices, rows, batch.end);
    progress_.update(batch.end);
  }

  const Options& options_;
  const std::vector<std::string>& names_;
  clip_program::Clip clip_;
  program::FeatureFile file_;
  trmml::report::Progress progress_;
};

void encode(const Options& options) {
  const bool has_images = !options.clip.images.empty();
  if (has_images == !options.texts.empty()) {
    throw program::UsageError("expected either --images or --texts");
  }
  if (!has_images && !options.dense.empty()) {
    throw program::UsageError("--dense: texts have no regions");
  }
  program::catch_signals();
  const std::vector<std::string> names =
      has_images ? trmml::data::list_images(options.clip.images)
                 : clip_program::read_lines(options.texts);
  if (names.empty()) {
    throw trmml::DataError(options.clip.images + ": there is no picture below it");
  }
  Encoding encoding(options, names);
  has_images ? encoding.images() : encoding.texts();
  encoding.finish();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Features of pictures or texts by a CLIP, as a safetensors file."};
  Options options;
  app.option_defaults()->always_capture_default();
  app.add_option("--images", options.clip.images, "Folder of pictures, at any depth");
  app.add_option("--texts", options.texts, "File with a text a line");
  app.add_option("--out", options.out, "File to write (.safetensors)")->required();
  app.add_option("--dense", options.dense, "Region maps too, in this form")
      ->check(CLI::IsMember({"plain", "dualcoop"}));
  app.add_flag(
      "--restart", options.restart, "Forget the rows of a run that was stopped");
  clip_program::add_options(app, options.clip);
  program::parse(app, argc, argv);
  return program::run("encode", [&] { encode(options); });
}
