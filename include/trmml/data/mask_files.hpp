#pragma once

#include "trmml/data/label_code.hpp"
#include "trmml/data/label_table.hpp"

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace trmml::data {

// Files that say which labels of a training set are known, as other projects publish
// them and as we write them. Every reader takes the complete labels of the training set
// (`complete`: N pictures, C categories) and returns observed labels, int8 [N, C] in
// {-1, 0, +1}, in its order of rows and columns.
//
// Where a file names its pictures they are matched by name, whatever the order; each
// must be there once. Names match with or without folder and ending
// ("COCO_train2014_000000000009" is "train2014/COCO_train2014_000000000009.jpg").
// Where a file has no names, its shape must fit, and that its rows stand in the order
// of `complete` is up to who names the file.
//
// A mask hides labels and changes none: an entry that says something else than
// `complete` is a fault. All faults of a file are gathered into one `DataError`.

/// Reads kept flags (1 known, 0 hidden) that `torch.save` wrote:
/// `partial_label_0.10.pt` of DualCoOp and its descendants, drawn without a seed in the
/// order of their rows.
///
/// One tensor [N, C], [N, S, C] or [S, N, C] with S = 1 or 3 equal slices, of numbers
/// or truth values. (DualCoOp has a slice for small, medium and large objects; if they
/// differed, a label hidden in one would show in another, so this is refused.)
at::Tensor read_kept_flags(
    const std::filesystem::path& file,
    const LabelTable& complete);

/// Reads rows of states, one picture a line: its name, then C times 1 (present), -1
/// (absent) or 0 (unknown), with blanks between. The published lists
/// `train_proportion_0.1.txt` .. `train_proportion_0.9.txt` of VOC2007 have this form.
at::Tensor read_state_rows(
    const std::filesystem::path& file,
    const LabelTable& complete);

/// The md5 of the list of single positives of COCO that SPLC published and that SCPNet
/// and HSPNet use: 82,081 pictures.
inline constexpr std::string_view kPublishedSinglePositives =
    "08386d86dcc5324fdb8cd6f541091319";

/// A list of positives, and which file it was.
struct PositiveList {
  at::Tensor labels;  ///< int8 [N, C], +1 in the list, 0 not
  std::string md5;  ///< of the file (without a byte order mark), in hexadecimal digits

  bool is_published_single() const { return md5 == kPublishedSinglePositives; }
};

/// Reads a list of positives in the form of SPLC: a line "picture,index" or
/// "picture,index index ..", indices of categories from 0. Pictures without a positive
/// may be left out.
PositiveList read_positive_list(
    const std::filesystem::path& file,
    const LabelTable& complete);

/// Reads an array [N, C] in `code` from `.npy` or `.safetensors` (its only tensor, or
/// the one called "labels"). `images`, unless empty, names the picture of each row of
/// the file: `formatted_train_images.npy` of Cole et al., say, by `io::read_npy_names`.
at::Tensor read_mask_array(
    const std::filesystem::path& file,
    LabelCode code,
    const LabelTable& complete,
    const std::vector<std::string>& images = {});

/// Reads complete labels [N, C] in `code` from `.npy` or `.safetensors` (as above).
/// Without names the pictures are called "0" .. "N-1" and the categories "0" .. "C-1".
LabelTable read_label_array(
    const std::filesystem::path& file,
    LabelCode code,
    std::vector<std::string> images = {},
    std::vector<std::string> classnames = {});

/// Reads a table of states from CSV, complete or not. The header is "image" and the
/// names of the categories; each line is a picture and a 1 (present), -1 (absent) or 0
/// (unknown) for each category.
LabelTable read_label_csv(const std::filesystem::path& file);

/// Reads a mask from CSV in either form of `write_mask_csv`.
at::Tensor read_mask_csv(const std::filesystem::path& file, const LabelTable& complete);

/// Two forms of CSV for the same mask.
enum class MaskCsv {
  kMatrix,  ///< a line a picture: "image,cat,dog", "a.jpg,1,0"
  kLong,    ///< a line a known label: "image,category,state", "a.jpg,cat,present"
};

/// Writes `table` as CSV, complete or not at all (`io::AtomicFile`).
void write_mask_csv(
    const std::filesystem::path& file,
    const LabelTable& table,
    MaskCsv form = MaskCsv::kMatrix);

/// Reads the mask in `file` by the family that wrote it and the ending of its name:
/// `.pt` and `.pth` (`kDualCoOp` only) are kept flags, `.npy` and `.safetensors` arrays
/// in `code`, `.csv` (`kHcp` only) our tables; `.txt` are rows of states (`kHcp`) or a
/// list of positives (`kSplc`). Anything else is a `DataError`.
at::Tensor read_mask(
    const std::filesystem::path& file,
    LabelCode code,
    const LabelTable& complete,
    const std::vector<std::string>& images = {});

}  // namespace trmml::data
