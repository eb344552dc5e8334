#include "trmml/data/nus_wide.hpp"

#include "trmml/core/check.hpp"
#include "trmml/data/faults.hpp"

#include <ATen/ops/empty.h>

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "../io/quoted.hpp"
#include "list_file.hpp"
#include "nus_wide_lists.hpp"
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

std::vector<std::string> read_concepts(const NusWideOptions& options, Faults& faults) {
  if (options.concepts().empty() && options.list() == NusWideList::kRepublished) {
    return nus_wide_concepts();
  }
  const fs::path file = options.concepts().empty() ? options.root() / "Concepts81.txt"
                                                   : options.concepts();
  std::vector<std::string> concepts = read_list(file, faults);
  check_unique(file, concepts, faults);
  for (std::size_t c = 0; c < concepts.size(); ++c) {
    // They become parts of file names.
    if (!concepts[c].empty() &&
        (!stays_inside(concepts[c]) || concepts[c].find('/') != std::string::npos)) {
      faults.add(
          file,
          line_of(c),
          "expected the name of a concept, got " + io::in_quotes(concepts[c]));
      concepts[c].clear();
    }
  }
  return concepts;
}

NusWideRows read_rows(
    const NusWideOptions& options,
    bool train,
    const std::vector<std::string>& concepts,
    Faults& faults) {
  const fs::path& root = options.root();
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

// Faults of the pictures' names, whatever list they come from.
void check_pictures(
    const NusWideRows& rows,
    const fs::path& folder,
    bool must_exist,
    Faults& faults) {
  std::vector<std::string> by_line;  // so that lines are counted as in the file
  for (std::size_t i = 0; i < rows.pictures.size(); ++i) {
    by_line.resize(rows.lines[i] + 1);
    by_line[rows.lines[i]] = rows.pictures[i];
  }
  check_inside(rows.file, by_line, faults);
  check_unique(rows.file, by_line, faults);
  if (!must_exist || faults.count() > 0) {
    return;
  }
  for (std::size_t line = 0; line < by_line.size(); ++line) {
    std::error_code error;
    if (!by_line[line].empty() && !fs::is_regular_file(folder / by_line[line], error)) {
      faults.add(
          rows.file,
          line_of(line),
          fmt::format(
              "there is no picture {} in {}",
              io::in_quotes(by_line[line]),
              folder.string()));
    }
  }
}

// Concepts as words.
std::vector<std::string> names_for_clip(std::vector<std::string> names) {
  for (std::string& name : names) {
    std::replace(name.begin(), name.end(), '_', ' ');
    if (name == "nighttime") {
      name = "night time";
    }
  }
  return names;
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

Split read_nus_wide(const NusWideOptions& options, NusWidePart part) {
  const bool train = part == NusWidePart::kTrain;
  const ListFacts facts = facts_of(options.list());
  const std::string folder =
      options.pictures().empty() ? facts.pictures : options.pictures();
  TORCH_CHECK_VALUE(
      stays_inside(folder),
      "read_nus_wide: expected a folder of pictures below root, got \"",
      folder,
      "\"");
  Faults faults(fmt::format("NUS-WIDE {}", train ? "train" : "test"));
  Split split;
  split.root = options.root();
  split.table.classnames = read_concepts(options, faults);
  split.names_for_clip = names_for_clip(split.table.classnames);
  const NusWideRows rows = read_rows(options, train, split.table.classnames, faults);
  check_pictures(rows, options.root() / folder, options.check_pictures(), faults);
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
  split.table.labels = at::empty(
      {static_cast<int64_t>(split.table.images.size()), static_cast<int64_t>(n_cls)},
      at::kChar);
  std::copy(kept.begin(), kept.end(), split.table.labels.data_ptr<int8_t>());
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
