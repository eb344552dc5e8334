#include "checkpoint_sizes.hpp"

#include "trmml/core/check.hpp"

#include <c10/util/Exception.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace trmml::clip::checkpoint {

namespace fs = std::filesystem;

namespace {

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

}  // namespace

ClipModelOptions infer_sizes(const fs::path& file, const Named& named) {
  Shapes shapes(named);
  const bool is_resnet = shapes.has("visual.layer1.0.conv1.weight");
  ImageTowerOptions image = is_resnet ? ImageTowerOptions(infer_resnet(shapes))
                                      : ImageTowerOptions(infer_transformer(shapes));
  const TextTransformerOptions text = infer_text(shapes);
  if (!shapes.complaints.empty()) {
    fail(
        file,
        fmt::format(
            "cannot infer the sizes of the model: {}",
            fmt::join(shapes.complaints, "; ")));
  }
  try {
    return ClipModelOptions(image, text);
  } catch (const c10::Error& error) {
    fail(file, error.what_without_backtrace());
  }
}

}  // namespace trmml::clip::checkpoint
