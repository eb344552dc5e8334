#pragma once

#include "trmml/data/part.hpp"
#include "trmml/data/split.hpp"

#include <torch/arg.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

// Visual Genome (Krishna et al., IJCV 2017) as multi-label recognition uses it; see
// docs/data/visual_genome.md. Pictures lie in ROOT/VG_100K and ROOT/VG_100K_2, or all
// in the first; each folder is listed once and nothing outside of ROOT and of the files
// that the options name is opened.

namespace trmml::data {

/// Options for `read_visual_genome`.
struct VisualGenomeOptions {
  /// Folder of the lists; default: that of the pictures.
  TORCH_ARG(std::filesystem::path, lists);

  /// Categories C, which are part of the files' names. Must be positive.
  TORCH_ARG(int64_t, n_cls) = 200;

  /// File with the C category names, one a line; default: vg_category_C.txt among the
  /// lists. The published lists come without.
  TORCH_ARG(std::filesystem::path, names);

  /// Read the lists without a file of names: categories are "category 0" and so on, in
  /// prompts too, where that says nothing.
  TORCH_ARG(bool, unnamed) = false;

  /// Take a category that a picture has twice in the labels as present, instead of as
  /// a fault.
  TORCH_ARG(bool, allow_repeated) = false;

  /// Every picture of the list must be there.
  TORCH_ARG(bool, check_pictures) = false;
};

/// VG-200 (or VG-C): `train_list_500.txt` or `test_list_500.txt` (a picture's name a
/// line) with `vg_category_C_labels_index.json` (name -> indices of its categories).
///
/// `root` holds VG_100K and VG_100K_2, and the lists unless they are elsewhere.
/// Everything that a list's picture does not have is absent. `Split::name` tells the
/// published lists from those of `build_visual_genome`. Without `check_pictures` a
/// picture in neither folder counts as one of VG_100K.
///
/// Throws one `DataError` with all faults.
///
/// Example:
/// ```
/// const auto train = data::read_visual_genome("datasets/vg", data::Part::kTrain);
/// ```
Split read_visual_genome(
    const std::filesystem::path& root,
    Part part,
    const VisualGenomeOptions& options = {});

/// Options for `read_visual_genome_256`.
struct VisualGenome256Options {
  /// Objects of all pictures; default: objects.json in `root`. The published split
  /// belongs to version 1.2.
  TORCH_ARG(std::filesystem::path, objects);

  /// The groups of names that are the categories (category -> names); default:
  /// vg256.json in `root`.
  TORCH_ARG(std::filesystem::path, categories);

  /// Every picture of the part must be there.
  TORCH_ARG(bool, check_pictures) = false;
};

/// VG-256, made as MLC-PAT makes it (Xie et al., github.com/xiemk/MLC-PAT).
///
/// An object counts by its first name: lower case, trimmed, without a full stop at the
/// end; colours, sizes and materials in front of a last word are dropped. A name that
/// two categories claim belongs to the later one. Pictures without a category are left
/// out, the others sorted by number; of `RandomState(1).permutation(n)` the last 30 %
/// (rounded half to even) are the test pictures. Letters beyond ASCII keep their case.
///
/// Throws one `DataError` with all faults.
Split read_visual_genome_256(
    const std::filesystem::path& root,
    Part part,
    const VisualGenome256Options& options = {});

/// Options for `build_visual_genome`.
struct VisualGenomeBuildOptions {
  VisualGenomeBuildOptions(std::filesystem::path objects, std::filesystem::path out)
      : objects_(std::move(objects)), out_(std::move(out)) {}

  /// objects.json: [{"image_id": 1, "objects": [{"names": ["tree"], ..}, ..]}, ..]
  TORCH_ARG(std::filesystem::path, objects);

  /// Folder for the lists; must exist.
  TORCH_ARG(std::filesystem::path, out);

  /// object_alias.txt: a line is a name and others that stand for it, with commas
  /// between. Where lines disagree the first one holds. Default: no aliases.
  TORCH_ARG(std::filesystem::path, aliases);

  /// Categories C to keep. Must be positive.
  TORCH_ARG(int64_t, n_cls) = 200;

  /// Test pictures, 1 or more; the rest is for training.
  TORCH_ARG(int64_t, test_size) = 10000;

  /// Share of test pictures in (0, 1), rounded half to even; 0: `test_size` counts.
  TORCH_ARG(double, test_share) = 0;

  /// Of the split.
  TORCH_ARG(uint32_t, seed) = 1;

  /// Keep pictures without any of the categories.
  TORCH_ARG(bool, keep_unlabelled) = true;

  /// Replace lists that are there already.
  TORCH_ARG(bool, overwrite) = false;
};

/// What `build_visual_genome` found.
struct VisualGenomeBuild {
  /// [C] names with the number of pictures that have them, most frequent first.
  std::vector<std::pair<std::string, int64_t>> categories;
  int64_t names = 0;        ///< different names, aliases counted once
  int64_t train = 0;        ///< pictures
  int64_t test = 0;         ///< pictures
  int64_t unlabelled = 0;   ///< pictures without any of the categories
  std::string description;  ///< one line; part of `Split::name` of these lists
};

/// Makes lists that `read_visual_genome` reads from the public annotations: the C names
/// that most pictures have, ties in the order of their bytes.
///
/// Names are compared in lower case (ASCII), trimmed, runs of white space as one blank;
/// every name of an object counts. Pictures sorted by number are shuffled as
/// `RandomState(seed).shuffle` does, the first are for the test; both lists are sorted.
/// Ours: the published lists were made another way, which nobody describes, and results
/// on the two must not be mixed.
///
/// Writes train_list_500.txt, test_list_500.txt (the number is a name only),
/// vg_category_C.txt, vg_category_C_labels_index.json and vg_category_C_built.txt (the
/// description); each appears complete or not at all.
///
/// Memory: the text of `objects`, and some hundred bytes a picture and name. Throws
/// `DataError` with all faults, or when a list is there already.
VisualGenomeBuild build_visual_genome(const VisualGenomeBuildOptions& options);

}  // namespace trmml::data
