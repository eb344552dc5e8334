#include "trmml/data/visual_genome.hpp"

#include "trmml/core/check.hpp"

#include <ATen/ops/full.h>

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "../io/quoted.hpp"
#include "faults.hpp"
#include "json_text.hpp"
#include "label_rows.hpp"
#include "list_file.hpp"
#include "part_check.hpp"
#include "text_file.hpp"
#include "visual_genome_files.hpp"

namespace trmml::data {
namespace fs = std::filesystem;
namespace {

// Sizes of the published lists.
constexpr std::size_t kTrainPictures = 98249;
constexpr std::size_t kTestPictures = 10000;

using Index = std::unordered_map<std::string, std::vector<int64_t>>;

// The categories of one picture.
std::vector<int64_t> read_categories(
    json::Array array,
    const VisualGenomeOptions& options) {
  std::vector<int64_t> categories;
  json::for_each_element(array, [&](json::Value element) {
    const auto category = json::get<int64_t>(
        element, fmt::format("a category from 0 to {}", options.n_cls() - 1));
    if (category < 0 || category >= options.n_cls()) {
      throw json::Wrong(fmt::format(
          "expected a category from 0 to {}, got {}", options.n_cls() - 1, category));
    }
    categories.push_back(category);
  });
  std::sort(categories.begin(), categories.end());
  const auto repeated = std::adjacent_find(categories.begin(), categories.end());
  if (repeated != categories.end() && !options.allow_repeated()) {
    throw json::Wrong(fmt::format(
        "expected every category once, got {} twice (allow_repeated takes it as "
        "present)",
        *repeated));
  }
  return categories;
}

Index read_index(
    const fs::path& file,
    const VisualGenomeOptions& options,
    Faults& faults) {
  Index index;
  json::read_object(file, faults, [&](json::Object object) {
    json::for_each_member(object, [&](std::string_view key, json::Value value) {
      const auto [entry, is_new] = index.emplace(key, std::vector<int64_t>());
      if (!is_new) {
        faults.add(file, io::in_quotes(key), "expected one entry, got another");
        return;
      }
      try {
        entry->second = read_categories(
            json::get<json::Array>(value, "an array of categories"), options);
      } catch (const json::Wrong& wrong) {
        faults.add(file, io::in_quotes(key), wrong.what());
      }
    });
  });
  return index;
}

std::vector<std::string> read_category_names(
    const fs::path& file,
    const VisualGenomeOptions& options,
    Faults& faults) {
  const auto n_cls = static_cast<std::size_t>(options.n_cls());
  std::vector<std::string> names;
  if (options.unnamed()) {
    for (std::size_t c = 0; c < n_cls; ++c) {
      names.push_back(fmt::format("category {}", c));
    }
    return names;
  }
  std::error_code error;
  if (!fs::exists(file, error)) {
    faults.add(
        file,
        "",
        fmt::format(
            "expected the names of the {} categories, which prompts need, one a line; "
            "there is no such file (the published lists come without: write one, or "
            "build the lists, or take unnamed categories for methods without prompts)",
            n_cls));
    return names;
  }
  names = read_list(file, faults);
  check_unique(file, names, faults);
  if (!names.empty() && names.size() != n_cls) {
    faults.add(file, "", fmt::format("expected {} names, got {}", n_cls, names.size()));
  }
  return names;
}

// Says which lists these are, so that results on different ones are never mixed.
std::string describe(
    const VisualGenomeLists& lists,
    const VisualGenomeOptions& options,
    Part part,
    std::size_t pictures,
    Faults& faults) {
  const std::size_t published = part == Part::kTrain ? kTrainPictures : kTestPictures;
  std::string kind = "published lists";
  std::error_code error;
  if (fs::exists(lists.built, error)) {
    const std::vector<std::string> lines = read_list(lists.built, faults);
    kind = lines.empty() ? "" : lines.front();
  } else if (pictures != published) {
    kind = fmt::format("lists of other sizes than the published {}", published);
  }
  return fmt::format(
      "VG-{} {}, {}, {} pictures", options.n_cls(), to_string(part), kind, pictures);
}

}  // namespace

Split read_visual_genome(
    const fs::path& root,
    Part part,
    const VisualGenomeOptions& options) {
  check_part("read_visual_genome", part, {Part::kTrain, Part::kTest});
  TORCH_CHECK_VALUE(
      options.n_cls() > 0,
      "read_visual_genome: expected n_cls > 0, got ",
      options.n_cls());
  const VisualGenomeLists lists(
      options.lists().empty() ? root : options.lists(), options.n_cls());
  const fs::path& list = part == Part::kTrain ? lists.train : lists.test;
  const fs::path names = options.names().empty() ? lists.names : options.names();

  Faults faults(fmt::format("VG-{}", options.n_cls()));
  Split split;
  split.root = root;
  split.table.classnames = read_category_names(names, options, faults);
  split.names_for_clip = split.table.classnames;
  const std::vector<std::string> pictures = read_list(list, faults);
  const Index index = read_index(lists.index, options, faults);
  split.name = describe(lists, options, part, pictures.size(), faults);

  const VisualGenomeFolders folders(root);
  split.table.labels =
      at::full({static_cast<int64_t>(pictures.size()), options.n_cls()}, -1, at::kChar);
  auto* row = split.table.labels.data_ptr<int8_t>();
  PictureList known("", "", false);
  for (std::size_t i = 0; i < pictures.size(); ++i, row += options.n_cls()) {
    const std::string& picture = pictures[i];
    if (picture.empty() || !known.add(picture, list, line_place(i + 1), faults)) {
      continue;  // a fault already
    }
    const auto entry = index.find(picture);
    if (entry == index.end()) {
      faults.add(
          list,
          line_place(i + 1),
          fmt::format(
              "{} has no labels in {}",
              io::in_quotes(picture),
              lists.index.filename().string()));
      continue;
    }
    for (const int64_t category : entry->second) {
      row[category] = 1;
    }
    if (options.check_pictures() && !folders.has(picture)) {
      faults.add(
          list,
          line_place(i + 1),
          io::in_quotes(picture) + " is neither in VG_100K nor in VG_100K_2");
    }
    split.table.images.push_back(folders.path_of(picture));
  }
  faults.throw_if_any();
  validate(split);
  return split;
}

}  // namespace trmml::data
