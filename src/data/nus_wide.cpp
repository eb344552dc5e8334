#include "trmml/data/nus_wide.hpp"

#include "trmml/core/check.hpp"
#include "trmml/data/category_names.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "../io/quoted.hpp"
#include "faults.hpp"
#include "label_rows.hpp"
#include "list_file.hpp"
#include "nus_wide_lists.hpp"
#include "part_check.hpp"
#include "text_file.hpp"

namespace trmml::data {
namespace fs = std::filesystem;
namespace {

struct ListFacts {
  const char* name;
  std::size_t train;  // published sizes
  std::size_t test;
  const char* pictures;  // folder
};

ListFacts facts_of(NusWideList list) {
  switch (list) {
    case NusWideList::kRepublished:
      return {"re-published list", 119103, 50720, "."};
    case NusWideList::kRecrawled:
      return {"list of the re-crawl", 150000, 60260, "Flickr"};
    default:
      return {"official list", 161789, 107859, "Flickr"};
  }
}

std::vector<std::string>
read_concepts(const fs::path& root, const NusWideOptions& options, Faults& faults) {
  if (options.concepts().empty() && options.list() == NusWideList::kRepublished) {
    return nus_wide_concepts();
  }
  const fs::path file =
      options.concepts().empty() ? root / "Concepts81.txt" : options.concepts();
  std::vector<std::string> concepts = read_list(file, faults);
  check_unique(file, concepts, faults);
  for (std::size_t c = 0; c < concepts.size(); ++c) {
    // They become parts of file names.
    if (!concepts[c].empty() &&
        (!stays_inside(concepts[c]) || concepts[c].find('/') != std::string::npos)) {
      faults.add(
          file,
          line_place(c + 1),
          "expected the name of a concept, got " + io::in_quotes(concepts[c]));
      concepts[c].clear();
    }
  }
  return concepts;
}

NusWideRows read_rows(
    const fs::path& root,
    const NusWideOptions& options,
    bool train,
    const std::vector<std::string>& concepts,
    Faults& faults) {
  const auto or_default = [](const fs::path& given, const fs::path& otherwise) {
    return given.empty() ? otherwise : given;
  };
  if (options.list() == NusWideList::kRepublished) {
    return read_label_csv(
        or_default(options.image_list(), root / "nus_wid_data.csv"),
        train,
        concepts,
        faults);
  }
  const std::string part = train ? "Train" : "Test";
  return read_label_files(
      or_default(options.image_list(), root / "ImageList" / (part + "Imagelist.txt")),
      or_default(options.labels(), root / "TrainTestLabels"),
      part,
      concepts,
      faults);
}

}  // namespace

const std::vector<std::string>& nus_wide_concepts() {
  static const std::vector<std::string> concepts = {
      "airport",   "animal",     "beach",     "bear",     "birds",     "boats",
      "book",      "bridge",     "buildings", "cars",     "castle",    "cat",
      "cityscape", "clouds",     "computer",  "coral",    "cow",       "dancing",
      "dog",       "earthquake", "elk",       "fire",     "fish",      "flags",
      "flowers",   "food",       "fox",       "frost",    "garden",    "glacier",
      "grass",     "harbor",     "horses",    "house",    "lake",      "leaf",
      "map",       "military",   "moon",      "mountain", "nighttime", "ocean",
      "person",    "plane",      "plants",    "police",   "protest",   "railroad",
      "rainbow",   "reflection", "road",      "rocks",    "running",   "sand",
      "sign",      "sky",        "snow",      "soccer",   "sports",    "statue",
      "street",    "sun",        "sunset",    "surf",     "swimmers",  "tattoo",
      "temple",    "tiger",      "tower",     "town",     "toy",       "train",
      "tree",      "valley",     "vehicle",   "water",    "waterfall", "wedding",
      "whales",    "window",     "zebra"};
  return concepts;
}

Split read_nus_wide(const fs::path& root, Part part, const NusWideOptions& options) {
  check_part("read_nus_wide", part, {Part::kTrain, Part::kTest});
  const bool train = part == Part::kTrain;
  const ListFacts facts = facts_of(options.list());
  const std::string folder =
      options.pictures().empty() ? facts.pictures : options.pictures();
  TORCH_CHECK_VALUE(
      stays_inside(folder),
      "read_nus_wide: expected a folder of pictures below root, got \"",
      folder,
      "\"");
  Faults faults(fmt::format("NUS-WIDE {}", to_string(part)));
  Split split;
  split.root = root;
  split.table.classnames = read_concepts(root, options, faults);
  split.names_for_clip =
      names_in_words(split.table.classnames, {{"nighttime", "night time"}});
  const NusWideRows rows =
      read_rows(root, options, train, split.table.classnames, faults);
  PictureList pictures(root / folder, "", options.check_pictures());
  for (std::size_t i = 0; i < rows.pictures.size(); ++i) {
    if (!rows.pictures[i].empty()) {  // a fault already
      pictures.add(rows.pictures[i], rows.file, line_place(rows.lines[i]), faults);
    }
  }
  faults.throw_if_any();

  const std::size_t n_cls = split.table.classnames.size();
  const std::string prefix = folder == "." ? "" : folder + "/";
  std::vector<std::int8_t> kept;
  kept.reserve(rows.labels.size());
  for (std::size_t i = 0; i < rows.pictures.size(); ++i) {
    const auto begin = rows.labels.begin() + static_cast<std::ptrdiff_t>(i * n_cls);
    const auto end = begin + static_cast<std::ptrdiff_t>(n_cls);
    if (options.keep_unlabelled() || std::find(begin, end, 1) != end) {
      split.table.images.push_back(prefix + rows.pictures[i]);
      kept.insert(kept.end(), begin, end);
    }
  }
  const std::size_t left_out = rows.pictures.size() - split.table.images.size();
  const std::size_t published = train ? facts.train : facts.test;
  split.table.labels = label_tensor(kept, static_cast<int64_t>(n_cls));
  split.name = fmt::format(
      "NUS-WIDE {}, {}, {} pictures{}{}",
      train ? "train" : "test",
      facts.name,
      rows.pictures.size(),
      rows.pictures.size() == published ? "" : fmt::format(" instead of {}", published),
      options.keep_unlabelled()
          ? ""
          : fmt::format(", {} without a label left out", left_out));
  validate(split);
  return split;
}

}  // namespace trmml::data
