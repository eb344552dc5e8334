#include "support/prompt_ensemble.hpp"

#include "trmml/functional/similarity.hpp"

#include <ATen/ATen.h>

#include <algorithm>

namespace clip_program {

using trmml::functional::l2_normalise;

std::string fill_template(std::string text, const std::string& name) {
  for (size_t at = 0; (at = text.find("{}", at)) != std::string::npos;) {
    text.replace(at, 2, name);
    at += name.size();
  }
  return text;
}

at::Tensor ensemble_features(
    Clip& clip,
    const Options& options,
    const std::vector<std::string>& names,
    const std::vector<std::string>& templates) {
  const trmml::clip::Tokenizer tokenizer = load_tokenizer(options, clip);
  const auto step = static_cast<size_t>(options.batch);
  at::Tensor sum;
  for (const std::string& text : templates) {
    std::vector<at::Tensor> parts;
    for (size_t begin = 0; begin < names.size(); begin += step) {
      std::vector<std::string> prompts;
      for (size_t i = begin; i < std::min(names.size(), begin + step); ++i) {
        prompts.push_back(fill_template(text, names[i]));
      }
      parts.push_back(encode_texts(clip, tokenizer, prompts, options.truncate));
    }
    const at::Tensor features = l2_normalise(at::cat(parts));  // [C, D]
    sum = sum.defined() ? sum + features : features;
  }
  return l2_normalise(sum);
}

}  // namespace clip_program
