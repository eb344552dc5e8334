#pragma once

#include "trmml/data/split.hpp"

#include <filesystem>

namespace trmml::data {

/// Reads a folder of pictures with a text file beside each, at any depth:
/// ```
/// mine/classes.txt     optional: the categories, one a line, in their order
/// mine/a.jpg           a picture (`list_images` says which files are)
/// mine/a.txt           the categories that are present in it, one a line
/// ```
/// What is listed is present, the rest absent (an empty file: all absent). Without
/// `classes.txt` categories are those found, sorted by their bytes. Rows are in the
/// order of `list_images`. In `names_for_clip` underscores are blanks.
///
/// Throws `DataError` with all faults: a picture without its text file, two pictures
/// with one, categories that are unknown (with a hint) or listed twice, files that are
/// not UTF-8.
///
/// Example:
/// ```
/// const data::Split split = data::read_folder("mine");
/// ```
Split read_folder(const std::filesystem::path& folder);

}  // namespace trmml::data
