#pragma once

#include "trmml/data/category_names.hpp"
#include "trmml/data/part.hpp"
#include "trmml/data/split.hpp"

#include <torch/arg.h>

#include <cstdint>
#include <filesystem>
#include <string>

namespace trmml::data {

/// Which pictures become rows. Beside each: whose code does so (docs/data/coco.md).
enum class CocoImages {
  kAll,        ///< every one of "images": HCP, Query2Label
  kAnnotated,  ///< those with an annotation: DualCoOp, ASL, SPLC, SCPNet, CSL, Cole
};

/// The order of rows, on which masks of missing labels depend.
enum class CocoOrder {
  kImages,       ///< of the "images" array: HCP
  kAnnotations,  ///< of first mention in "annotations", then the others as in "images":
                 ///< DualCoOp, ASL, CSL
  kIdAsText,     ///< image ids sorted as text, "10" before "9": Cole
};

/// Options for `read_coco`.
///
/// By default rows are the annotated pictures, as most publications have it: a picture
/// without a positive ranks nothing and has no single positive to keep. Their order is
/// that of "images", which stays when annotations are added or mended.
///
/// Example:
/// ```
/// CocoOptions().year(2017).images(CocoImages::kAll)
/// ```
struct CocoOptions {
  /// 2014 or 2017.
  TORCH_ARG(int64_t, year) = 2014;

  TORCH_ARG(CocoImages, images) = CocoImages::kAnnotated;
  TORCH_ARG(CocoOrder, order) = CocoOrder::kImages;

  /// Words for prompts instead of names; `coco_synonyms()` is one such table.
  TORCH_ARG(NameTable, synonyms);

  /// Whether the picture of every row must be a file. Takes a look at each.
  TORCH_ARG(bool, check_pictures) = false;
};

/// Reads one part of MS-COCO (Lin et al., ECCV 2014), `Part::kTrain` or `Part::kVal`,
/// which is the test of most publications, from
/// `root`/annotations/instances_{train,val}{2014,2017}.json; pictures are in
/// `root`/{train,val}{2014,2017}/ and are not opened.
///
/// Columns are the categories in the order of their ids. A category is present where an
/// annotation says so, crowds included, and absent elsewhere. `salient` is the category
/// of the annotation with the largest "area" (of equal ones the lower index); crowds,
/// whose area is that of many objects, count only in a picture that has nothing else.
/// It is -1 in a picture without annotations.
///
/// The file is read once, without a tree of it in memory. Throws `DataError` that lists
/// what is wrong (20 faults, then a count), each with its place: "annotation 17" is
/// `.annotations[17]`, counted from 0. Throws `c10::ValueError` for another
/// year or part.
///
/// Example:
/// ```
/// const auto train = data::read_coco("datasets/coco", data::Part::kTrain);
/// ```
Split read_coco(
    const std::filesystem::path& root,
    Part part,
    const CocoOptions& options = {});

/// Options for `read_coco_json`. By default every picture of the file is a row: who
/// lists one without annotations means that nothing is in it.
struct CocoJsonOptions {
  /// Begins `Split::name`; the name of the file when empty.
  TORCH_ARG(std::string, name);

  TORCH_ARG(CocoImages, images) = CocoImages::kAll;
  TORCH_ARG(CocoOrder, order) = CocoOrder::kImages;
  TORCH_ARG(NameTable, synonyms);
  TORCH_ARG(bool, check_pictures) = false;
};

/// Reads data of one's own in COCO's form: a JSON object with
/// ```
/// "images":      [{"id": 1, "file_name": "a.jpg"}, ..]
/// "annotations": [{"image_id": 1, "category_id": 7, "area": 12.5, "iscrowd": 0}, ..]
/// "categories":  [{"id": 7, "name": "cat"}, ..]
/// ```
/// in any order, where other keys are skipped. Ids are integers >= 0; "file_name" is a
/// path below `image_root`; "iscrowd" may be missing (0). "area" stands in all
/// annotations or in none; in none, `salient` is empty. Everything else is as in
/// `read_coco`, and so are the errors.
Split read_coco_json(
    const std::filesystem::path& file,
    const std::filesystem::path& image_root,
    const CocoJsonOptions& options = {});

}  // namespace trmml::data
