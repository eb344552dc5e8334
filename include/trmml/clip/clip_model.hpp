#pragma once

#include "trmml/clip/freeze.hpp"
#include "trmml/clip/modified_resnet.hpp"
#include "trmml/clip/text_transformer.hpp"
#include "trmml/clip/vision_transformer.hpp"
#include "trmml/core/error.hpp"

#include <torch/arg.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>
#include <torch/types.h>

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdint>
#include <map>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace trmml::clip {

/// Options of either image tower.
using ImageTowerOptions = std::variant<ModifiedResNetOptions, VisionTransformerOptions>;

/// Options for `ClipModel`: an image tower, a text tower, one joint width.
///
/// Example:
/// ```
/// clip::ClipModel model(clip::ClipModelOptions::rn101());
/// ```
struct ClipModelOptions {
  /// Throws `c10::ValueError` unless both towers end in the same width D.
  ClipModelOptions(ImageTowerOptions image, TextTransformerOptions text)
      : image_(std::move(image)), text_(std::move(text)) {
    const int64_t image_dim =
        std::visit([](const auto& tower) { return tower.embed_dim(); }, image_);
    TORCH_CHECK_VALUE(
        image_dim == text_.embed_dim(),
        "ClipModelOptions: expected towers of one embed_dim, got ",
        image_dim,
        " (image) and ",
        text_.embed_dim(),
        " (text)");
  }

  // OpenAI's models.
  static ClipModelOptions rn50();
  static ClipModelOptions rn101();
  static ClipModelOptions rn50x4();
  static ClipModelOptions rn50x16();
  static ClipModelOptions rn50x64();
  static ClipModelOptions vit_b_32();
  static ClipModelOptions vit_b_16();
  static ClipModelOptions vit_l_14();
  static ClipModelOptions vit_l_14_336();

  /// Width D of the joint embedding.
  int64_t embed_dim() const { return text_.embed_dim(); }

  /// Pixels a side at which the image tower was trained.
  int64_t input_resolution() const {
    return std::visit(
        [](const auto& tower) { return tower.input_resolution(); }, image_);
  }

  /// All sizes as text, for the metadata of a weights file. Keys start with "clip.".
  std::map<std::string, std::string> to_metadata() const;

  /// Reads what `to_metadata` wrote; other keys are left alone. Throws
  /// `trmml::CheckpointError` naming the key that is missing or wrong.
  static ClipModelOptions from_metadata(
      const std::map<std::string, std::string>& metadata);

  /// The image tower: ModifiedResNetOptions or VisionTransformerOptions.
  TORCH_ARG(ImageTowerOptions, image);

  /// The text tower.
  TORCH_ARG(TextTransformerOptions, text);
};

/// CLIP: an image tower, a text tower, and the logarithm of the scale of their cosine.
/// Outputs are not normalised.
///
/// Submodules: "visual" (a ModifiedResNet or a VisionTransformer) and "text". Parameter
/// names are OpenAI's with these prefixes, and `logit_scale`, which starts at
/// ln(1/0.07).
///
/// Shapes (B images, n texts, L tokens, R regions, D = `options.embed_dim()`):
///   encode_image   [B, 3, H, W] -> [B, D]
///   image_features [B, 3, H, W] -> global [B, D], regions [B, R, D]
///   encode_text    [n, L] int64 -> [n, D]
///
/// Gradients, state, random numbers and throws: see the towers.
///
/// Example:
/// ```
/// clip::ClipModel model(clip::ClipModelOptions::rn50());
/// auto features = model->image_features(images, clip::DenseForm::kDualCoOp);
/// ```
class ClipModelImpl : public torch::nn::Cloneable<ClipModelImpl> {
 public:
  /// Throws what the constructor of the options throws, also when a tower was set
  /// later.
  explicit ClipModelImpl(const ClipModelOptions& options_)
      : options(options_.image(), options_.text()) {
    reset();
  }

  void reset() override;
  void reset_parameters();
  void pretty_print(std::ostream& stream) const override;

  torch::Tensor encode_image(const torch::Tensor& images);
  ImageFeatures image_features(const torch::Tensor& images, DenseForm form);
  torch::Tensor encode_text(const torch::Tensor& ids);

  /// The image tower as a module, whichever it is.
  torch::nn::Module& visual();

  /// The options this module was built with.
  ClipModelOptions options;

  ModifiedResNet visual_resnet{nullptr};          ///< "visual", or empty
  VisionTransformer visual_transformer{nullptr};  ///< "visual", or empty
  TextTransformer text{nullptr};                  ///< "text"
  torch::Tensor logit_scale;                      ///< [] logarithm of the scale
};

TORCH_MODULE(ClipModel);

// ---------------------------------------------------------------------------------
// Bodies

inline void ClipModelImpl::reset() {
  if (const auto* resnet = std::get_if<ModifiedResNetOptions>(&options.image())) {
    visual_resnet = register_module("visual", ModifiedResNet(*resnet));
  } else {
    visual_transformer = register_module(
        "visual",
        VisionTransformer(std::get<VisionTransformerOptions>(options.image())));
  }
  text = register_module("text", TextTransformer(options.text()));
  logit_scale = register_parameter("logit_scale", torch::full({}, std::log(1 / 0.07)));
}

inline void ClipModelImpl::reset_parameters() {
  if (visual_resnet) {
    visual_resnet->reset_parameters();
  } else {
    visual_transformer->reset_parameters();
  }
  text->reset_parameters();
  torch::nn::init::constant_(logit_scale, std::log(1 / 0.07));
}

inline void ClipModelImpl::pretty_print(std::ostream& stream) const {
  stream << "trmml::clip::ClipModel(embed_dim=" << options.embed_dim()
         << ", input_resolution=" << options.input_resolution() << ")";
}

inline torch::nn::Module& ClipModelImpl::visual() {
  if (visual_resnet) {
    return *visual_resnet;
  }
  return *visual_transformer;
}

inline torch::Tensor ClipModelImpl::encode_image(const torch::Tensor& images) {
  return visual_resnet ? visual_resnet->forward(images)
                       : visual_transformer->forward(images);
}

inline ImageFeatures ClipModelImpl::image_features(
    const torch::Tensor& images,
    DenseForm form) {
  return visual_resnet ? visual_resnet->features(images, form)
                       : visual_transformer->features(images, form);
}

inline torch::Tensor ClipModelImpl::encode_text(const torch::Tensor& ids) {
  return text->forward(ids);
}

namespace detail {

using Metadata = std::map<std::string, std::string>;

/// Reads typed entries of metadata; every complaint names the key.
class MetadataReader {
 public:
  explicit MetadataReader(const Metadata& metadata) : metadata_(metadata) {}

  const std::string& text(const std::string& key) const {
    const auto found = metadata_.find(key);
    if (found == metadata_.end()) {
      throw CheckpointError(fmt::format(
          "ClipModelOptions::from_metadata: expected the key '{}', found {} (were the "
          "weights written with their options?)",
          key,
          metadata_.empty() ? "no metadata at all" : "only other keys"));
    }
    return found->second;
  }

  int64_t number(const std::string& key) const { return parse(key, text(key)); }

  bool boolean(const std::string& key) const {
    const std::string& value = text(key);
    if (value != "true" && value != "false") {
      fail(key, "true or false", value);
    }
    return value == "true";
  }

  std::vector<int64_t> numbers(const std::string& key) const {
    std::vector<int64_t> values;
    std::string_view rest = text(key);
    while (true) {
      const size_t comma = rest.find(',');
      values.push_back(parse(key, rest.substr(0, comma)));
      if (comma == std::string_view::npos) {
        return values;
      }
      rest.remove_prefix(comma + 1);
    }
  }

  [[noreturn]] static void
  fail(const std::string& key, std::string_view expected, std::string_view got) {
    throw CheckpointError(fmt::format(
        "ClipModelOptions::from_metadata: expected '{}' to be {}, got '{}'",
        key,
        expected,
        got));
  }

 private:
  static int64_t parse(const std::string& key, std::string_view value) {
    constexpr int64_t kLargest = int64_t{1} << 24;  // no size overflows with it
    int64_t number = 0;
    const char* end = value.data() + value.size();
    const auto [stop, error] = std::from_chars(value.data(), end, number);
    if (error != std::errc() || stop != end || number > kLargest) {
      fail(key, "a whole number", value);
    }
    return number;
  }

  const Metadata& metadata_;
};

inline ImageTowerOptions read_image_tower(const MetadataReader& in, int64_t embed_dim) {
  const std::string& kind = in.text("clip.image_tower");
  if (kind == "modified_resnet") {
    return ModifiedResNetOptions(embed_dim)
        .width(in.number("clip.image.width"))
        .layers(in.numbers("clip.image.layers"))
        .heads(in.number("clip.image.heads"))
        .input_resolution(in.number("clip.image.input_resolution"));
  }
  if (kind != "vision_transformer") {
    MetadataReader::fail(
        "clip.image_tower", "modified_resnet or vision_transformer", kind);
  }
  return VisionTransformerOptions(embed_dim)
      .patch_size(in.number("clip.image.patch_size"))
      .width(in.number("clip.image.width"))
      .layers(in.number("clip.image.layers"))
      .heads(in.number("clip.image.heads"))
      .input_resolution(in.number("clip.image.input_resolution"))
      .quick_gelu(in.boolean("clip.image.quick_gelu"));
}

inline void write_image_tower(const ModifiedResNetOptions& tower, Metadata& out) {
  out["clip.image_tower"] = "modified_resnet";
  out["clip.image.width"] = std::to_string(tower.width());
  out["clip.image.layers"] = fmt::format(
      "{},{},{},{}",
      tower.layers().at(0),
      tower.layers().at(1),
      tower.layers().at(2),
      tower.layers().at(3));
  out["clip.image.heads"] = std::to_string(tower.heads());
  out["clip.image.input_resolution"] = std::to_string(tower.input_resolution());
}

inline void write_image_tower(const VisionTransformerOptions& tower, Metadata& out) {
  out["clip.image_tower"] = "vision_transformer";
  out["clip.image.patch_size"] = std::to_string(tower.patch_size());
  out["clip.image.width"] = std::to_string(tower.width());
  out["clip.image.layers"] = std::to_string(tower.layers());
  out["clip.image.heads"] = std::to_string(tower.heads());
  out["clip.image.input_resolution"] = std::to_string(tower.input_resolution());
  out["clip.image.quick_gelu"] = tower.quick_gelu() ? "true" : "false";
}

}  // namespace detail

inline std::map<std::string, std::string> ClipModelOptions::to_metadata() const {
  detail::Metadata out;
  std::visit([&](const auto& tower) { detail::write_image_tower(tower, out); }, image_);
  out["clip.embed_dim"] = std::to_string(embed_dim());
  out["clip.text.vocab_size"] = std::to_string(text_.vocab_size());
  out["clip.text.context_length"] = std::to_string(text_.context_length());
  out["clip.text.width"] = std::to_string(text_.width());
  out["clip.text.heads"] = std::to_string(text_.heads());
  out["clip.text.layers"] = std::to_string(text_.layers());
  out["clip.text.quick_gelu"] = text_.quick_gelu() ? "true" : "false";
  return out;
}

inline ClipModelOptions ClipModelOptions::from_metadata(
    const std::map<std::string, std::string>& metadata) {
  const detail::MetadataReader in(metadata);
  const int64_t embed_dim = in.number("clip.embed_dim");
  const ImageTowerOptions image = detail::read_image_tower(in, embed_dim);
  const TextTransformerOptions text =
      TextTransformerOptions(embed_dim)
          .vocab_size(in.number("clip.text.vocab_size"))
          .context_length(in.number("clip.text.context_length"))
          .width(in.number("clip.text.width"))
          .heads(in.number("clip.text.heads"))
          .layers(in.number("clip.text.layers"))
          .quick_gelu(in.boolean("clip.text.quick_gelu"));
  try {
    std::visit([](const auto& tower) { check_options(tower); }, image);
    check_options(text);
  } catch (const c10::Error& error) {
    throw CheckpointError(fmt::format(
        "ClipModelOptions::from_metadata: {}", error.what_without_backtrace()));
  }
  return ClipModelOptions(image, text);
}

namespace detail {

inline ClipModelOptions openai_resnet(
    int64_t embed_dim,
    int64_t width,
    std::vector<int64_t> layers,
    int64_t resolution,
    int64_t text_width) {
  return ClipModelOptions(
      ModifiedResNetOptions(embed_dim)
          .width(width)
          .layers(std::move(layers))
          .heads(width / 2)
          .input_resolution(resolution),
      TextTransformerOptions(embed_dim).width(text_width).heads(text_width / 64));
}

inline ClipModelOptions openai_transformer(
    int64_t embed_dim,
    int64_t width,
    int64_t layers,
    int64_t patch_size,
    int64_t resolution,
    int64_t text_width) {
  return ClipModelOptions(
      VisionTransformerOptions(embed_dim)
          .patch_size(patch_size)
          .width(width)
          .layers(layers)
          .heads(width / 64)
          .input_resolution(resolution),
      TextTransformerOptions(embed_dim).width(text_width).heads(text_width / 64));
}

}  // namespace detail

inline ClipModelOptions ClipModelOptions::rn50() {
  return detail::openai_resnet(1024, 64, {3, 4, 6, 3}, 224, 512);
}
inline ClipModelOptions ClipModelOptions::rn101() {
  return detail::openai_resnet(512, 64, {3, 4, 23, 3}, 224, 512);
}
inline ClipModelOptions ClipModelOptions::rn50x4() {
  return detail::openai_resnet(640, 80, {4, 6, 10, 6}, 288, 640);
}
inline ClipModelOptions ClipModelOptions::rn50x16() {
  return detail::openai_resnet(768, 96, {6, 8, 18, 8}, 384, 768);
}
inline ClipModelOptions ClipModelOptions::rn50x64() {
  return detail::openai_resnet(1024, 128, {3, 15, 36, 10}, 448, 1024);
}
inline ClipModelOptions ClipModelOptions::vit_b_32() {
  return detail::openai_transformer(512, 768, 12, 32, 224, 512);
}
inline ClipModelOptions ClipModelOptions::vit_b_16() {
  return detail::openai_transformer(512, 768, 12, 16, 224, 512);
}
inline ClipModelOptions ClipModelOptions::vit_l_14() {
  return detail::openai_transformer(768, 1024, 24, 14, 224, 768);
}
inline ClipModelOptions ClipModelOptions::vit_l_14_336() {
  return detail::openai_transformer(768, 1024, 24, 14, 336, 768);
}

}  // namespace trmml::clip
