#pragma once

#include "trmml/data/part.hpp"
#include "trmml/data/split.hpp"

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

// Data sets by the names that users give them.

namespace data_set {

/// Here `kTrain`, what a publication trains on, and `kTest`, what it scores.
using trmml::data::Part;

/// A data set with everything that changes its rows, its labels or its names. Each
/// group of options belongs to one family of data sets.
struct Options {
  std::string name;       ///< one of `names()`
  std::string data;       ///< folder; for coco-json and csv the file of the train part
  std::string test_data;  ///< own data: file or folder of the test part
  bool check_pictures = false;
  bool synonyms = false;  ///< COCO, VOC

  std::string images;                 ///< annotated (default of COCO), all (coco-json)
  std::string order = "images";       ///< COCO: images, annotations, id-as-text
  std::string difficult = "skipped";  ///< VOC: skipped, present, ignored
  std::string list = "official";      ///< NUS-WIDE: official, republished, recrawled
  std::string label_lists;            ///< VG-200, NUS-WIDE: folder of the lists
  std::string category_names;         ///< VG, CSV: file of the names
  int min_certainty = 1;              ///< CUB
  std::string pictures;               ///< coco-json, CSV: folder of the pictures
  std::string values;                 ///< CSV with a column a category
  std::string separator = ";";        ///< CSV with a column of labels
};

/// "coco2014", "coco2017", "voc2007", "voc2012", "vg200", "vg256", "nus-wide", "cub",
/// "coco-json", "csv", "folder".
const std::vector<std::string>& names();

/// FashionScenes, whose pictures are painted and not read: not one of `names()`, and
/// nothing for `read`. Its --data, the folder of Fashion-MNIST, need not be given.
inline constexpr const char* kScenes = "scenes";

/// Adds --data and the options of every data set in `choices` (some of `names()`, and
/// `kScenes` for a program that paints them). With more than one, adds --dataset, which
/// says which. `required`: whether both must be given.
void add_options(
    CLI::App& app,
    Options& options,
    const std::vector<std::string>& choices,
    bool required = true);

/// Throws `program::UsageError` for an option that the data set does not have (without
/// --dataset: for any), and for a data set without --data.
void check(const CLI::App& app, const Options& options);

/// Whether there is such a part: own data have a test part only where `test_data` is
/// given.
bool has_part(const Options& options, Part part);

/// What gives both parts of own data the same categories in one order, for messages.
inline constexpr const char* kOneListHint =
    "one list for both parts: --category-names (csv), classes.txt in each folder "
    "(folder), \"categories\" (coco-json)";

/// Whether the sizes of objects are always known, and so which category of a picture is
/// the most salient.
bool has_sizes(const std::string& name);

/// Reads one part. VOC2007: trainval and test; VOC2012 and COCO: train and val. Throws
/// `program::UsageError` for a part that there is not, `trmml::DataError` with all
/// faults of the files.
trmml::data::Split read(const Options& options, Part part);

}  // namespace data_set
