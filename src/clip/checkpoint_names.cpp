#include "checkpoint_names.hpp"

#include <ATen/core/Tensor.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "../io/quoted.hpp"

namespace trmml::clip::checkpoint {

using io::in_quotes;
using io::TensorMap;

namespace {

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

}  // namespace

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

namespace {

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

}  // namespace

bool ends_with_part(std::string_view name, std::string_view part) {
  return name.ends_with(part) &&
         (name.size() == part.size() || name[name.size() - part.size() - 1] == '.');
}

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
      const double number = tensor.item<double>();
      if (!(number >= 0 && number <= 1 << 24)) {
        fail(
            weights.file,
            fmt::format("expected a size as {}, got {}", model.prefix + rest, number));
      }
      named.numbers[rest] = static_cast<int64_t>(number);
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

}  // namespace trmml::clip::checkpoint
