#include "trmml/core/random.hpp"
#include "trmml/data/category_names.hpp"
#include "trmml/data/visual_genome.hpp"

#include <ATen/ops/full.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <random>
#include <unordered_map>

#include "../io/quoted.hpp"
#include "../io/text.hpp"
#include "faults.hpp"
#include "json_text.hpp"
#include "part_check.hpp"
#include "visual_genome_files.hpp"

namespace trmml::data {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kBlanks = " \t\n\v\f\r";
constexpr double kTestShare = 0.3;
constexpr uint32_t kSeed = 1;

// Words that do not change what an object is.
constexpr std::array<std::string_view, 19> kAttributes = {
    "white",
    "black",
    "blue",
    "green",
    "red",
    "brown",
    "yellow",
    "small",
    "large",
    "silver",
    "wooden",
    "orange",
    "gray",
    "grey",
    "metal",
    "pink",
    "tall",
    "long",
    "dark"};

std::string_view strip(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

// What an object is called among the names of the categories.
std::string plain_name(std::string_view name) {
  const std::string lower = io::ascii_lower(strip(name));
  std::string_view text = lower;
  if (text.ends_with('.')) {
    text = strip(text.substr(0, text.size() - 1));
  }
  std::string_view rest = text;
  while (true) {
    const std::size_t blank = rest.find_first_of(kBlanks);
    if (blank == std::string_view::npos) {
      return std::string(rest);  // only attributes in front of it
    }
    const std::string_view word = rest.substr(0, blank);
    if (std::find(kAttributes.begin(), kAttributes.end(), word) == kAttributes.end()) {
      return std::string(text);
    }
    rest = strip(rest.substr(blank));
  }
}

struct Categories {
  std::vector<std::string> names;                      // [C]
  std::unordered_map<std::string, int64_t> of_object;  // name -> category
};

Categories read_categories(const fs::path& file, Faults& faults) {
  Categories categories;
  json::read_object(file, faults, [&](json::Object object) {
    json::for_each_member(object, [&](std::string_view key, json::Value value) {
      const auto category = static_cast<int64_t>(categories.names.size());
      categories.names.emplace_back(key);
      try {
        json::for_each_element(
            json::get<json::Array>(value, "an array of names"), [&](json::Value name) {
              const auto got = json::get<std::string_view>(name, "a name");
              categories.of_object[std::string(got)] = category;
            });
      } catch (const json::Wrong& wrong) {
        faults.add(file, io::in_quotes(key), wrong.what());
      }
    });
  });
  std::vector<std::string> sorted = categories.names;
  std::sort(sorted.begin(), sorted.end());
  const auto repeated = std::adjacent_find(sorted.begin(), sorted.end());
  if (repeated != sorted.end()) {
    faults.add(file, io::in_quotes(*repeated), "expected one entry, got another");
  }
  return categories;
}

struct Picture {
  int64_t id = 0;
  std::vector<int64_t> categories;
};

// Pictures with at least one category, by number.
std::vector<Picture>
read_pictures(const fs::path& file, const Categories& categories, Faults& faults) {
  std::vector<Picture> pictures;
  for_each_picture(file, faults, [&](const VisualGenomePicture& found) {
    Picture picture{found.id, {}};
    for (const auto& names : found.objects) {
      const auto category = categories.of_object.find(plain_name(names.front()));
      if (category != categories.of_object.end()) {
        picture.categories.push_back(category->second);
      }
    }
    if (!picture.categories.empty()) {
      pictures.push_back(std::move(picture));
    }
  });
  std::sort(pictures.begin(), pictures.end(), [](const Picture& a, const Picture& b) {
    return a.id < b.id;
  });
  return pictures;
}

// The rows of one part, ascending.
std::vector<std::size_t> rows_of(std::size_t pictures, Part part) {
  std::vector<std::size_t> order(pictures);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::mt19937 engine(kSeed);
  legacy_shuffle(engine, order);
  const auto test = static_cast<std::ptrdiff_t>(
      std::nearbyint(kTestShare * static_cast<double>(pictures)));
  const auto middle = order.end() - test;
  order = part == Part::kTrain ? std::vector<std::size_t>(order.begin(), middle)
                               : std::vector<std::size_t>(middle, order.end());
  std::sort(order.begin(), order.end());
  return order;
}

}  // namespace

Split read_visual_genome_256(
    const fs::path& root,
    Part part,
    const VisualGenome256Options& options) {
  check_part("read_visual_genome_256", part, {Part::kTrain, Part::kTest});
  const fs::path objects =
      options.objects().empty() ? root / "objects.json" : options.objects();
  const fs::path groups =
      options.categories().empty() ? root / "vg256.json" : options.categories();
  const std::string_view part_name = to_string(part);
  Faults faults(fmt::format("VG-256 {}", part_name));
  const Categories categories = read_categories(groups, faults);
  const std::vector<Picture> pictures = read_pictures(objects, categories, faults);
  if (pictures.empty() && faults.count() == 0) {
    faults.add(objects, "", "expected pictures with categories, got none");
  }
  const std::vector<std::size_t> rows = rows_of(pictures.size(), part);

  Split split;
  split.name = fmt::format(
      "VG-{} {}, split of RandomState(1), {} pictures",
      categories.names.size(),
      part_name,
      rows.size());
  split.root = root;
  split.table.classnames = categories.names;
  // The file spells one of them wrongly.
  split.names_for_clip = names_in_words(categories.names, {{"carcpet", "carpet"}});
  const VisualGenomeFolders folders(root);
  const auto n_cls = static_cast<int64_t>(categories.names.size());
  split.table.labels =
      at::full({static_cast<int64_t>(rows.size()), n_cls}, -1, at::kChar);
  auto* row = split.table.labels.data_ptr<int8_t>();
  for (const std::size_t index : rows) {
    const Picture& picture = pictures[index];
    const std::string name = fmt::format("{}.jpg", picture.id);
    if (options.check_pictures() && !folders.has(name)) {
      faults.add(objects, name, "is neither in VG_100K nor in VG_100K_2");
    }
    split.table.images.push_back(folders.path_of(name));
    for (const int64_t category : picture.categories) {
      row[category] = 1;
    }
    row += n_cls;
  }
  faults.throw_if_any();
  validate(split);
  return split;
}

}  // namespace trmml::data
