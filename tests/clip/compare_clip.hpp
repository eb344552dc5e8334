#pragma once

#include "trmml/clip/checkpoint.hpp"
#include "trmml/clip/clip_model.hpp"
#include "trmml/functional/prompts.hpp"
#include "trmml/io/safetensors.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/tensors.hpp"

// What the checkpoints of tests/reference/clip_checkpoints.py give here, against what
// the reference implementations gave there. The inputs are those of that script, by
// formula.

namespace support {

/// One line of the list in `reference.safetensors`: "file|reference|options".
struct ClipCase {
  std::string file;
  std::string reference;  // "quick", "gelu", "transformers"
  trmml::clip::CheckpointOptions options;
};

/// How far one output is from its reference: |a - b| / |b|, the largest of all rows.
struct ClipDifference {
  std::string output;
  double value;
};

inline trmml::clip::CheckpointOptions clip_options(const std::string& text) {
  trmml::clip::CheckpointOptions options;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    const size_t sign = word.find('=');
    const int64_t number = std::stoll(word.substr(sign + 1));
    if (word.substr(0, sign) == "image_heads") {
      options.image_heads(number);
    } else if (word.substr(0, sign) == "text_heads") {
      options.text_heads(number);
    } else if (word.substr(0, sign) == "quick_gelu") {
      options.quick_gelu(number != 0);
    } else {
      throw std::invalid_argument(word);
    }
  }
  return options;
}

inline std::vector<ClipCase> clip_cases(const trmml::io::SafetensorsFile& reference) {
  std::vector<ClipCase> cases;
  std::istringstream lines(reference.metadata.at("cases"));
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find('|');
    const size_t second = line.find('|', first + 1);
    cases.push_back(
        {line.substr(0, first),
         line.substr(first + 1, second - first - 1),
         clip_options(line.substr(second + 1))});
  }
  return cases;
}

inline double row_difference(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes()) {
    return INFINITY;
  }
  const at::Tensor x = a.to(at::kDouble);
  const at::Tensor y = b.to(at::kDouble);
  return ((x - y).norm(2, -1) / y.norm(2, -1)).max().item<double>();
}

inline at::Tensor clip_images(int64_t count, int64_t size) {
  return fill({count, 3, size, size}, 1).to(at::kFloat) * 2;
}

inline at::Tensor clip_text_ids(int64_t vocab_size, int64_t length) {
  at::Tensor ids = at::zeros({3, length}, at::kLong);
  ids[0].slice(0, 0, 5).copy_(
      at::tensor({vocab_size - 2, int64_t{1}, int64_t{2}, int64_t{3}, vocab_size - 1}));
  ids[1].slice(0, 0, 2).copy_(at::tensor({vocab_size - 2, vocab_size - 1}));
  ids[2].copy_(at::arange(length).sub(1).remainder(7).add(5));
  ids[2][0] = vocab_size - 2;
  ids[2][length - 1] = vocab_size - 1;
  return ids;
}

/// Start and learned context shared; names of one to three tokens and the end of each
/// category packed.
inline trmml::Prompts clip_prompts(
    trmml::clip::ClipModelImpl& model,
    const at::Tensor& context) {
  const int64_t end = model.options.text().vocab_size() - 1;
  const auto embed = [&model](const std::vector<int64_t>& ids) {
    return model.text->embed(at::tensor(ids, at::kLong));
  };
  trmml::Prompts prompts;
  prompts.common = at::cat({embed({end - 1}), context}).unsqueeze(0);
  prompts.own = embed({3, end, 7, 4, end, 9, 1, 6, end});
  prompts.offsets = {0, 2, 5, 9};
  return prompts;
}

/// All outputs that `reference` has for this case.
inline std::vector<ClipDifference> compare_clip(
    trmml::clip::ClipModelImpl& model,
    const trmml::io::SafetensorsFile& reference,
    const std::string& kind) {
  using trmml::clip::DenseForm;
  std::vector<ClipDifference> differences;
  const auto compare = [&](const std::string& output, const at::Tensor& value) {
    const auto expected = reference.tensors.find(kind + "." + output);
    if (expected != reference.tensors.end()) {
      differences.push_back({output, row_difference(value, expected->second)});
    }
  };
  {
    const at::NoGradGuard no_grad;
    for (const std::string size : {"native", "larger"}) {
      const at::Tensor images = clip_images(
          size == "native" ? 2 : 1, std::stoll(reference.metadata.at(size)));
      const auto plain = model.image_features(images, DenseForm::kPlain);
      compare("global_" + size, plain.global);
      compare("plain_" + size, plain.regions);
      compare(
          "dualcoop_" + size,
          model.image_features(images, DenseForm::kDualCoOp).regions);
    }
    const auto& text = model.options.text();
    compare(
        "text",
        model.encode_text(clip_text_ids(text.vocab_size(), text.context_length())));
  }
  at::Tensor context = (fill({4, model.options.text().width()}, 2).to(at::kFloat) * 0.3)
                           .requires_grad_(true);
  const at::Tensor features = model.text->forward(clip_prompts(model, context))[0];
  (features * fill(features.sizes(), 4).to(at::kFloat)).sum().backward();
  compare("prompt_text", features.detach());
  compare("prompt_gradient", context.grad());
  return differences;
}

}  // namespace support
