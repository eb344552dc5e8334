#include "trmml/data/category_names.hpp"

namespace trmml::data {

std::string split_words(std::string_view name) {
  std::string words;
  bool apart = false;
  for (const char c : name) {
    if (c == '_' || c == ' ' || (c >= '\t' && c <= '\r')) {
      apart = !words.empty();
      continue;
    }
    if (apart) {
      words += ' ';
      apart = false;
    }
    words += c;
  }
  return words.empty() ? std::string(name) : words;
}

std::vector<std::string> names_in_words(
    const std::vector<std::string>& names,
    const NameTable& table) {
  std::vector<std::string> words;
  words.reserve(names.size());
  for (const std::string& name : names) {
    const auto found = table.find(name);
    words.push_back(found == table.end() ? split_words(name) : found->second);
  }
  return words;
}

const NameTable& coco_synonyms() {
  static const NameTable table = {
      {"hair drier", "hair dryer"},
      {"keyboard", "computer keyboard"},
      {"mouse", "computer mouse"},
      {"orange", "orange fruit"},
      {"remote", "tv remote"},
      {"sports ball", "ball"},
      {"tie", "necktie"},
      {"tv", "television"}};
  return table;
}

}  // namespace trmml::data
