#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace trmml::data {

/// What a prompt says instead of a category's name: {"tv", "television"}.
using NameTable = std::map<std::string, std::string>;

/// "traffic_light" -> "traffic light": underscores and white space become one space,
/// none is left at the ends. A name of nothing else comes back as it is.
std::string split_words(std::string_view name);

/// [C] For each of `names` [C] what `table` has for it, or else its `split_words`.
/// Entries of `table` that are no name are not used.
std::vector<std::string> names_in_words(
    const std::vector<std::string>& names,
    const NameTable& table = {});

/// Better-known words where a name of COCO means something else, too ("mouse", "tie"),
/// or is seldom written ("hair drier"). Ours: no publication uses them, and scores with
/// them are not comparable with scores without.
const NameTable& coco_synonyms();

}  // namespace trmml::data
