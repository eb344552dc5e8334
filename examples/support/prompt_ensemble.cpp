#include "support/prompt_ensemble.hpp"

#include "trmml/core/error.hpp"
#include "trmml/data/lines.hpp"
#include "trmml/functional/similarity.hpp"

#include <ATen/ATen.h>

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace clip_program {

using trmml::functional::l2_normalise;

std::vector<std::string> read_categories(const std::string& file) {
  constexpr const char* kBlanks = " \t\r\v\f";
  std::vector<std::string> names;
  std::map<std::string, size_t> seen;  // and the line
  size_t number = 0;
  for (const std::string& line : trmml::data::read_lines(file)) {
    ++number;
    const size_t begin = line.find_first_not_of(kBlanks);
    if (begin == std::string::npos) {
      continue;
    }
    names.push_back(line.substr(begin, line.find_last_not_of(kBlanks) - begin + 1));
    const auto [found, is_new] = seen.emplace(names.back(), number);
    if (!is_new) {
      throw trmml::DataError(fmt::format(
          "{}, line {}: \"{}\" stands in line {} already",
          file,
          number,
          names.back(),
          found->second));
    }
  }
  if (names.empty()) {
    throw trmml::DataError(file + ": expected a category or more, got blank lines");
  }
  return names;
}

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
