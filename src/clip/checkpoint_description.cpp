#include "checkpoint_description.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <variant>

#include "../io/quoted.hpp"

namespace trmml::clip::checkpoint {

using io::in_quotes;

namespace {

std::string describe_resnet(const ModifiedResNetOptions& tower) {
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

}  // namespace

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

}  // namespace trmml::clip::checkpoint
