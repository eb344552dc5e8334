#include "checkpoint_options.hpp"

#include "trmml/core/error.hpp"

#include <c10/util/Exception.h>

#include <fmt/format.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>

#include "checkpoint_config.hpp"
#include "checkpoint_sizes.hpp"

namespace trmml::clip::checkpoint {

namespace {

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
    ClipModelOptions model = infer_sizes(weights_.file, named_);
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
      facts = read_config(weights_.file, named_.family, model);
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
      check_heads("image_heads", options_.image_heads(), image->width());
      image->heads(options_.image_heads().value_or(image->heads()));
    }
    TextTransformerOptions& text = model.text();
    text.quick_gelu(options_.quick_gelu().value_or(text.quick_gelu()));
    check_heads("text_heads", options_.text_heads(), text.width());
    text.heads(options_.text_heads().value_or(text.heads()));
  }

  static void
  check_heads(const char* name, const std::optional<int64_t>& option, int64_t width) {
    TORCH_CHECK_VALUE(
        !option || (*option > 0 && width % *option == 0),
        "load_clip: expected ",
        name,
        " that divide the width ",
        width,
        ", got ",
        option.value_or(0));
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

}  // namespace

ClipModelOptions choose_options(
    const Weights& weights,
    const Named& named,
    const CheckpointOptions& options,
    LoadedClip& result) {
  return Chooser(weights, named, options, result).choose();
}

}  // namespace trmml::clip::checkpoint
