#pragma once

#include "trmml/data/part.hpp"
#include "trmml/data/split.hpp"

#include <torch/arg.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace trmml::data {

/// Options for `read_cub`.
struct CubOptions {
  /// Labels below this certainty, 1 to 4, are unknown: 1 "not visible", 2 "guessing",
  /// 3 "probably", 4 "definitely". 1 takes every label as it stands; 3 leaves out what
  /// annotators did not see or guessed.
  TORCH_ARG(int64_t, min_certainty) = 1;

  /// Whether each picture must be there; not opened.
  TORCH_ARG(bool, check_pictures) = false;
};

/// Reads a part of CUB-200-2011, `Part::kTrain` (5,994 pictures) or `Part::kTest`
/// (5,794), with its 312 attributes (not its 200 species) as categories.
///
/// `root` is CUB_200_2011 or what holds it. Rows are in the order of `images.txt`,
/// columns in that of `attributes.txt`, which is looked for in `attributes/`, in
/// CUB_200_2011 and in `root`. `classnames` are "has_bill_shape::dagger",
/// `names_for_clip` what `cub_phrase` makes of them. There are no sizes, so `salient`
/// is empty.
///
/// Some lines of `image_attribute_labels.txt` have more than five fields; the first
/// four are what they are everywhere, the rest is not used.
///
/// Throws `DataError` with all faults: missing files, fields that are no numbers in
/// their range, ids that are unknown or there twice, pictures without a part,
/// attributes without a label. `c10::ValueError` for a part that is not there and an
/// unknown certainty.
///
/// Example:
/// ```
/// const auto train = data::read_cub("datasets/cub", data::Part::kTrain);
/// ```
Split read_cub(
    const std::filesystem::path& root,
    Part part,
    const CubOptions& options = {});

/// An attribute of CUB-200-2011 in words: "bird with a dagger bill" for
/// "has_bill_shape::dagger", "small bird of 5 to 9 inches" for
/// "has_size::small_(5_-_9_in)".
///
/// By rules for the 28 groups of the data set; the words are ours. Anything else
/// becomes its own words: "value name" for "has_name::value".
std::string cub_phrase(std::string_view attribute);

}  // namespace trmml::data
