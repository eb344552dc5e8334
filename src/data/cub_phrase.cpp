#include "trmml/data/category_names.hpp"
#include "trmml/data/cub.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

namespace trmml::data {
namespace {

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos;
       at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

// Without underscores, parentheses and colons.
std::string words_of(std::string_view name) {
  std::string text(name);
  const auto is_mark = [](char c) { return c == '(' || c == ')' || c == ':'; };
  std::replace_if(text.begin(), text.end(), is_mark, '_');
  return split_words(text);
}

// "an olive back", "a unique pattern".
std::string with_article(const std::string& noun) {
  const bool is_vowel = noun.find_first_of("aeiou") == 0 && !noun.starts_with("uni");
  return (is_vowel ? "an " : "a ") + noun;
}

bool take_suffix(std::string& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) {
    return false;
  }
  text.resize(text.size() - suffix.size());
  return true;
}

// "a grey back", but "grey wings": what there is more than one of has no article.
std::string with_part(const std::string& value, std::string part) {
  if (part == "wing" || part == "eye" || part == "leg") {
    part += 's';
  } else if (part == "under tail") {
    part = "undertail";
  }
  const std::string noun = value + " " + part;
  return part.ends_with('s') ? noun : with_article(noun);
}

std::string bill_shape(const std::string& value) {
  return value.starts_with("curved") ? "a bill " + value
                                     : with_article(value + " bill");
}

// "about the same as head", "shorter than head"
std::string bill_length(std::string value) {
  if (value == "about the same as head") {
    return "a bill about as long as its head";
  }
  replace_all(value, "than head", "than its head");
  return "a bill " + value;
}

std::string head_pattern(const std::string& value) {
  if (value == "unique pattern") {
    return "a unique head pattern";
  }
  if (value == "malar") {
    return "a malar stripe";
  }
  if (value == "eyebrow") {
    return "an eyebrow stripe";
  }
  if (value == "eyering" || value == "eyeline") {
    return "an eye " + value.substr(3);
  }
  return with_article(value + " head");
}

// "large 16 - 32 in"
std::string sized_bird(std::string value) {
  const std::size_t digit = value.find_first_of("0123456789");
  if (digit == std::string::npos || digit == 0) {
    return value + " bird";
  }
  std::string inches = value.substr(digit);
  value.resize(digit - 1);
  if (take_suffix(inches, " in")) {
    inches += " inches";
  }
  replace_all(inches, " - ", " to ");
  return fmt::format("{} bird of {}", value, inches);
}

// "duck-like", "chicken-like-marsh", "long-legged-like"
std::string bird_shape(std::string value) {
  replace_all(value, "-like-", "-like ");
  if (value.ends_with("ed-like")) {
    take_suffix(value, "-like");
  }
  return with_article(value + " shape");
}

}  // namespace

std::string cub_phrase(std::string_view attribute) {
  const std::size_t colons = attribute.find("::");
  std::string group = words_of(attribute.substr(0, colons));
  if (group.starts_with("has ")) {
    group.erase(0, 4);
  }
  if (colons == std::string_view::npos) {
    return group;
  }
  std::string value = words_of(attribute.substr(colons + 2));
  if (value.empty()) {
    return group;
  }

  if (group == "size") {
    return sized_bird(value);
  }
  if (group == "primary color") {
    return "mainly " + value + " bird";
  }
  if (group == "shape") {
    return "bird with " + bird_shape(value);
  }
  if (group == "bill shape") {
    return "bird with " + bill_shape(value);
  }
  if (group == "bill length") {
    return "bird with " + bill_length(value);
  }
  if (group == "head pattern") {
    return "bird with " + head_pattern(value);
  }
  if (group == "tail shape") {
    take_suffix(value, " tail");
    return "bird with " + with_part(value, "tail");
  }
  if (group == "wing shape") {
    take_suffix(value, "-wings");
    return "bird with " + with_part(value, "wing");
  }
  if (take_suffix(group, " color")) {
    return "bird with " + with_part(value, group);
  }
  if (take_suffix(group, " pattern")) {
    return "bird with " + with_part(value == "solid" ? "solid-colored" : value, group);
  }
  return value + " " + group;
}

}  // namespace trmml::data
