#include "trmml/clip/checkpoint.hpp"

#include "trmml/core/check.hpp"
#include "trmml/core/error.hpp"
#include "trmml/io/mapped_pages.hpp"
#include "trmml/io/safetensors.hpp"
#include "trmml/io/torch_archive.hpp"

#include <ATen/Context.h>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <set>
#include <string_view>
#include <utility>
#include <variant>

#include "../io/quoted.hpp"

namespace trmml::clip {

namespace {

namespace fs = std::filesystem;
using io::in_quotes;
using io::TensorMap;

// ------------------------------------------------------------------ the file

/// What was found on the disk, before anybody asks what the names mean.
struct Weights {
  fs::path file;
  std::string format;
  TensorMap tensors;
  io::Metadata metadata;
  bool is_script = false;
};

[[noreturn]] void fail(const fs::path& file, std::string_view rule) {
  throw CheckpointError(fmt::format("{}: {}", file.string(), rule));
}

/// The one checkpoint of a folder: a name that publishers use, else the only file with
/// the ending of one.
fs::path find_in_folder(const fs::path& folder) {
  for (const char* name :
       {"model.safetensors",
        "model.safetensors.index.json",
        "pytorch_model.bin",
        "open_clip_model.safetensors",
        "open_clip_pytorch_model.bin"}) {
    if (fs::exists(folder / name)) {
      return folder / name;
    }
  }
  std::set<std::string> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string ending = entry.path().extension().string();
    if (ending == ".safetensors" || ending == ".pt" || ending == ".pth" ||
        ending == ".bin") {
      found.insert(entry.path().filename().string());
    }
  }
  if (error) {
    fail(folder, "cannot list the folder: " + error.message());
  }
  if (found.size() != 1) {
    fail(
        folder,
        found.empty() ? std::string("expected a folder with a checkpoint "
                                    "(model.safetensors, ..), found none")
                      : fmt::format(
                            "expected one checkpoint in the folder, found {} (name one "
                            "of the files)",
                            fmt::join(found, ", ")));
  }
  return folder / *found.begin();
}

std::string first_bytes(const fs::path& file) {
  std::error_code ignored;
  if (!fs::is_regular_file(file, ignored)) {
    return "";  // opening a named pipe would wait; who reads the file will complain
  }
  std::ifstream stream(file, std::ios::binary);
  std::string bytes(16, '\0');
  stream.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<size_t>(stream.gcount()));
  return bytes;
}

/// Formats are told apart by content: endings are often wrong.
Weights read_weights(const fs::path& file_or_folder) {
  std::error_code ignored;
  Weights weights;
  weights.file = fs::is_directory(file_or_folder, ignored)
                     ? find_in_folder(file_or_folder)
                     : file_or_folder;
  const std::string begin = first_bytes(weights.file);
  // The ninth byte of safetensors; the others never have it there.
  const bool is_safetensors = begin.size() > 8 && begin[8] == '{';
  const auto begins_with = [&](std::string_view bytes) {
    return !is_safetensors && begin.compare(0, bytes.size(), bytes) == 0;
  };
  if (begins_with("PK") || begins_with("\x80")) {
    io::TorchArchive archive = io::read_torch_archive(weights.file);
    weights.tensors = std::move(archive.tensors);
    weights.is_script = archive.is_script;
    weights.format = archive.is_script ? "TorchScript archive" : "state dict";
    return weights;
  }
  const bool is_index = begins_with("{");
  io::SafetensorsFile file = is_index ? io::read_sharded_safetensors(weights.file)
                                      : io::read_safetensors(weights.file);
  weights.tensors = std::move(file.tensors);
  weights.metadata = std::move(file.metadata);
  weights.format = is_index ? "sharded safetensors" : "safetensors";
  return weights;
}

// ------------------------------------------------------------------ the names

enum class Family {
  kFlat,         // OpenAI, OpenCLIP: visual.*, the text tower without a prefix
  kTwoTowers,    // OpenCLIP with text.*, and this library
  kHuggingFace,  // vision_model.*, text_model.*
};

/// Where a parameter of ours stands in a file.
struct Place {
  std::vector<std::string> names;  // stacked along the first dimension
  bool transposed = false;
};

bool replace_start(std::string& text, std::string_view from, std::string_view to) {
  if (text.compare(0, from.size(), from) != 0) {
    return false;
  }
  text.replace(0, from.size(), to);
  return true;
}

/// "transformer.resblocks.3.mlp.c_fc.bias" -> "encoder.layers.3.mlp.fc1.bias", ..
std::vector<std::string> hugging_face_block(std::string name) {
  replace_start(name, "transformer.resblocks.", "encoder.layers.");
  constexpr size_t kIndex = 15;  // length of "encoder.layers."
  const size_t begin = name.find('.', kIndex) + 1;
  const std::string block = name.substr(0, begin);
  std::string rest = name.substr(begin);
  if (replace_start(rest, "attn.in_proj_", "")) {
    return {
        block + "self_attn.q_proj." + rest,
        block + "self_attn.k_proj." + rest,
        block + "self_attn.v_proj." + rest};
  }
  replace_start(rest, "attn.", "self_attn.") ||
      replace_start(rest, "ln_1.", "layer_norm1.") ||
      replace_start(rest, "ln_2.", "layer_norm2.") ||
      replace_start(rest, "mlp.c_fc.", "mlp.fc1.") ||
      replace_start(rest, "mlp.c_proj.", "mlp.fc2.");
  return {block + rest};
}

Place hugging_face_place(const std::string& name) {
  if (name == "visual.proj") {
    return {{"visual_projection.weight"}, true};
  }
  if (name == "text.text_projection") {
    return {{"text_projection.weight"}, true};
  }
  std::string rest = name;
  std::string tower;
  if (replace_start(rest, "visual.", "")) {
    tower = "vision_model.";
  } else if (replace_start(rest, "text.", "")) {
    tower = "text_model.";
  }
  Place place;
  if (rest.compare(0, 12, "transformer.") == 0) {
    place.names = hugging_face_block(rest);
  } else {
    replace_start(rest, "class_embedding", "embeddings.class_embedding") ||
        replace_start(rest, "conv1.", "embeddings.patch_embedding.") ||
        replace_start(
            rest, "positional_embedding", "embeddings.position_embedding.weight") ||
        replace_start(rest, "token_embedding.", "embeddings.token_embedding.") ||
        replace_start(rest, "ln_pre.", "pre_layrnorm.") ||  // their spelling
        replace_start(rest, "ln_post.", "post_layernorm.") ||
        replace_start(rest, "ln_final.", "final_layer_norm.");
    place.names = {rest};
  }
  for (std::string& one : place.names) {
    one.insert(0, tower);
  }
  return place;
}

Place place_of(Family family, const std::string& name) {
  if (family == Family::kHuggingFace) {
    return hugging_face_place(name);
  }
  std::string there = name;
  if (family == Family::kFlat) {
    replace_start(there, "text.", "");
  }
  return {{there}, false};
}

/// The tensors of one model by their names in the file.
struct Named {
  Family family = Family::kFlat;
  std::string prefix;  // what was taken off: "module.", "state_dict.", ..
  TensorMap tensors;
  size_t left_out = 0;                     // tensors outside of the prefix
  std::vector<std::string> ignored;        // buffers that are no weights
  std::map<std::string, int64_t> numbers;  // input_resolution, ..
};

struct Candidate {
  Family family;
  std::string prefix;
};

/// Every prefix under which both towers begin.
std::vector<Candidate> find_models(const TensorMap& tensors) {
  std::vector<Candidate> found;
  for (const Family family :
       {Family::kFlat, Family::kTwoTowers, Family::kHuggingFace}) {
    const std::string image = place_of(family, "visual.conv1.weight").names[0];
    const std::string text = place_of(family, "text.token_embedding.weight").names[0];
    for (const auto& [name, unused] : tensors) {
      if (name.size() < image.size() || !std::string_view(name).ends_with(image)) {
        continue;
      }
      const std::string prefix = name.substr(0, name.size() - image.size());
      if ((prefix.empty() || prefix.back() == '.') &&
          tensors.count(prefix + text) > 0) {
        found.push_back({family, prefix});
      }
    }
  }
  return found;
}

[[noreturn]] void fail_without_model(const Weights& weights) {
  std::vector<std::string> some;
  bool is_timm = false;
  bool has_text_encoder = false;
  for (const auto& [name, unused] : weights.tensors) {
    if (some.size() < 3) {
      some.push_back(in_quotes(name));
    }
    is_timm = is_timm || name.find("visual.trunk.") != std::string::npos;
    has_text_encoder =
        has_text_encoder || name.find("text.transformer.embed") != std::string::npos;
  }
  fail(
      weights.file,
      fmt::format(
          "expected both towers of CLIP under the names of OpenAI, OpenCLIP or Hugging "
          "Face, found {} tensors{}{}{}",
          weights.tensors.size(),
          some.empty() ? "" : fmt::format(" such as {}", fmt::join(some, ", ")),
          is_timm ? " (image towers of timm are not supported)" : "",
          has_text_encoder ? " (other text encoders are not supported)" : ""));
}

Candidate find_model(const Weights& weights) {
  const std::vector<Candidate> found = find_models(weights.tensors);
  if (found.empty()) {
    fail_without_model(weights);
  }
  if (found.size() == 1) {
    return found.front();
  }
  std::vector<std::string> prefixes;
  for (const Candidate& one : found) {
    if (one.prefix.empty() || one.prefix == "state_dict." ||
        one.prefix == "state_dict.module.") {
      return one;
    }
    prefixes.push_back(in_quotes(one.prefix));
  }
  fail(
      weights.file,
      fmt::format(
          "expected one model, found {} under {}",
          found.size(),
          fmt::join(prefixes, ", ")));
}

bool ends_with_part(std::string_view name, std::string_view part) {
  return name.ends_with(part) &&
         (name.size() == part.size() || name[name.size() - part.size() - 1] == '.');
}

/// Takes the model's tensors out of `weights`; sets aside what is known to be no
/// weight.
Named name_tensors(Weights& weights) {
  const Candidate model = find_model(weights);
  Named named;
  named.family = model.family;
  named.prefix = model.prefix;
  for (const auto& [name, tensor] : weights.tensors) {
    if (name.compare(0, model.prefix.size(), model.prefix) != 0) {
      ++named.left_out;
      continue;
    }
    const std::string rest = name.substr(model.prefix.size());
    const bool is_number =
        rest == "input_resolution" || rest == "context_length" || rest == "vocab_size";
    if (is_number && tensor.numel() == 1) {
      named.numbers[rest] = static_cast<int64_t>(tensor.item<double>());
    } else if (
        ends_with_part(rest, "attn_mask") || ends_with_part(rest, "position_ids")) {
      named.ignored.push_back(rest);
    } else {
      named.tensors[rest] = tensor;
    }
  }
  weights.tensors.clear();
  return named;
}

// ------------------------------------------------------------------ the sizes

/// Asks for shapes by our names; complaints are collected, not thrown one by one.
class Shapes {
 public:
  explicit Shapes(const Named& named) : named_(named) {}

  bool has(const std::string& name) const {
    return named_.tensors.count(place_of(named_.family, name).names[0]) > 0;
  }

  /// Size `dimension` of a parameter, or 0 when it is missing or of another rank.
  int64_t size(const std::string& name, int64_t rank, int64_t dimension) {
    const Place place = place_of(named_.family, name);
    const auto found = named_.tensors.find(place.names[0]);
    if (found == named_.tensors.end()) {
      complaints.insert(fmt::format("{} is missing", place.names[0]));
      return 0;
    }
    if (found->second.dim() != rank) {
      complaints.insert(fmt::format(
          "{} expected {} dimensions, got {}",
          place.names[0],
          rank,
          format_shape(found->second.sizes())));
      return 0;
    }
    const int64_t there = place.transposed ? rank - 1 - dimension : dimension;
    const int64_t found_size = found->second.size(there);
    if (found_size < 1 || found_size > kLargest) {
      complaints.insert(fmt::format(
          "{} expected sizes of 1 to {}, got {}",
          place.names[0],
          kLargest,
          format_shape(found->second.sizes())));
      return 0;
    }
    return found_size;
  }

  /// Cells a side of the grid that positional embeddings [1 + G * G, w] belong to.
  int64_t grid(const std::string& name) {
    const int64_t rows = size(name, 2, 0);
    int64_t side = 0;
    while ((side + 1) * (side + 1) < rows) {
      ++side;
    }
    if (rows > 0 && side * side + 1 != rows) {
      complaints.insert(fmt::format(
          "{} expected 1 + G * G rows, got {}",
          place_of(named_.family, name).names[0],
          rows));
    }
    return side;
  }

  /// How many different numbers follow `name` ("visual.layer1.").
  int64_t count(const std::string& name) const {
    std::string start = place_of(named_.family, name + "0.ln_1.bias").names[0];
    start.resize(start.rfind("0."));
    std::set<std::string> numbers;
    for (auto item = named_.tensors.lower_bound(start);
         item != named_.tensors.end() &&
         item->first.compare(0, start.size(), start) == 0;
         ++item) {
      const size_t end = item->first.find('.', start.size());
      if (end != std::string::npos) {
        numbers.insert(item->first.substr(start.size(), end - start.size()));
      }
    }
    return static_cast<int64_t>(numbers.size());
  }

  std::set<std::string> complaints;

 private:
  static constexpr int64_t kLargest = int64_t{1} << 24;

  const Named& named_;
};

ModifiedResNetOptions infer_resnet(Shapes& shapes) {
  const int64_t width = shapes.size("visual.layer1.0.conv1.weight", 4, 0);
  std::vector<int64_t> layers;
  for (const char stage : {'1', '2', '3', '4'}) {
    layers.push_back(shapes.count(fmt::format("visual.layer{}.", stage)));
  }
  return ModifiedResNetOptions(shapes.size("visual.attnpool.c_proj.weight", 2, 0))
      .width(width)
      .layers(layers)
      .heads(width / 2)  // 64 channels a head of 32 * width
      .input_resolution(32 * shapes.grid("visual.attnpool.positional_embedding"));
}

VisionTransformerOptions infer_transformer(Shapes& shapes) {
  const int64_t patch = shapes.size("visual.conv1.weight", 4, 3);
  return VisionTransformerOptions(shapes.size("visual.proj", 2, 1))
      .patch_size(patch)
      .width(shapes.size("visual.conv1.weight", 4, 0))
      .layers(shapes.count("visual.transformer.resblocks."))
      .input_resolution(patch * shapes.grid("visual.positional_embedding"));
}

TextTransformerOptions infer_text(Shapes& shapes) {
  return TextTransformerOptions(shapes.size("text.text_projection", 2, 1))
      .vocab_size(shapes.size("text.token_embedding.weight", 2, 0))
      .context_length(shapes.size("text.positional_embedding", 2, 0))
      .width(shapes.size("text.token_embedding.weight", 2, 1))
      .layers(shapes.count("text.transformer.resblocks."));
}

// ------------------------------------------------------------------ what shapes hide

/// Activation and heads of one tower, from whoever tells.
struct TowerFacts {
  std::optional<bool> quick_gelu;
  std::optional<int64_t> heads;
};

struct Facts {
  TowerFacts image;
  TowerFacts text;
  std::string source;  // "config.json", ..
};

using Json = nlohmann::json;

/// A small JSON file, or null when there is none.
Json read_json(const fs::path& path) {
  constexpr size_t kMax = size_t{1} << 20;
  std::ifstream stream(path, std::ios::binary);
  if (!stream) {
    return nullptr;
  }
  std::string text(kMax + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(stream.gcount()));
  if (text.size() > kMax) {
    fail(path, fmt::format("expected at most {} bytes", kMax));
  }
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    fail(path, "expected a JSON object");
  }
  return json;
}

/// Reads values of a config by name; every complaint names the place.
class Config {
 public:
  Config(const Json& json, fs::path path, std::string place)
      : json_(json), path_(std::move(path)), place_(std::move(place)) {}

  int64_t number(const char* key, int64_t otherwise) const {
    const Json& value = get(key);
    if (value.is_null()) {
      return otherwise;
    }
    if (!value.is_number_integer()) {
      complain(key, "a whole number", value);
    }
    return value.get<int64_t>();
  }

  std::string text(const char* key, const char* otherwise) const {
    const Json& value = get(key);
    if (value.is_null()) {
      return otherwise;
    }
    if (!value.is_string()) {
      complain(key, "text", value);
    }
    return value.get<std::string>();
  }

  bool truth(const char* key, bool otherwise) const {
    const Json& value = get(key);
    if (value.is_null()) {
      return otherwise;
    }
    if (!value.is_boolean()) {
      complain(key, "true or false", value);
    }
    return value.get<bool>();
  }

  Config part(const char* key) const {
    static const Json kEmpty = Json::object();
    const Json& value = get(key);
    if (!value.is_null() && !value.is_object()) {
      complain(key, "an object", value);
    }
    return {value.is_null() ? kEmpty : value, path_, place_ + key + "."};
  }

  /// Null when it is not there.
  const Json& get(const char* key) const {
    static const Json kNull;
    const auto found = json_.find(key);
    return found == json_.end() ? kNull : *found;
  }

  [[noreturn]] void
  complain(const char* key, std::string_view expected, const Json& got) const {
    const std::string shown =
        got.is_string() ? in_quotes(got.get<std::string>())
                        : got.dump(-1, ' ', true, Json::error_handler_t::replace);
    fail(
        path_,
        fmt::format(
            "expected {}{} to be {}, got {}",
            place_,
            key,
            expected,
            shown.substr(0, 200)));
  }

 private:
  const Json& json_;
  fs::path path_;
  std::string place_;
};

/// Sizes of both towers, for a check that a config belongs to the weights.
struct Depths {
  int64_t image_width = 0;
  int64_t image_layers = 0;  // of a transformer
  int64_t text_width = 0;
  int64_t text_layers = 0;
};

Depths depths_of(const ClipModelOptions& options) {
  Depths depths;
  if (const auto* image = std::get_if<VisionTransformerOptions>(&options.image())) {
    depths.image_width = image->width();
    depths.image_layers = image->layers();
  } else {
    depths.image_width = std::get<ModifiedResNetOptions>(options.image()).width();
  }
  depths.text_width = options.text().width();
  depths.text_layers = options.text().layers();
  return depths;
}

bool operator==(const Depths& a, const Depths& b) {
  return a.image_width == b.image_width && a.image_layers == b.image_layers &&
         a.text_width == b.text_width && a.text_layers == b.text_layers;
}

/// config.json of transformers; what is absent has the defaults of its CLIPConfig.
std::optional<Facts>
read_hugging_face_config(const Json& json, const fs::path& path, const Depths& depths) {
  const Config config(json, path, "");
  if (config.text("model_type", "clip") != "clip") {
    return std::nullopt;
  }
  Facts facts{{}, {}, path.filename().string()};
  Depths there;
  const auto read_tower = [](const Config& tower, int64_t heads) {
    const std::string activation = tower.text("hidden_act", "quick_gelu");
    if (activation != "quick_gelu" && activation != "gelu") {
      tower.complain(
          "hidden_act", "\"quick_gelu\" or \"gelu\"", tower.get("hidden_act"));
    }
    const Json& eps = tower.get("layer_norm_eps");
    if (!eps.is_null() && !(eps.is_number() && eps.get<double>() == 1e-5)) {
      tower.complain("layer_norm_eps", "1e-05", eps);
    }
    return TowerFacts{
        activation == "quick_gelu", tower.number("num_attention_heads", heads)};
  };
  const Config image = config.part("vision_config");
  const Config text = config.part("text_config");
  there.image_width = image.number("hidden_size", 768);
  there.image_layers = image.number("num_hidden_layers", 12);
  there.text_width = text.number("hidden_size", 512);
  there.text_layers = text.number("num_hidden_layers", 12);
  if (!(there == depths)) {
    return std::nullopt;
  }
  facts.image = read_tower(image, 12);
  facts.text = read_tower(text, 8);
  return facts;
}

/// open_clip_config.json; what is absent has the defaults of OpenCLIP.
std::optional<Facts>
read_open_clip_config(const Json& json, const fs::path& path, const Depths& depths) {
  const Config config = json.contains("model_cfg")
                            ? Config(json, path, "").part("model_cfg")
                            : Config(json, path, "");
  const Config image = config.part("vision_cfg");
  const Config text = config.part("text_cfg");
  Depths there;
  there.image_width = image.number("width", 768);
  there.image_layers = image.get("layers").is_array() ? 0 : image.number("layers", 12);
  there.text_width = text.number("width", 512);
  there.text_layers = text.number("layers", 12);
  if (!(there == depths)) {
    return std::nullopt;
  }
  // What this library's towers do not have, and what would leave no trace in shapes.
  const auto expect = [](const Config& tower, const char* key, const Json& only) {
    const Json& value = tower.get(key);
    if (!value.is_null() && value != only) {
      tower.complain(key, only.dump(), value);
    }
  };
  expect(image, "pool_type", "tok");
  expect(image, "final_ln_after_pool", false);
  expect(image, "norm_kwargs", Json::object());
  expect(image, "act_kwargs", Json::object());
  expect(image, "scaled_cosine_attn", false);
  expect(text, "pool_type", "argmax");
  expect(text, "final_ln_after_pool", false);
  expect(text, "no_causal_mask", false);
  expect(text, "embed_cls", false);
  expect(text, "norm_kwargs", Json::object());
  expect(text, "act_kwargs", Json::object());
  expect(text, "scaled_cosine_attn", false);
  Facts facts{{}, {}, path.filename().string()};
  const bool quick_gelu = config.truth("quick_gelu", false);
  const int64_t head_width = image.number("head_width", 64);
  if (head_width <= 0) {
    image.complain("head_width", "above 0", image.get("head_width"));
  }
  facts.image = {quick_gelu, there.image_width / head_width};
  facts.text = {quick_gelu, text.number("heads", 8)};
  return facts;
}

/// The config beside a file, if there is one and it describes these sizes.
std::optional<Facts>
read_config(const fs::path& file, Family family, const Depths& depths) {
  const auto read = [&](const char* name, auto reader) -> std::optional<Facts> {
    const fs::path path = file.parent_path() / name;
    const Json json = read_json(path);
    return json.is_null() ? std::nullopt : reader(json, path, depths);
  };
  std::optional<Facts> theirs;
  if (family == Family::kHuggingFace) {
    theirs = read("config.json", read_hugging_face_config);
    return theirs ? theirs : read("open_clip_config.json", read_open_clip_config);
  }
  theirs = read("open_clip_config.json", read_open_clip_config);
  return theirs ? theirs : read("config.json", read_hugging_face_config);
}

/// Published models whose heads are not width / 64 (OpenCLIP's ViT-H, -g and -bigG).
std::optional<int64_t> known_heads(int64_t width, int64_t layers) {
  const bool is_known = (width == 1280 && layers == 32) ||
                        (width == 1408 && layers == 40) ||
                        (width == 1664 && layers == 48);
  return is_known ? std::optional<int64_t>(16) : std::nullopt;
}

/// Fills in what `LoadedClip` will tell.
class Chooser {
 public:
  Chooser(
      const Weights& weights,
      const Named& named,
      const CheckpointOptions& options,
      LoadedClip& result)
      : weights_(weights), named_(named), options_(options), result_(result) {}

  /// Sizes from shapes, the rest from whoever tells.
  ClipModelOptions choose() {
    ClipModelOptions model = infer();
    if (weights_.metadata.count("clip.image_tower") > 0) {
      result_.names = "trmml";
      use_own(model);
      override_with_options(model);
      return model;
    }
    const bool is_openai = named_.family == Family::kFlat &&
                           (weights_.is_script || !named_.numbers.empty());
    result_.names = named_.family == Family::kHuggingFace ? "Hugging Face"
                    : is_openai                           ? "OpenAI"
                                                          : "OpenCLIP";
    check_numbers(model);
    std::optional<Facts> facts;
    if (is_openai) {
      facts = Facts{{true, std::nullopt}, {true, std::nullopt}, "OpenAI's file"};
    } else {
      facts = read_config(weights_.file, named_.family, depths_of(model));
    }
    apply(facts.value_or(Facts{}), is_openai, model);
    return model;
  }

 private:
  /// This library's files tell everything in their metadata.
  void use_own(ClipModelOptions& model) {
    try {
      const ClipModelOptions told = ClipModelOptions::from_metadata(weights_.metadata);
      const auto* theirs = std::get_if<VisionTransformerOptions>(&told.image());
      auto* ours = std::get_if<VisionTransformerOptions>(&model.image());
      if (theirs != nullptr && ours != nullptr) {
        ours->heads(theirs->heads()).quick_gelu(theirs->quick_gelu());
      }
      if (theirs == nullptr && ours == nullptr) {
        std::get<ModifiedResNetOptions>(model.image())
            .heads(std::get<ModifiedResNetOptions>(told.image()).heads());
      }
      model.text().heads(told.text().heads()).quick_gelu(told.text().quick_gelu());
      const io::Metadata shapes = model.to_metadata();
      for (const auto& [key, value] : told.to_metadata()) {
        const auto found = shapes.find(key);
        if (found == shapes.end() || found->second != value) {
          fail(
              weights_.file,
              fmt::format(
                  "the metadata say {} {}, but the shapes of the weights say {}",
                  key,
                  value,
                  found == shapes.end() ? "another tower" : found->second));
        }
      }
    } catch (const CheckpointError& error) {
      const std::string message = error.what();
      const std::string file = weights_.file.string();
      if (message.compare(0, file.size(), file) == 0) {
        throw;
      }
      fail(weights_.file, message);
    }
  }

  ClipModelOptions infer() {
    Shapes shapes(named_);
    const bool is_resnet = shapes.has("visual.layer1.0.conv1.weight");
    ImageTowerOptions image = is_resnet ? ImageTowerOptions(infer_resnet(shapes))
                                        : ImageTowerOptions(infer_transformer(shapes));
    const TextTransformerOptions text = infer_text(shapes);
    if (!shapes.complaints.empty()) {
      fail(
          weights_.file,
          fmt::format(
              "cannot infer the sizes of the model: {}",
              fmt::join(shapes.complaints, "; ")));
    }
    try {
      return ClipModelOptions(image, text);
    } catch (const c10::Error& error) {
      fail(weights_.file, error.what_without_backtrace());
    }
  }

  /// OpenAI's archives tell three sizes beside the weights.
  void check_numbers(const ClipModelOptions& model) const {
    const std::map<std::string, int64_t> inferred = {
        {"input_resolution", model.input_resolution()},
        {"context_length", model.text().context_length()},
        {"vocab_size", model.text().vocab_size()}};
    for (const auto& [name, value] : named_.numbers) {
      if (inferred.at(name) != value) {
        fail(
            weights_.file,
            fmt::format(
                "the file says {} {}, but the shapes of its weights say {}",
                name,
                value,
                inferred.at(name)));
      }
    }
  }

  void apply(const Facts& facts, bool is_openai, ClipModelOptions& model) {
    const bool otherwise = named_.family == Family::kHuggingFace;
    if (!options_.quick_gelu() && !facts.image.quick_gelu) {
      result_.assumptions.push_back(fmt::format(
          "{} in both towers, as {} has it where nothing is said (option quick_gelu)",
          otherwise ? "QuickGELU" : "GELU",
          otherwise ? "transformers" : "OpenCLIP"));
    }
    if (auto* image = std::get_if<VisionTransformerOptions>(&model.image())) {
      image->quick_gelu(facts.image.quick_gelu.value_or(otherwise));
      image->heads(choose_heads(
          "image_heads",
          options_.image_heads(),
          facts.image.heads,
          image->width(),
          image->layers(),
          is_openai));
    }
    TextTransformerOptions& text = model.text();
    text.quick_gelu(facts.text.quick_gelu.value_or(otherwise));
    text.heads(choose_heads(
        "text_heads",
        options_.text_heads(),
        facts.text.heads,
        text.width(),
        0,
        is_openai));
    if (!facts.source.empty() && !is_openai) {
      result_.description = " (" + facts.source + ")";
    }
    override_with_options(model);
  }

  void override_with_options(ClipModelOptions& model) const {
    if (auto* image = std::get_if<VisionTransformerOptions>(&model.image())) {
      image->quick_gelu(options_.quick_gelu().value_or(image->quick_gelu()));
      image->heads(options_.image_heads().value_or(image->heads()));
    }
    TextTransformerOptions& text = model.text();
    text.quick_gelu(options_.quick_gelu().value_or(text.quick_gelu()));
    text.heads(options_.text_heads().value_or(text.heads()));
  }

  int64_t choose_heads(
      const char* name,
      const std::optional<int64_t>& option,
      const std::optional<int64_t>& told,
      int64_t width,
      int64_t layers,
      bool is_openai) {
    if (option || told) {
      return option ? *option : *told;
    }
    const std::optional<int64_t> known = known_heads(width, layers);
    if (!known && width % 64 != 0) {
      fail(
          weights_.file,
          fmt::format(
              "the width {} is no multiple of 64, and nothing tells the number of "
              "attention heads (option {})",
              width,
              name));
    }
    const int64_t heads = known.value_or(width / 64);
    if (!is_openai) {
      result_.assumptions.push_back(fmt::format(
          "{} attention heads for width {}, {} (option {})",
          heads,
          width,
          known ? "as OpenCLIP's model of these sizes has" : "64 channels each",
          name));
    }
    return heads;
  }

  const Weights& weights_;
  const Named& named_;
  const CheckpointOptions& options_;
  LoadedClip& result_;
};

// ------------------------------------------------------------------ the weights

/// A parameter or buffer of `ClipModel`.
struct Expected {
  std::string name;
  std::vector<int64_t> shape;
};

/// Every parameter and buffer that a model with `options` will have. (Asking the model
/// itself would take its memory, before anybody knows that the file fills it.)
class Expectations {
 public:
  explicit Expectations(const ClipModelOptions& options) {
    if (const auto* resnet = std::get_if<ModifiedResNetOptions>(&options.image())) {
      add_resnet(*resnet);
    } else {
      const auto& image = std::get<VisionTransformerOptions>(options.image());
      const int64_t w = image.width();
      const int64_t grid = image.input_resolution() / image.patch_size();
      add("visual.class_embedding", {w});
      add("visual.positional_embedding", {grid * grid + 1, w});
      add("visual.proj", {w, image.embed_dim()});
      add("visual.conv1.weight", {w, 3, image.patch_size(), image.patch_size()});
      add_pair("visual.ln_pre", {w}, w);
      add_pair("visual.ln_post", {w}, w);
      add_blocks("visual.", w, image.layers());
    }
    const TextTransformerOptions& text = options.text();
    const int64_t w = text.width();
    add("text.positional_embedding", {text.context_length(), w});
    add("text.text_projection", {w, text.embed_dim()});
    add("text.token_embedding.weight", {text.vocab_size(), w});
    add_pair("text.ln_final", {w}, w);
    add_blocks("text.", w, text.layers());
    add("logit_scale", {});
  }

  std::vector<Expected> all;

 private:
  void add(std::string name, std::vector<int64_t> shape) {
    all.push_back({std::move(name), std::move(shape)});
  }

  void add_pair(const std::string& name, std::vector<int64_t> weight, int64_t bias) {
    add(name + ".weight", std::move(weight));
    add(name + ".bias", {bias});
  }

  void add_blocks(const std::string& tower, int64_t w, int64_t layers) {
    for (int64_t i = 0; i < layers; ++i) {
      const std::string block = fmt::format("{}transformer.resblocks.{}.", tower, i);
      add(block + "attn.in_proj_weight", {3 * w, w});
      add(block + "attn.in_proj_bias", {3 * w});
      add_pair(block + "attn.out_proj", {w, w}, w);
      add_pair(block + "ln_1", {w}, w);
      add_pair(block + "ln_2", {w}, w);
      add_pair(block + "mlp.c_fc", {4 * w, w}, 4 * w);
      add_pair(block + "mlp.c_proj", {w, 4 * w}, w);
    }
  }

  void add_conv(
      const std::string& place,
      const std::string& conv,
      const std::string& norm,
      int64_t in,
      int64_t out,
      int64_t kernel) {
    add(place + conv + ".weight", {out, in, kernel, kernel});
    add_pair(place + norm, {out}, out);
    add(place + norm + ".running_mean", {out});
    add(place + norm + ".running_var", {out});
    add(place + norm + ".num_batches_tracked", {});
  }

  void add_resnet(const ModifiedResNetOptions& options) {
    const int64_t w = options.width();
    add_conv("visual.", "conv1", "bn1", 3, w / 2, 3);
    add_conv("visual.", "conv2", "bn2", w / 2, w / 2, 3);
    add_conv("visual.", "conv3", "bn3", w / 2, w, 3);
    int64_t in = w;
    for (size_t stage = 0; stage < options.layers().size(); ++stage) {
      const int64_t width = w << stage;
      for (int64_t i = 0; i < options.layers()[stage]; ++i) {
        const std::string block = fmt::format("visual.layer{}.{}.", stage + 1, i);
        add_conv(block, "conv1", "bn1", in, width, 1);
        add_conv(block, "conv2", "bn2", width, width, 3);
        add_conv(block, "conv3", "bn3", width, 4 * width, 1);
        if (i == 0) {  // the stage's stride, or another number of channels
          add_conv(block, "downsample.0", "downsample.1", in, 4 * width, 1);
        }
        in = 4 * width;
      }
    }
    const int64_t grid = options.input_resolution() / 32;
    add("visual.attnpool.positional_embedding", {grid * grid + 1, in});
    for (const char* part : {"q_proj", "k_proj", "v_proj"}) {
      add_pair(std::string("visual.attnpool.") + part, {in, in}, in);
    }
    add_pair("visual.attnpool.c_proj", {options.embed_dim(), in}, options.embed_dim());
  }
};

/// "a, b, and 5 more of 7".
std::string list_some(const std::vector<std::string>& items) {
  constexpr size_t kShown = 20;
  const auto end =
      items.begin() + static_cast<ptrdiff_t>(std::min(items.size(), kShown));
  std::string text = fmt::format("{}", fmt::join(items.begin(), end, ", "));
  if (items.size() > kShown) {
    text += fmt::format(", and {} more", items.size() - kShown);
  }
  return text;
}

bool is_counter(const std::string& name) {
  return ends_with_part(
      name, "num_batches_tracked");  // not in every file, used nowhere
}

/// All names that are missing, unexpected, of another shape or type, in one message.
void check_weights(
    const Weights& weights,
    const Named& named,
    const std::vector<Expected>& expected) {
  std::vector<std::string> missing, unexpected, other_shape, other_type;
  std::set<std::string> used;
  for (const auto& [name, shape] : expected) {
    const Place place = place_of(named.family, name);
    std::vector<int64_t> there = shape;
    if (place.transposed) {
      std::reverse(there.begin(), there.end());
    }
    if (place.names.size() > 1) {
      there[0] /= static_cast<int64_t>(place.names.size());
    }
    for (const std::string& one : place.names) {
      used.insert(one);
      const auto found = named.tensors.find(one);
      if (found == named.tensors.end()) {
        if (!is_counter(one)) {
          missing.push_back(one);
        }
        continue;
      }
      const at::Tensor& tensor = found->second;
      const bool is_scalar = shape.empty() && tensor.numel() == 1;
      if (tensor.sizes() != at::IntArrayRef(there) && !is_scalar) {
        other_shape.push_back(fmt::format(
            "{} expected {}, got {}",
            one,
            format_shape(there),
            format_shape(tensor.sizes())));
      } else if (!tensor.is_floating_point() && !is_counter(one)) {
        other_type.push_back(fmt::format(
            "{} expected floating-point numbers, got {}",
            one,
            toString(tensor.scalar_type())));
      }
    }
  }
  for (const auto& [name, unused] : named.tensors) {
    if (used.count(name) == 0) {
      unexpected.push_back(in_quotes(name));
    }
  }
  std::vector<std::string> problems;
  const auto add = [&problems](
                       const std::vector<std::string>& items, std::string_view what) {
    if (!items.empty()) {
      problems.push_back(
          fmt::format("{} {}: {}", items.size(), what, list_some(items)));
    }
  };
  add(missing, "missing");
  add(unexpected, "unexpected");
  add(other_shape, "of another shape");
  add(other_type, "of another type");
  if (!problems.empty()) {
    fail(
        weights.file,
        fmt::format(
            "{}{}",
            named.prefix.empty() ? ""
                                 : fmt::format("under {}: ", in_quotes(named.prefix)),
            fmt::join(problems, "; ")));
  }
}

/// Copies by pieces of some megabytes and gives the pages back, so that weights are in
/// memory once, not twice.
void copy_and_release(at::Tensor to, const at::Tensor& from) {
  constexpr int64_t kPiece = int64_t{16} << 20;
  if (from.dim() == 0 || !from.is_contiguous() ||
      static_cast<int64_t>(from.nbytes()) <= kPiece) {
    to.copy_(from);
    io::release_pages(from);
    return;
  }
  const int64_t rows = from.size(0);
  const int64_t row = static_cast<int64_t>(from.nbytes()) / rows;
  const int64_t step = std::max<int64_t>(1, kPiece / row);
  for (int64_t begin = 0; begin < rows; begin += step) {
    const int64_t end = std::min(rows, begin + step);
    to.slice(0, begin, end).copy_(from.slice(0, begin, end));
    io::release_pages(from.slice(0, begin, end));
  }
}

void copy_weights(const Named& named, ClipModelImpl& model) {
  const at::NoGradGuard no_grad;
  const auto copy = [&named](const std::string& name, const at::Tensor& target) {
    const Place place = place_of(named.family, name);
    const at::Tensor whole = place.transposed ? target.t() : target;
    const auto parts = static_cast<int64_t>(place.names.size());
    for (int64_t i = 0; i < parts; ++i) {
      const auto found = named.tensors.find(place.names[static_cast<size_t>(i)]);
      if (found == named.tensors.end()) {
        TORCH_INTERNAL_ASSERT(is_counter(name), name);
        continue;
      }
      if (target.dim() == 0) {
        whole.copy_(found->second.reshape({}));
      } else {
        const int64_t rows = whole.size(0) / parts;
        copy_and_release(whole.slice(0, i * rows, (i + 1) * rows), found->second);
      }
    }
  };
  for (const auto& item : model.named_parameters()) {
    copy(item.key(), item.value());
  }
  for (const auto& item : model.named_buffers()) {
    copy(item.key(), item.value());
  }
}

/// A model with the options, on its device; the global generator is left as it was.
ClipModel make_model(const ClipModelOptions& options, const CheckpointOptions& wanted) {
  at::Generator generator = at::globalContext().defaultGenerator(at::kCPU);
  at::Tensor state;
  {
    const std::lock_guard<std::mutex> lock(generator.mutex());
    state = generator.get_state();
  }
  ClipModel model(options);
  {
    const std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_state(state);
  }
  model->to(wanted.device(), wanted.dtype());
  return model;
}

// ------------------------------------------------------------------ the description

std::string describe_resnet(const ModifiedResNetOptions& tower) {
  struct Known {
    const char* name;
    ModifiedResNetOptions tower;
  };
  for (const auto& [name, options] :
       {std::pair("RN50", ClipModelOptions::rn50()),
        std::pair("RN101", ClipModelOptions::rn101()),
        std::pair("RN50x4", ClipModelOptions::rn50x4()),
        std::pair("RN50x16", ClipModelOptions::rn50x16()),
        std::pair("RN50x64", ClipModelOptions::rn50x64())}) {
    const auto& known = std::get<ModifiedResNetOptions>(options.image());
    if (known.width() == tower.width() && known.layers() == tower.layers() &&
        known.input_resolution() == tower.input_resolution()) {
      return name;
    }
  }
  return fmt::format(
      "ResNet of {} blocks, width {}, {} pixels",
      fmt::join(tower.layers(), "-"),
      tower.width(),
      tower.input_resolution());
}

std::string describe_transformer(const VisionTransformerOptions& tower) {
  struct Known {
    int64_t width;
    int64_t layers;
    const char* letter;
  };
  constexpr std::array<Known, 5> kKnown = {
      {{768, 12, "B"},
       {1024, 24, "L"},
       {1280, 32, "H"},
       {1408, 40, "g"},
       {1664, 48, "bigG"}}};
  for (const Known& known : kKnown) {
    if (known.width == tower.width() && known.layers == tower.layers()) {
      return fmt::format("ViT-{}/{}", known.letter, tower.patch_size()) +
             (tower.input_resolution() == 224
                  ? std::string()
                  : fmt::format("@{}", tower.input_resolution()));
    }
  }
  return fmt::format(
      "ViT of {} blocks, width {}, patches of {}, {} pixels",
      tower.layers(),
      tower.width(),
      tower.patch_size(),
      tower.input_resolution());
}

std::string describe_architecture(const ClipModelOptions& options) {
  const auto* resnet = std::get_if<ModifiedResNetOptions>(&options.image());
  return resnet != nullptr ? describe_resnet(*resnet)
                           : describe_transformer(
                                 std::get<VisionTransformerOptions>(options.image()));
}

std::string describe_activation(const ClipModelOptions& options) {
  const bool text = options.text().quick_gelu();
  const auto* image = std::get_if<VisionTransformerOptions>(&options.image());
  const auto name = [](bool quick) { return quick ? "QuickGELU" : "GELU"; };
  if (image == nullptr || image->quick_gelu() == text) {
    return name(text);
  }
  return fmt::format("{} (image) and {} (text)", name(image->quick_gelu()), name(text));
}

void describe(const Named& named, const ClipModelOptions& options, LoadedClip& result) {
  std::set<std::string> types;
  for (const auto& [name, tensor] : named.tensors) {
    if (tensor.is_floating_point()) {
      types.insert(toString(tensor.scalar_type()));
    }
  }
  const std::string activation_from = std::move(result.description);
  result.architecture = describe_architecture(options);
  result.description = fmt::format(
      "{}: {}, names of {}, numbers in {}; {}{}",
      result.architecture,
      result.format,
      result.names,
      fmt::join(types, " and "),
      describe_activation(options),
      activation_from);
  if (!named.prefix.empty()) {
    result.description += fmt::format("; read from {}", in_quotes(named.prefix));
  }
  if (named.left_out > 0) {
    result.description += fmt::format(", {} other tensors left out", named.left_out);
  }
  if (!named.ignored.empty()) {
    result.description +=
        fmt::format("; {} buffers are no weights", named.ignored.size());
  }
  for (const std::string& assumption : result.assumptions) {
    result.description += "; assumed: " + assumption;
  }
}

void check(const CheckpointOptions& options) {
  const at::ScalarType dtype = options.dtype();
  TORCH_CHECK_VALUE(
      dtype == at::kFloat || dtype == at::kDouble || dtype == at::kBFloat16 ||
          (dtype == at::kHalf && !options.device().is_cpu()),
      "load_clip: expected dtype Float, Double, BFloat16, or Half on an accelerator, "
      "got ",
      toString(dtype),
      " on ",
      options.device().str());
}

}  // namespace

LoadedClip load_clip(const fs::path& file_or_folder, const CheckpointOptions& options) {
  check(options);
  Weights weights = read_weights(file_or_folder);
  const Named named = name_tensors(weights);
  LoadedClip result;
  result.file = weights.file;
  result.format = weights.format;
  const ClipModelOptions sizes = Chooser(weights, named, options, result).choose();
  try {
    std::visit([](const auto& tower) { check_options(tower); }, sizes.image());
    check_options(sizes.text());
  } catch (const c10::Error& error) {
    fail(weights.file, error.what_without_backtrace());
  }
  check_weights(weights, named, Expectations(sizes).all);
  result.model = make_model(sizes, options);
  copy_weights(named, *result.model);
  freeze(*result.model);
  describe(named, sizes, result);
  return result;
}

}  // namespace trmml::clip
