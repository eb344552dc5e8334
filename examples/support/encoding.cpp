#include "support/encoding.hpp"

#include "trmml/core/error.hpp"
#include "trmml/core/version.hpp"
#include "trmml/data/image.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <numeric>

#include "support/program.hpp"

namespace clip_program {

namespace fs = std::filesystem;
using trmml::clip::DenseForm;

namespace {

/// JSON text that is UTF-8 whatever the names are.
std::string as_json(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

template <typename T>
nlohmann::json or_null(const std::optional<T>& value) {
  return value ? nlohmann::json(*value) : nlohmann::json();
}

/// All that rows depend on: not --skip-unreadable or --truncate, which a run that a
/// picture or a text has stopped needs to go on. Of a checkpoint and of texts, the size
/// and the time of the last change stand for the content; of pictures their paths.
std::string identity(
    const EncodeOptions& options,
    const std::vector<std::string>& names) {
  const auto stamp = [](const std::string& path) {
    const auto changed = fs::last_write_time(path).time_since_epoch().count();
    const auto size = fs::is_directory(path) ? 0 : fs::file_size(path);
    return nlohmann::json{fs::absolute(path).string(), size, int64_t{changed}};
  };
  const Options& o = options.clip;
  return as_json(
      {{"clip", stamp(o.clip)},
       {"vocab", o.vocab.empty() ? nlohmann::json() : stamp(o.vocab)},
       {"quick_gelu", or_null(o.quick_gelu)},
       {"image_heads", or_null(o.image_heads)},
       {"text_heads", or_null(o.text_heads)},
       {"precision", o.precision},
       {"images", options.texts.empty() ? fs::absolute(o.images).string() : ""},
       {"names", names},
       {"resolution", o.resolution},
       {"fit", o.fit},
       {"filter", o.filter},
       {"pillow", o.pillow},
       {"exif_orientation", o.exif_orientation},
       {"dense", options.dense}});
}

std::string how_to_go_on(const EncodeOptions& options) {
  return fmt::format("stopped; the same command goes on with {}", options.out);
}

}  // namespace

Encoding::Encoding(const EncodeOptions& options, const std::vector<std::string>& names)
    : options_(options),
      names_(names),
      clip_(load(options.clip)),
      tokenizer_(
          options.texts.empty() ? std::nullopt
                                : std::optional(load_tokenizer(options.clip, clip_))),
      file_(options.out, identity(options, names), options.restart, options.save_every),
      progress_(
          "encode",
          static_cast<int64_t>(names.size()),
          stderr,
          {.unit = options.texts.empty() ? "pictures" : "texts",
           .initial = file_.done()}) {}

void Encoding::run() {
  try {
    options_.texts.empty() ? images() : texts();
  } catch (...) {
    file_.save();
    throw;
  }
}

void Encoding::images() {
  tower_.emplace(*clip_.model, clip_.dtype);
  for_each_batch(
      options_.clip,
      clip_,
      names_,
      file_.done(),
      [this](const Batch& batch) { append(batch); },
      [this](const std::string& line) { progress_.message(line); },
      how_to_go_on(options_));
}

void Encoding::texts() {
  const auto end = static_cast<int64_t>(names_.size());
  while (file_.done() < end) {
    const int64_t first = file_.done();
    const int64_t last = std::min(end, first + options_.clip.batch);
    const std::vector<std::string> batch(names_.begin() + first, names_.begin() + last);
    std::vector<int64_t> items(batch.size());
    std::iota(items.begin(), items.end(), first);
    const at::Tensor features =
        encode_texts(clip_, *tokenizer_, batch, options_.clip.truncate);
    file_.append(items, {{"features", features}}, last);
    progress_.update(last);
    if (program::stop_flag() && last < end) {
      throw trmml::Interrupted(how_to_go_on(options_));
    }
  }
}

void Encoding::append(const Batch& batch) {
  std::map<std::string, at::Tensor> rows;
  if (!batch.indices.empty() && options_.dense.empty()) {
    rows["features"] = tower_->encode_image(batch.pixels);
  } else if (!batch.indices.empty()) {
    const auto form =
        options_.dense == "plain" ? DenseForm::kPlain : DenseForm::kDualCoOp;
    const auto features = tower_->image_features(batch.pixels, form);
    rows["features"] = features.global;
    rows["regions"] = features.regions;
  }
  file_.append(batch.indices, rows, batch.end);
  progress_.update(batch.end);
}

size_t Encoding::finish() {
  std::vector<std::string> kept;
  for (const int64_t item : file_.items()) {
    kept.push_back(names_[static_cast<size_t>(item)]);
  }
  trmml::io::Metadata metadata = {
      {"names", as_json(kept)},
      {"clip", as_json(clip_.description)},
      {"of", options_.texts.empty() ? "images" : "texts"},
      {"precision", options_.clip.precision},
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
  return kept.size();
}

}  // namespace clip_program
