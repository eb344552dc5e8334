#include "checkpoint_config.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <string_view>
#include <utility>
#include <variant>

#include "../io/quoted.hpp"

namespace trmml::clip::checkpoint {

namespace fs = std::filesystem;
using io::in_quotes;

namespace {

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

}  // namespace

std::optional<Facts>
read_config(const fs::path& file, Family family, const ClipModelOptions& sizes) {
  const Depths depths = depths_of(sizes);
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

}  // namespace trmml::clip::checkpoint
