#pragma once

#include "trmml/data/part.hpp"
#include "trmml/data/split.hpp"

#include <torch/arg.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

// NUS-WIDE (Chua et al., CIVR 2009), 81 concepts; see docs/data/nus_wide.md.

namespace trmml::data {

/// Many pictures have vanished from Flickr, so three lists are in use. Results on
/// different ones must never be mixed; `Split::name` says which one it is.
enum class NusWideList {
  kOfficial,     ///< of the authors: 161,789 / 107,859
  kRepublished,  ///< one CSV file, of ASL, SPLC, SCPNet: 119,103 / 50,720
  kRecrawled,    ///< of Cole et al., in the form of the official one: 150,000 / 60,260
};

/// Options for `read_nus_wide`. Paths of files stand for themselves, not below its
/// `root`.
struct NusWideOptions {
  /// Which list; never guessed.
  TORCH_ARG(NusWideList, list) = NusWideList::kOfficial;

  /// Folder of the pictures below `root`, with '/'; "." for `root`. Default: "Flickr",
  /// and "." for the re-published list, whose paths begin with "images/".
  TORCH_ARG(std::string, pictures);

  /// Names of the concepts, one a line. Default: Concepts81.txt in `root`, and
  /// `nus_wide_concepts()` for the re-published list.
  TORCH_ARG(std::filesystem::path, concepts);

  /// Picture a line, or the CSV file of the re-published list. Default:
  /// ImageList/TrainImagelist.txt, ImageList/TestImagelist.txt or nus_wid_data.csv in
  /// `root`.
  TORCH_ARG(std::filesystem::path, image_list);

  /// Folder with Labels_CONCEPT_Train.txt and Labels_CONCEPT_Test.txt: 0 or 1 for each
  /// line of the list. Default: TrainTestLabels in `root`. Not for the re-published
  /// list.
  TORCH_ARG(std::filesystem::path, labels);

  /// Keep pictures without any concept.
  TORCH_ARG(bool, keep_unlabelled) = true;

  /// Every picture of the part must be there.
  TORCH_ARG(bool, check_pictures) = false;
};

/// The 81 concepts, in the order of Concepts81.txt (alphabetical).
const std::vector<std::string>& nus_wide_concepts();

/// One part of NUS-WIDE, whose folder is `root`. Every concept that a picture does not
/// have is absent.
///
/// Paths in lists may have backslashes and begin with "C:\ImageData\Flickr\", as the
/// official ones do. Of the re-published list "train" is the training part and "val" or
/// "test" the test part. Nothing outside of `root` and of the files that the options
/// name is opened.
///
/// Throws one `DataError` with all faults.
///
/// Example:
/// ```
/// const auto test = data::read_nus_wide("datasets/nus-wide", data::Part::kTest);
/// ```
Split read_nus_wide(
    const std::filesystem::path& root,
    Part part,
    const NusWideOptions& options = {});

}  // namespace trmml::data
