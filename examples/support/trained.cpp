#include "support/trained.hpp"

#include "trmml/core/check.hpp"
#include "trmml/core/error.hpp"
#include "trmml/core/random.hpp"
#include "trmml/core/version.hpp"
#include "trmml/io/module_weights.hpp"
#include "trmml/method/ablation.hpp"
#include "trmml/training/state_file.hpp"

#include <ATen/ops/tensor.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <array>
#include <bit>
#include <cstring>
#include <set>
#include <sstream>

#include "support/config_file.hpp"
#include "support/method_settings.hpp"
#include "support/program.hpp"
#include "support/utf8.hpp"

namespace experiment {

namespace fs = std::filesystem;
using trmml::CheckpointError;
using trmml::format_shape;

namespace {

constexpr const char* kFormat = "trmml.method.1";

std::string as_json(const std::vector<std::string>& texts) {
  return nlohmann::json(texts).dump(
      -1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// ---------------------------------------------------------------- reading

/// The pieces of one file, each checked as it is taken.
class Pieces {
 public:
  explicit Pieces(const fs::path& path)
      : path_(path), file_(trmml::io::read_safetensors(path)) {}

  template <typename... Arguments>
  [[noreturn]] void fail(
      fmt::format_string<Arguments...> text,
      Arguments&&... arguments) const {
    throw CheckpointError(
        path_.string() + ": " +
        fmt::format(text, std::forward<Arguments>(arguments)...));
  }

  const std::string& text(const std::string& key) const {
    const auto found = file_.metadata.find(key);
    if (found == file_.metadata.end()) {
      fail("expected \"{}\" in the metadata, got nothing", key);
    }
    return found->second;
  }

  int64_t number(const std::string& key) const {
    return trmml::training::state_number(file_.metadata, key, path_);
  }

  std::vector<std::string> texts(const std::string& key) const {
    const auto json = nlohmann::json::parse(text(key), nullptr, false);
    std::vector<std::string> all;
    for (const auto& item : json.is_array() ? json : nlohmann::json::array()) {
      if (item.is_string()) {
        all.push_back(item.get<std::string>());
      }
    }
    if (all.empty() || all.size() != json.size()) {
      fail("expected \"{}\" in the metadata to be a JSON list of texts", key);
    }
    return all;
  }

  const at::Tensor& tensor(const std::string& name, int64_t dimensions) const {
    const auto found = file_.tensors.find(name);
    if (found == file_.tensors.end()) {
      fail("expected a tensor \"{}\", got none", name);
    }
    const at::Tensor& tensor = found->second;
    if (tensor.dim() != dimensions || tensor.numel() == 0 ||
        !tensor.is_floating_point()) {
      fail(
          "tensor {}: expected numbers in floating point and {} dimensions, got {} of "
          "shape {}",
          name,
          dimensions,
          c10::toString(tensor.scalar_type()),
          format_shape(tensor.sizes()));
    }
    return tensor;
  }

  /// Takes a tensor that is not the method's.
  at::Tensor take(const std::string& name, int64_t dimensions) {
    const at::Tensor taken = tensor(name, dimensions).clone();
    if (!taken.isfinite().all().item<bool>()) {
      fail("tensor {}: expected finite numbers", name);
    }
    file_.tensors.erase(name);
    return taken;
  }

  const trmml::io::TensorMap& others() const { return file_.tensors; }

 private:
  fs::path path_;
  trmml::io::SafetensorsFile file_;
};

// The run's options as config.toml has them; those of its data set are passed over.
void parse_config(const Pieces& pieces, Trained& trained) {
  CLI::App app;
  add_options(app, trained.pictures);
  add_options(app, trained.options, /*all_protocols=*/true);
  app.config_formatter(std::make_shared<program::ConfigFile>());
  app.allow_config_extras(CLI::config_extras_mode::ignore_all);
  std::istringstream config(pieces.text("config"));
  try {
    app.parse_from_stream(config);
    program::check_finite(app);
  } catch (const CLI::Error& error) {
    pieces.fail("options in the metadata: {}", error.what());
  }
}

// The texts' part from what the file holds. Which rows belong to which name matters to
// the text tower alone, and that is not asked: the features are in the file.
TextSide stored_text_side(const Pieces& pieces, const at::Tensor& text_features) {
  const auto n_cls = text_features.size(1);
  TextSide text;
  text.names.prefix = pieces.tensor("prompt_learner.token_prefix", 2);
  text.names.names = pieces.tensor("prompt_learner.token_names", 2);
  text.names.suffix = pieces.tensor("prompt_learner.token_suffix", 2);
  const int64_t rows = text.names.names.size(0);
  if (rows < n_cls) {
    pieces.fail(
        "tensor prompt_learner.token_names: expected a row or more for each of {} "
        "categories, got {}",
        n_cls,
        rows);
  }
  for (int64_t c = 0; c < n_cls; ++c) {
    text.names.offsets.push_back(c);
  }
  text.names.offsets.push_back(rows);
  text.encode = [](const trmml::Prompts&) -> at::Tensor {
    throw std::logic_error("Trained: the text features are in the file");
  };
  text.frozen_text = text_features[0];
  return text;
}

// No option may ask for more memory than the file has numbers for.
void check_sizes(const Pieces& pieces, const Trained& trained, int64_t n_ctx) {
  const RunOptions& options = trained.options;
  const at::Tensor& ctx =
      pieces.tensor("prompt_learner.ctx", options.class_specific ? 4 : 3);
  if (ctx.size(-2) != n_ctx) {
    pieces.fail(
        "tensor prompt_learner.ctx: expected {} context tokens, got shape {}",
        n_ctx,
        format_shape(ctx.sizes()));
  }
  int64_t numbers = 0;
  for (const auto& [name, tensor] : pieces.others()) {
    numbers += tensor.numel();
  }
  const int64_t width = trained.text_features.size(2);
  for (const int64_t size :
       {options.attn_dim.value_or(0), options.mlp_hidden.value_or(0), options.layers}) {
    if (size < 0 || size > numbers / width) {
      pieces.fail(
          "options in the metadata: expected sizes that {} numbers of width {} have "
          "room for, got {}",
          numbers,
          width,
          size);
    }
  }
}

void check_names(const Pieces& pieces, const Trained& trained) {
  const auto n_cls = static_cast<int64_t>(trained.names.size());
  if (trained.text_features.size(0) != 2 || trained.text_features.size(1) != n_cls) {
    pieces.fail(
        "tensor text_features: expected shape [2, {}, any], got {}",
        n_cls,
        format_shape(trained.text_features.sizes()));
  }
  if (std::set<std::string>(trained.names.begin(), trained.names.end()).size() !=
      trained.names.size()) {
    pieces.fail("expected category names of which none is there twice");
  }
}

std::vector<double> take_thresholds(Pieces& pieces, size_t n_cls) {
  const at::Tensor values = pieces.take("thresholds", 1);
  std::vector<double> thresholds;
  for (int64_t c = 0; c < values.size(0); ++c) {
    thresholds.push_back(values[c].item<double>());
    if (thresholds.back() < 0.0 || thresholds.back() > 1.0) {
      pieces.fail(
          "tensor thresholds: expected numbers in [0, 1], got {:g} at {}",
          thresholds.back(),
          c);
    }
  }
  if (thresholds.size() != n_cls) {
    pieces.fail(
        "tensor thresholds: expected shape [{}], got {}",
        n_cls,
        format_shape(values.sizes()));
  }
  return thresholds;
}

trmml::MethodSwitches switches_of(const Pieces& pieces, const Trained& trained) {
  const std::string& method = pieces.text("method");
  trmml::MethodSwitches switches;
  try {
    switches = trmml::method_switches(method);
  } catch (const std::invalid_argument& error) {
    pieces.fail("{}", error.what());
  }
  if (method != trained.options.method) {
    pieces.fail(
        "expected one method, got {} and, in the options, {}",
        method,
        trained.options.method);
  }
  if (!switches.has_prompts()) {
    pieces.fail("expected a method with prompts, got {}", method);
  }
  if (switches.zero_shot_at_test) {
    throw program::UsageError(fmt::format(
        "{}: the scores of {} depend on all pictures of a test: expected a method that "
        "scores a picture by itself",
        trained.file.string(),
        method));
  }
  return switches;
}

// ---------------------------------------------------------------- fingerprint

// Of all numbers as single precision, by the rounds of xxHash64 in four lanes that do
// not wait for each other: hundreds of megabytes are read before the first picture.
uint64_t digest_of(const at::Tensor& tensor) {
  constexpr int64_t kPiece = 1 << 16;  // stays in the cache where it is converted
  std::array<uint64_t, 4> lanes = {1, 2, 3, 4};
  const auto mix = [&lanes](const char* bytes, size_t size) {
    std::array<uint64_t, 4> words{};
    std::memcpy(words.data(), bytes, size);
    for (size_t k = 0; k < lanes.size(); ++k) {
      lanes[k] = std::rotl(lanes[k] + words[k] * 0xc2b2ae3d27d4eb4fULL, 31) *
                 0x9e3779b185ebca87ULL;
    }
  };
  for (const at::Tensor& piece : tensor.cpu().contiguous().flatten().split(kPiece)) {
    const at::Tensor numbers = piece.to(at::kFloat);
    const auto* bytes = static_cast<const char*>(numbers.data_ptr());
    size_t rest = numbers.nbytes();
    for (; rest >= sizeof(lanes); rest -= sizeof(lanes), bytes += sizeof(lanes)) {
      mix(bytes, sizeof(lanes));
    }
    mix(bytes, rest);
  }
  const auto* all = reinterpret_cast<const char*>(lanes.data());
  return trmml::derive_seed(0, 0, {all, sizeof(lanes)});
}

}  // namespace

void write_trained(
    const fs::path& path,
    const World& world,
    const RunOptions& options,
    const RunResult& result,
    const std::string& config) {
  const c10::NoGradGuard no_grad;
  trmml::io::TensorMap tensors = trmml::io::module_tensors(result.model->as_module());
  tensors["text_features"] = result.model->text_features();
  std::vector<double> thresholds;
  for (const auto& [name, threshold] : result.report.thresholds) {
    thresholds.push_back(threshold);
  }
  tensors["thresholds"] = at::tensor(thresholds, at::kDouble);
  trmml::clip::ClipModel clip = world.clip;
  trmml::io::write_safetensors(
      path,
      tensors,
      program::as_utf8(
          {{"format", kFormat},
           {"method", options.method},
           {"dataset", world.dataset},
           {"classnames", as_json(world.names())},
           {"names_for_clip", as_json(world.all_train.names_for_clip)},
           {"n_ctx", std::to_string(result.n_ctx)},
           {"clip_fingerprint", fingerprint(*clip)},
           {"mask_digest", result.report.mask_digest},
           {"config", config},
           {"trmml_version", TRMML_VERSION}}));
}

Trained read_trained(const fs::path& path) {
  Pieces pieces(path);
  if (pieces.text("format") != kFormat) {
    pieces.fail("expected the format {}, got {}", kFormat, pieces.text("format"));
  }
  Trained trained;
  trained.file = path;
  trained.dataset = pieces.text("dataset");
  trained.names = pieces.texts("classnames");
  trained.clip_fingerprint = pieces.text("clip_fingerprint");
  parse_config(pieces, trained);
  const trmml::MethodSwitches switches = switches_of(pieces, trained);
  trained.text_features = pieces.take("text_features", 3).to(at::kFloat);
  trained.thresholds = take_thresholds(pieces, trained.names.size());
  check_names(pieces, trained);
  const int64_t n_ctx = pieces.number("n_ctx");
  check_sizes(pieces, trained, n_ctx);
  try {
    trained.method = build_method(
        stored_text_side(pieces, trained.text_features),
        trained.options,
        switches,
        n_ctx);
  } catch (const c10::ValueError& error) {
    pieces.fail("{}", error.what_without_backtrace());
  }
  trmml::io::load_module(trained.method->as_module(), pieces.others(), path.string());
  trained.method->as_module().eval();
  return trained;
}

bool Trained::has_regions() const {
  return trmml::method_switches(options.method).kind ==
         trmml::MethodSwitches::Kind::kRegion;
}

std::string fingerprint(trmml::clip::ClipModelImpl& clip) {
  std::string text;
  for (const auto& [key, value] : clip.options.to_metadata()) {
    if (key.starts_with("clip.image")) {
      text += fmt::format("{} {}\n", key, value);
    }
  }
  for (const auto& [name, tensor] : trmml::io::module_tensors(clip.visual())) {
    if (!name.ends_with("num_batches_tracked")) {  // which not every file has
      text += fmt::format(
          "{} {} {:016x}\n", name, format_shape(tensor.sizes()), digest_of(tensor));
    }
  }
  return fmt::format("{:016x}", trmml::derive_seed(0, 0, text));
}

}  // namespace experiment
