#include "support/data_set.hpp"

#include "trmml/data/coco.hpp"
#include "trmml/data/csv.hpp"
#include "trmml/data/cub.hpp"
#include "trmml/data/folder.hpp"
#include "trmml/data/nus_wide.hpp"
#include "trmml/data/visual_genome.hpp"
#include "trmml/data/voc.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>

#include "support/program.hpp"

namespace data_set {

namespace data = trmml::data;
using data::Split;

namespace {

using Words = std::vector<std::string>;

// ---------------------------------------------------------------- the readers

template <typename Value>
Value word_of(const std::map<std::string, Value>& values, const std::string& word) {
  return values.at(word);  // the command line has been checked
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
const std::map<std::string, data::CsvValues> kCsvValues = {
    {"1/-1/0", data::CsvValues::kPlusMinusZero},
    {"1/0/-1", data::CsvValues::kOneZeroMinus},
    {"1/0", data::CsvValues::kOneZero}};

// Own data: which file or folder holds the part.
std::string source_of(const Options& o, Part part) {
  if (part == Part::kTrain) {
    return o.data;
  }
  if (o.test_data.empty()) {
    throw program::UsageError(
        fmt::format("--test-data: expected the test part of {}, got nothing", o.data));
  }
  return o.test_data;
}

Split read_coco(const Options& o, Part part, int64_t year) {
  data::CocoOptions options;
  options.year(year).part(
      part == Part::kTrain ? data::CocoPart::kTrain : data::CocoPart::kVal);
  options.images(word_of(kCocoImages, o.images)).order(word_of(kCocoOrders, o.order));
  options.check_pictures(o.check_pictures);
  if (o.synonyms) {
    options.synonyms(data::coco_synonyms());
  }
  return data::read_coco(o.data, options);
}

Split read_coco_json(const Options& o, Part part) {
  const std::string file = source_of(o, part);
  data::CocoJsonOptions options;
  options.images(word_of(kCocoImages, o.images)).order(word_of(kCocoOrders, o.order));
  options.check_pictures(o.check_pictures);
  const auto folder = std::filesystem::path(file).parent_path();
  return data::read_coco_json(
      file, o.pictures.empty() ? folder : std::filesystem::path(o.pictures), options);
}

Split read_voc(const Options& o, Part part, int year) {
  data::VocOptions options;
  options.year = year;
  options.part = year == 2007 ? (part == Part::kTrain ? "trainval" : "test")
                              : (part == Part::kTrain ? "train" : "val");
  options.difficult = word_of(kDifficult, o.difficult);
  options.names = o.synonyms ? data::VocNames::kSynonyms : data::VocNames::kWords;
  options.check_pictures = o.check_pictures;
  return data::read_voc(o.data, options);
}

data::VisualGenomePart vg_part(Part part) {
  return part == Part::kTrain ? data::VisualGenomePart::kTrain
                              : data::VisualGenomePart::kTest;
}

Split read_vg200(const Options& o, Part part) {
  data::VisualGenomeOptions options(o.data);
  options.check_pictures(o.check_pictures);
  if (!o.label_lists.empty()) {
    options.lists(o.label_lists);
  }
  if (!o.category_names.empty()) {
    options.names(o.category_names);
  }
  return data::read_visual_genome(options, vg_part(part));
}

Split read_vg256(const Options& o, Part part) {
  return data::read_visual_genome_256(
      data::VisualGenome256Options(o.data).check_pictures(o.check_pictures),
      vg_part(part));
}

Split read_nus_wide(const Options& o, Part part) {
  return data::read_nus_wide(
      data::NusWideOptions(o.data)
          .list(word_of(kNusLists, o.list))
          .check_pictures(o.check_pictures),
      part == Part::kTrain ? data::NusWidePart::kTrain : data::NusWidePart::kTest);
}

Split read_cub(const Options& o, Part part) {
  data::CubOptions options;
  options.part = part == Part::kTrain ? "train" : "test";
  options.min_certainty = o.min_certainty;
  options.check_pictures = o.check_pictures;
  return data::read_cub(o.data, options);
}

Split read_csv(const Options& o, Part part) {
  data::CsvOptions options;
  options.separator = o.separator.front();
  if (!o.values.empty()) {
    options.values = word_of(kCsvValues, o.values);
  }
  options.names_file = o.category_names;
  options.pictures = o.pictures;
  options.check_pictures = o.check_pictures;
  return data::read_csv(source_of(o, part), options);
}

// ---------------------------------------------------------------- the families

// A data set, and which of the options below it has.
struct DataSet {
  std::string name;
  std::function<Split(const Options&, Part)> read;
  Words options;
};

const std::vector<DataSet>& all() {
  static const Words coco = {"--images", "--order", "--synonyms", "--check-pictures"};
  static const Words voc = {"--difficult", "--synonyms", "--check-pictures"};
  static const std::vector<DataSet> sets = {
      {"coco2014", [](auto& o, Part p) { return read_coco(o, p, 2014); }, coco},
      {"coco2017", [](auto& o, Part p) { return read_coco(o, p, 2017); }, coco},
      {"voc2007", [](auto& o, Part p) { return read_voc(o, p, 2007); }, voc},
      {"voc2012", [](auto& o, Part p) { return read_voc(o, p, 2012); }, voc},
      {"vg200", read_vg200, {"--label-lists", "--category-names", "--check-pictures"}},
      {"vg256", read_vg256, {"--check-pictures"}},
      {"nus-wide", read_nus_wide, {"--list", "--check-pictures"}},
      {"cub", read_cub, {"--min-certainty", "--check-pictures"}},
      {"coco-json",
       read_coco_json,
       {"--test-data", "--images", "--order", "--pictures", "--check-pictures"}},
      {"csv",
       read_csv,
       {"--test-data",
        "--pictures",
        "--values",
        "--separator",
        "--category-names",
        "--check-pictures"}},
      {"folder",
       [](auto& o, Part p) { return data::read_folder(source_of(o, p)); },
       {"--test-data"}}};
  return sets;
}

const DataSet& find(const std::string& name) {
  const auto found = std::find_if(
      all().begin(), all().end(), [&](const DataSet& set) { return set.name == name; });
  if (found == all().end()) {
    throw program::UsageError(fmt::format("--dataset: unknown \"{}\"", name));
  }
  return *found;
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
      const Words& flags = find(name).options;
      return std::find(flags.begin(), flags.end(), flag) != flags.end();
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
      option->check(CLI::IsMember(words));
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
  add_word("--images", o.images, "COCO: which pictures", words_of(kCocoImages));
  add_word("--order", o.order, "COCO: order of the rows", words_of(kCocoOrders));
  add_word("--difficult", o.difficult, "VOC: difficult objects", words_of(kDifficult));
  add_word("--list", o.list, "NUS-WIDE: which list", words_of(kNusLists));
  add("--label-lists", o.label_lists, "VG-200: folder of the lists");
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
      "CSV, a column a category: codes of present/absent/unknown",
      words_of(kCsvValues));
  add_word("--separator", o.separator, "CSV: between two labels", {";", "|"});
  if (has("--synonyms")) {
    app.add_flag("--synonyms", o.synonyms, "Better-known words in prompts (ours)");
  }
  if (has("--check-pictures")) {
    app.add_flag("--check-pictures", o.check_pictures, "Every picture must be there");
  }
}

void check(const CLI::App& app, const Options& options) {
  const Words& own = find(options.name).options;
  for (const DataSet& set : all()) {
    for (const std::string& flag : set.options) {
      const CLI::Option* option = app.get_option_no_throw(flag);
      const bool is_own = std::find(own.begin(), own.end(), flag) != own.end();
      if (option != nullptr && option->count() > 0 && !is_own) {
        throw program::UsageError(fmt::format(
            "{}: {} does not have this option (it would have no effect)",
            flag,
            options.name));
      }
    }
  }
}

Split read(const Options& options, Part part) {
  return find(options.name).read(options, part);
}

}  // namespace data_set
