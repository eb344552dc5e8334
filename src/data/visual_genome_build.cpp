#include "trmml/core/check.hpp"
#include "trmml/core/error.hpp"
#include "trmml/core/random.hpp"
#include "trmml/data/visual_genome.hpp"
#include "trmml/io/atomic_file.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <random>
#include <unordered_map>

#include "../io/text.hpp"
#include "faults.hpp"
#include "list_file.hpp"
#include "text_file.hpp"
#include "visual_genome_files.hpp"

namespace trmml::data {
namespace fs = std::filesystem;
namespace {

// Lower case and single blanks; what is no letter or mark counts as a blank.
std::string normalised(std::string_view name) {
  std::string result;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > ' ' && byte != 0x7f) {
      result += io::ascii_lower(c);
    } else if (!result.empty() && result.back() != ' ') {
      result += ' ';
    }
  }
  if (result.ends_with(' ')) {
    result.pop_back();
  }
  return result;
}

using Aliases = std::unordered_map<std::string, std::string>;

// Name -> the name that stands for it.
Aliases read_aliases(const fs::path& file, Faults& faults) {
  Aliases aliases;
  if (file.empty()) {
    return aliases;
  }
  const std::vector<std::string> lines = read_list(file, faults);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::string canonical;
    std::string_view rest = lines[i];
    for (bool first = true; first || !rest.empty(); first = false) {
      const std::size_t comma = rest.find(',');
      const std::string name = normalised(rest.substr(0, comma));
      rest = comma == std::string_view::npos ? "" : rest.substr(comma + 1);
      if (first) {
        const auto known = aliases.find(name);
        canonical = known == aliases.end() ? name : known->second;
        if (canonical.empty() && !lines[i].empty()) {
          faults.add(
              file,
              line_place(i + 1),
              "expected a name in front of the first comma, got none");
          break;
        }
      }
      if (!name.empty()) {
        aliases.emplace(name, canonical);
      }
    }
  }
  return aliases;
}

// Which names every picture has.
struct Annotations {
  std::vector<std::string> names;                                  // number -> name
  std::vector<int64_t> counts;                                     // number -> pictures
  std::vector<std::pair<int64_t, std::vector<int32_t>>> pictures;  // id, numbers
};

Annotations
read_annotations(const fs::path& file, const Aliases& aliases, Faults& faults) {
  Annotations annotations;
  std::unordered_map<std::string, int32_t> numbers;
  for_each_picture(file, faults, [&](const VisualGenomePicture& picture) {
    std::vector<int32_t> found;
    for (const auto& object : picture.objects) {
      for (const std::string_view raw : object) {
        std::string name = normalised(raw);
        if (const auto alias = aliases.find(name); alias != aliases.end()) {
          name = alias->second;
        }
        if (name.empty()) {
          continue;
        }
        const auto [entry, is_new] =
            numbers.emplace(name, static_cast<int32_t>(annotations.names.size()));
        if (is_new) {
          annotations.names.push_back(name);
          annotations.counts.push_back(0);
        }
        found.push_back(entry->second);
      }
    }
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    found.shrink_to_fit();
    for (const int32_t number : found) {
      ++annotations.counts[static_cast<std::size_t>(number)];
    }
    annotations.pictures.emplace_back(picture.id, std::move(found));
  });
  std::sort(annotations.pictures.begin(), annotations.pictures.end());
  return annotations;
}

// The numbers of the `n_cls` most frequent names, most frequent first.
std::vector<int32_t> most_frequent(const Annotations& annotations, int64_t n_cls) {
  std::vector<int32_t> order(annotations.names.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    order[i] = static_cast<int32_t>(i);
  }
  std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    const auto i = static_cast<std::size_t>(a);
    const auto j = static_cast<std::size_t>(b);
    return annotations.counts[i] != annotations.counts[j]
               ? annotations.counts[i] > annotations.counts[j]
               : annotations.names[i] < annotations.names[j];
  });
  order.resize(static_cast<std::size_t>(n_cls));
  return order;
}

struct Labelled {
  std::string name;
  std::vector<int64_t> categories;  // ascending
};

// Which of the pictures, by index, are for the test.
std::vector<bool> draw_test(std::size_t pictures, std::size_t test, uint32_t seed) {
  std::vector<std::size_t> order(pictures);
  for (std::size_t i = 0; i < pictures; ++i) {
    order[i] = i;
  }
  std::mt19937 engine(seed);
  legacy_shuffle(engine, order);
  std::vector<bool> is_test(pictures, false);
  for (std::size_t i = 0; i < test; ++i) {
    is_test[order[i]] = true;
  }
  return is_test;
}

void write_list(
    const fs::path& file,
    const std::vector<Labelled>& pictures,
    const std::vector<bool>& is_test,
    bool test) {
  std::string text;
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    if (is_test[i] == test) {
      text += pictures[i].name + "\n";
    }
  }
  io::write_file_atomically(file, text);
}

void write_index(const fs::path& file, const std::vector<Labelled>& pictures) {
  io::AtomicFile out(file);
  const char* separator = "{\n";
  for (const Labelled& picture : pictures) {
    out.write(fmt::format(
        "{}{}: [{}]",
        separator,
        nlohmann::json(picture.name).dump(),
        fmt::join(picture.categories, ", ")));
    separator = ",\n";
  }
  out.write("\n}\n");
  out.commit();
}

void check(const VisualGenomeBuildOptions& options) {
  TORCH_CHECK_VALUE(
      options.n_cls() > 0,
      "build_visual_genome: expected n_cls > 0, got ",
      options.n_cls());
  TORCH_CHECK_VALUE(
      options.test_size() > 0,
      "build_visual_genome: expected test_size > 0, got ",
      options.test_size());
  TORCH_CHECK_VALUE(
      options.test_share() >= 0 && options.test_share() < 1,
      "build_visual_genome: expected test_share in [0, 1), got ",
      options.test_share());
}

void refuse_to_replace(const VisualGenomeLists& lists) {
  for (const fs::path& file :
       {lists.train, lists.test, lists.index, lists.names, lists.built}) {
    std::error_code error;
    if (fs::exists(fs::symlink_status(file, error))) {
      throw DataError(
          file.string() +
          ": is there already (the published lists are hard to get: build into another "
          "folder, or ask for overwriting)");
    }
  }
}

std::size_t test_size(const VisualGenomeBuildOptions& options, std::size_t pictures) {
  const auto n = static_cast<double>(pictures);
  const double test = options.test_share() > 0
                          ? std::nearbyint(options.test_share() * n)
                          : static_cast<double>(options.test_size());
  if (test < 1 || test >= n) {
    throw DataError(fmt::format(
        "{}: expected more than {} pictures, the size of the test set (and 1 or more "
        "there), got {}",
        options.objects().string(),
        test,
        pictures));
  }
  return static_cast<std::size_t>(test);
}

}  // namespace

VisualGenomeBuild build_visual_genome(const VisualGenomeBuildOptions& options) {
  check(options);
  const VisualGenomeLists lists(options.out(), options.n_cls());
  if (!options.overwrite()) {
    refuse_to_replace(lists);
  }
  Faults faults("Visual Genome");
  const Aliases aliases = read_aliases(options.aliases(), faults);
  const Annotations annotations = read_annotations(options.objects(), aliases, faults);
  faults.throw_if_any();
  if (static_cast<int64_t>(annotations.names.size()) < options.n_cls()) {
    throw DataError(fmt::format(
        "{}: expected {} different names or more, got {} (ask for fewer categories)",
        options.objects().string(),
        options.n_cls(),
        annotations.names.size()));
  }

  VisualGenomeBuild build;
  build.names = static_cast<int64_t>(annotations.names.size());
  std::vector<int64_t> category_of(annotations.names.size(), -1);
  std::string names;
  for (const int32_t number : most_frequent(annotations, options.n_cls())) {
    const auto i = static_cast<std::size_t>(number);
    category_of[i] = static_cast<int64_t>(build.categories.size());
    build.categories.emplace_back(annotations.names[i], annotations.counts[i]);
    names += annotations.names[i] + "\n";
  }
  std::vector<Labelled> pictures;
  for (const auto& [id, numbers] : annotations.pictures) {
    Labelled picture{fmt::format("{}.jpg", id), {}};
    for (const int32_t number : numbers) {
      const int64_t category = category_of[static_cast<std::size_t>(number)];
      if (category >= 0) {
        picture.categories.push_back(category);
      }
    }
    std::sort(picture.categories.begin(), picture.categories.end());
    build.unlabelled += picture.categories.empty() ? 1 : 0;
    if (!picture.categories.empty() || options.keep_unlabelled()) {
      pictures.push_back(std::move(picture));
    }
  }
  const std::size_t test = test_size(options, pictures.size());
  const std::vector<bool> is_test = draw_test(pictures.size(), test, options.seed());
  build.test = static_cast<int64_t>(test);
  build.train = static_cast<int64_t>(pictures.size() - test);
  build.description = fmt::format(
      "lists built from {} ({}, {}/{} pictures{}, seed {})",
      options.objects().filename().string(),
      options.aliases().empty() ? "no aliases" : "with aliases",
      build.train,
      build.test,
      options.keep_unlabelled() ? "" : ", without those that have no label",
      options.seed());

  // The description first and the training list last: lists are never without the one,
  // and never complete before the other.
  io::write_file_atomically(lists.built, build.description + "\n");
  io::write_file_atomically(lists.names, names);
  write_index(lists.index, pictures);
  write_list(lists.test, pictures, is_test, true);
  write_list(lists.train, pictures, is_test, false);
  return build;
}

}  // namespace trmml::data
