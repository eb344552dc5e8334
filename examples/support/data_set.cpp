#include "support/data_set.hpp"

#include "trmml/core/error.hpp"
#include "trmml/data/coco.hpp"
#include "trmml/data/csv.hpp"
#include "trmml/data/cub.hpp"
#include "trmml/data/folder.hpp"
#include "trmml/data/nus_wide.hpp"
#include "trmml/data/visual_genome.hpp"
#include "trmml/data/voc.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <system_error>

#include "support/program.hpp"

namespace data_set {

namespace data = trmml::data;
namespace fs = std::filesystem;
using data::Split;

namespace {

using Words = std::vector<std::string>;

// ---------------------------------------------------------------- the readers

// The command line has been checked; an empty word is one that was not given.
template <typename Value>
Value word_of(const std::map<std::string, Value>& values, const std::string& word) {
  return values.at(word);
}
template <typename Value>
Value word_of(
    const std::map<std::string, Value>& values,
    const std::string& word,
    Value otherwise) {
  return word.empty() ? otherwise : values.at(word);
}

const std::map<std::string, data::CocoImages> kCocoImages = {
    {"annotated", data::CocoImages::kAnnotated},
    {"all", data::CocoImages::kAll}};
const std::map<std::string, data::CocoOrder> kCocoOrders = {
    {"images", data::CocoOrder::kImages},
    {"annotations", data::CocoOrder::kAnnotations},
    {"id-as-text", data::CocoOrder::kIdAsText}};
const std::map<std::string, data::VocDifficult> kDifficult = {
    {"skipped", data::VocDifficult::kSkipped},
    {"present", data::VocDifficult::kPresent},
    {"ignored", data::VocDifficult::kIgnored}};
const std::map<std::string, data::NusWideList> kNusLists = {
    {"official", data::NusWideList::kOfficial},
    {"republished", data::NusWideList::kRepublished},
    {"recrawled", data::NusWideList::kRecrawled}};

// Own data: which file or folder holds the part.
const std::string& source_of(const Options& o, Part part) {
  return part == Part::kTrain ? o.data : o.test_data;
}

Split read_coco(const Options& o, Part part, int64_t year) {
  data::CocoOptions options;
  options.year(year)
      .images(word_of(kCocoImages, o.images, options.images()))
      .order(word_of(kCocoOrders, o.order));
  options.check_pictures(o.check_pictures);
  if (o.synonyms) {
    options.synonyms(data::coco_synonyms());
  }
  return data::read_coco(o.data, part == Part::kTrain ? part : Part::kVal, options);
}

Split read_coco_json(const Options& o, Part part) {
  const std::string file = source_of(o, part);
  data::CocoJsonOptions options;
  options.images(word_of(kCocoImages, o.images, options.images()))
      .order(word_of(kCocoOrders, o.order));
  options.check_pictures(o.check_pictures);
  const auto folder = fs::path(file).parent_path();
  return data::read_coco_json(
      file, o.pictures.empty() ? folder : fs::path(o.pictures), options);
}

Split read_voc(const Options& o, Part part, int year) {
  const Part train = year == 2007 ? Part::kTrainVal : Part::kTrain;
  const Part test = year == 2007 ? Part::kTest : Part::kVal;
  const auto options =
      data::VocOptions()
          .year(year)
          .difficult(word_of(kDifficult, o.difficult))
          .names(o.synonyms ? data::VocNames::kSynonyms : data::VocNames::kWords)
          .check_pictures(o.check_pictures);
  return data::read_voc(o.data, part == Part::kTrain ? train : test, options);
}

Split read_vg200(const Options& o, Part part) {
  data::VisualGenomeOptions options;
  options.check_pictures(o.check_pictures);
  if (!o.label_lists.empty()) {
    options.lists(o.label_lists);
  }
  if (!o.category_names.empty()) {
    options.names(o.category_names);
  }
  return data::read_visual_genome(o.data, part, options);
}

Split read_vg256(const Options& o, Part part) {
  return data::read_visual_genome_256(
      o.data, part, data::VisualGenome256Options().check_pictures(o.check_pictures));
}

Split read_nus_wide(const Options& o, Part part) {
  data::NusWideOptions options;
  options.list(word_of(kNusLists, o.list)).check_pictures(o.check_pictures);
  if (!o.label_lists.empty()) {
    const fs::path lists = o.label_lists;
    const bool is_csv = options.list() == data::NusWideList::kRepublished;
    const fs::path file = is_csv ? "nus_wid_data.csv"
                                 : fmt::format(
                                       "ImageList/{}Imagelist.txt",
                                       part == Part::kTrain ? "Train" : "Test");
    options.image_list(lists / file).labels(lists / "TrainTestLabels");
  }
  return data::read_nus_wide(o.data, part, options);
}

Split read_cub(const Options& o, Part part) {
  return data::read_cub(
      o.data,
      part,
      data::CubOptions()
          .min_certainty(o.min_certainty)
          .check_pictures(o.check_pictures));
}

Split read_csv(const Options& o, Part part) {
  data::CsvOptions options;
  options.separator = o.separator.front();
  if (!o.values.empty()) {
    options.values = data::parse_label_code(o.values);
  }
  options.names_file = o.category_names;
  options.pictures = o.pictures;
  options.check_pictures = o.check_pictures;
  return data::read_csv(source_of(o, part), options);
}

// ---------------------------------------------------------------- the families

// A data set, and which of the options below it has. Own data alone have --test-data.
struct DataSet {
  std::string name;
  std::function<Split(const Options&, Part)> read;
  Words options;
  bool is_file = false;    // whether --data is a file
  bool has_sizes = false;  // of objects, always

  bool has(const std::string& flag) const {
    return std::find(options.begin(), options.end(), flag) != options.end();
  }
};

const std::vector<DataSet>& all() {
  static const Words coco = {"--images", "--order", "--synonyms", "--check-pictures"};
  static const Words voc = {"--difficult", "--synonyms", "--check-pictures"};
  static const std::vector<DataSet> sets = {
      {"coco2014",
       [](auto& o, Part p) { return read_coco(o, p, 2014); },
       coco,
       /*is_file=*/false,
       /*has_sizes=*/true},
      {"coco2017",
       [](auto& o, Part p) { return read_coco(o, p, 2017); },
       coco,
       /*is_file=*/false,
       /*has_sizes=*/true},
      {"voc2007",
       [](auto& o, Part p) { return read_voc(o, p, 2007); },
       voc,
       /*is_file=*/false,
       /*has_sizes=*/true},
      {"voc2012",
       [](auto& o, Part p) { return read_voc(o, p, 2012); },
       voc,
       /*is_file=*/false,
       /*has_sizes=*/true},
      {"vg200", read_vg200, {"--label-lists", "--category-names", "--check-pictures"}},
      {"vg256", read_vg256, {"--check-pictures"}},
      {"nus-wide", read_nus_wide, {"--list", "--label-lists", "--check-pictures"}},
      {"cub", read_cub, {"--min-certainty", "--check-pictures"}},
      {"coco-json",
       read_coco_json,
       {"--test-data", "--images", "--order", "--pictures", "--check-pictures"},
       true},
      {"csv",
       read_csv,
       {"--test-data",
        "--pictures",
        "--values",
        "--separator",
        "--category-names",
        "--check-pictures"},
       true},
      {"folder",
       [](auto& o, Part p) { return data::read_folder(source_of(o, p)); },
       {"--test-data"}}};
  return sets;
}

const DataSet& find(const std::string& name) {
  static const DataSet scenes = {kScenes, {}, {}};
  if (name == kScenes) {
    return scenes;
  }
  const auto found = std::find_if(
      all().begin(), all().end(), [&](const DataSet& set) { return set.name == name; });
  if (found == all().end()) {
    throw program::UsageError(fmt::format("--dataset: unknown \"{}\"", name));
  }
  return *found;
}

// As CLI::IsMember, or nothing, which a config.toml says of an option not given.
CLI::Validator one_of(const Words& words, bool or_none) {
  const std::string choices = fmt::format("{{{}}}", fmt::join(words, ","));
  return CLI::Validator(
      [words, choices, or_none](const std::string& text) {
        const bool is_known =
            text.empty() ? or_none
                         : std::find(words.begin(), words.end(), text) != words.end();
        return is_known ? "" : fmt::format("expected one of {}, got {}", choices, text);
      },
      choices);
}

template <typename Value>
Words words_of(const std::map<std::string, Value>& values) {
  Words words;
  for (const auto& [word, value] : values) {
    words.push_back(word);
  }
  return words;
}

}  // namespace

const std::vector<std::string>& names() {
  static const Words words = [] {
    Words found;
    for (const DataSet& set : all()) {
      found.push_back(set.name);
    }
    return found;
  }();
  return words;
}

void add_options(
    CLI::App& app,
    Options& o,
    const std::vector<std::string>& choices,
    bool required) {
  const auto has = [&choices](const std::string& flag) {
    return std::any_of(choices.begin(), choices.end(), [&](const std::string& name) {
      return find(name).has(flag);
    });
  };
  const auto add = [&](const std::string& flag, auto& value, const std::string& text) {
    return has(flag) ? app.add_option(flag, value, text) : nullptr;
  };
  const auto add_word = [&](const std::string& flag,
                            std::string& value,
                            const std::string& text,
                            const Words& words) {
    if (CLI::Option* option = add(flag, value, text)) {
      option->check(one_of(words, /*or_none=*/value.empty()));
    }
  };
  if (choices.size() > 1) {
    app.add_option("--dataset", o.name, "Which data set")
        ->required(required)
        ->check(CLI::IsMember(choices));
  } else {
    o.name = choices.front();
  }
  app.add_option(
         "--data", o.data, "Its folder; coco-json, csv: the file of the training part")
      ->required(required);
  add("--test-data", o.test_data, "Own data: file or folder of the test part");
  add("--pictures", o.pictures, "Own data: folder of the pictures");
  add_word(
      "--images",
      o.images,
      "COCO: which pictures (default: annotated; coco-json: all)",
      words_of(kCocoImages));
  add_word("--order", o.order, "COCO: order of the rows", words_of(kCocoOrders));
  add_word("--difficult", o.difficult, "VOC: difficult objects", words_of(kDifficult));
  add_word("--list", o.list, "NUS-WIDE: which list", words_of(kNusLists));
  add("--label-lists", o.label_lists, "VG-200, NUS-WIDE: folder of the lists");
  add("--category-names", o.category_names, "File of the categories, one a line");
  if (CLI::Option* option =
          add("--min-certainty",
              o.min_certainty,
              "CUB: labels below are unknown, 1 to 4")) {
    option->check(CLI::Range(1, 4));
  }
  add_word(
      "--values",
      o.values,
      "CSV, a column a category: what the numbers mean; hcp is 1 present, -1 absent, 0 "
      "unknown, dualcoop 1, 0, -1, cole-complete 1, 0",
      {"hcp", "dualcoop", "cole", "cole-complete", "splc"});
  add_word("--separator", o.separator, "CSV: between two labels", {";", "|"});
  if (has("--synonyms")) {
    app.add_flag("--synonyms", o.synonyms, "Better-known words in prompts (ours)");
  }
  if (has("--check-pictures")) {
    app.add_flag("--check-pictures", o.check_pictures, "Every picture must be there");
  }
}

void check(const CLI::App& app, const Options& options) {
  if (!options.name.empty() && options.name != kScenes && options.data.empty()) {
    throw program::UsageError("--data: expected where the data set is, got nothing");
  }
  const DataSet own = options.name.empty() ? DataSet{} : find(options.name);
  const std::string refusal =
      options.name.empty()
          ? "belongs to --dataset, which is not given"
          : fmt::format("{} does not have it, so it would change nothing", own.name);
  Words flags;
  for (const DataSet& set : all()) {
    flags.insert(flags.end(), set.options.begin(), set.options.end());
  }
  if (options.name.empty()) {
    flags.emplace_back("--data");
  }
  for (const std::string& flag : flags) {
    if (program::is_given(app, flag) && !own.has(flag)) {
      throw program::UsageError(flag + ": " + refusal);
    }
  }
}

bool has_part(const Options& options, Part part) {
  return part == Part::kTrain || !find(options.name).has("--test-data") ||
         !options.test_data.empty();
}

bool has_sizes(const std::string& name) {
  return find(name).has_sizes;
}

Split read(const Options& options, Part part) {
  const DataSet& set = find(options.name);
  if (!has_part(options, part)) {
    throw program::UsageError(fmt::format(
        "--test-data: expected the test part of {}, got nothing", options.data));
  }
  const bool is_test = part == Part::kTest && set.has("--test-data");
  const std::string& source = is_test ? options.test_data : options.data;
  std::error_code error;
  if (set.is_file ? !fs::is_regular_file(source, error)
                  : !fs::is_directory(source, error)) {
    throw trmml::DataError(fmt::format(
        "{}: expected the {} of {}, got \"{}\", which {}",
        is_test ? "--test-data" : "--data",
        set.is_file ? "file" : "folder",
        set.name,
        source,
        !fs::exists(source, error) ? "is not there"
        : set.is_file              ? "is no file"
                                   : "is no folder"));
  }
  return set.read(options, part);
}

}  // namespace data_set
