#pragma once

#include "trmml/data/part.hpp"
#include "trmml/data/split.hpp"

#include <torch/arg.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace trmml::data {

/// The 20 categories of PASCAL VOC, in alphabetical order: the columns of its labels.
inline constexpr std::array<std::string_view, 20> kVocCategories = {
    "aeroplane",   "bicycle", "bird",  "boat",      "bottle",
    "bus",         "car",     "cat",   "chair",     "cow",
    "diningtable", "dog",     "horse", "motorbike", "person",
    "pottedplant", "sheep",   "sofa",  "train",     "tvmonitor"};

/// What becomes of objects that VOC marks as difficult. All three rules are in use, and
/// results under one cannot be compared with those under another.
enum class VocDifficult {
  /// They do not count: a category with difficult objects alone is absent. 7,306
  /// present entries in VOC2007 trainval and 7,013 in test; what HCP and DualCoOp do.
  kSkipped,

  /// They count as any other object; 7,632 present entries in VOC2007 test.
  kPresent,

  /// The rule of the VOC challenge at test: an entry that difficult objects alone
  /// support is present in `labels` and set in `Split::ignore`.
  kIgnored,
};

/// Which words stand for a category in prompts.
enum class VocNames {
  kOriginal,  ///< "diningtable", "pottedplant", "tvmonitor"
  kWords,     ///< "dining table", "potted plant", "tv monitor"; else as VOC has it
  kSynonyms,  ///< kWords, but "airplane", "motorcycle" and "television". Ours
};

/// Options for `read_voc`.
///
/// Example:
/// ```
/// VocOptions().year(2012).difficult(VocDifficult::kIgnored)
/// ```
struct VocOptions {
  /// 2007 or 2012.
  TORCH_ARG(int64_t, year) = 2007;

  /// Difficult objects.
  TORCH_ARG(VocDifficult, difficult) = VocDifficult::kSkipped;

  /// `Split::names_for_clip`.
  TORCH_ARG(VocNames, names) = VocNames::kWords;

  /// Whether each picture must be there; not opened.
  TORCH_ARG(bool, check_pictures) = false;
};

/// Reads a part of PASCAL VOC2007 or VOC2012, which have all four. (Labels of VOC2012
/// test are not public.)
///
/// `root` is VOC2007 (VOC2012), or VOCdevkit, or what holds VOCdevkit. Rows are in
/// the order of `ImageSets/Main/PART.txt`, columns are `kVocCategories`; the objects of
/// `Annotations/ID.xml` say what is present, everything else is absent.
/// `Split::salient` is the category of the largest box (its corners are pixels that
/// belong to it) of the objects that count, the first of equal ones; difficult objects
/// count under `kPresent` only.
///
/// Throws `DataError` with all faults of all files: missing or malformed annotations
/// (with the byte), unknown categories, objects without name or box, ids that are there
/// twice or lead out of the folder. `c10::ValueError` for an unknown year.
///
/// Example:
/// ```
/// const auto test = data::read_voc("datasets/voc", data::Part::kTest);
/// ```
Split read_voc(
    const std::filesystem::path& root,
    Part part,
    const VocOptions& options = {});

}  // namespace trmml::data
