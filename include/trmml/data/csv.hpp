#pragma once

#include "trmml/data/label_code.hpp"
#include "trmml/data/split.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace trmml::data {

/// Options for `read_csv`.
///
/// Example:
/// ```
/// const data::Split split = data::read_csv("labels.csv", {.separator = '|'});
/// ```
struct CsvOptions {
  /// Between two labels of the column "labels": ';' or '|'.
  char separator = ';';

  /// What the numbers mean ("+1" is 1). Needed when there is a column a category.
  std::optional<LabelCode> values = std::nullopt;

  /// Text file with the categories, one a line, in the order of the columns of
  /// `labels`. Empty: what the CSV has.
  std::filesystem::path names_file = {};

  /// Folder that the pictures' paths start from. Empty: the one of the CSV.
  std::filesystem::path pictures = {};

  /// Whether each picture must be there; not opened.
  bool check_pictures = false;
};

/// Reads pictures and labels of one's own from a CSV (RFC 4180: commas, fields in
/// quotes where needed, UTF-8) with a header, in one of two forms:
/// ```
/// image,labels            image,cat,dog
/// a.jpg,cat;dog           a.jpg,1,1
/// b.jpg,                  b.jpg,0,0
/// ```
/// Columns may come in any order; blanks around fields do not count. `image` is a path
/// with '/', relative to `pictures`. With `labels`, what is listed is present and the
/// rest absent (an empty field: all absent), and the categories are those found, sorted
/// by their bytes, or those of `names_file`. With a column a category, `values` says
/// what the fields mean, and categories are in the order of the columns or of
/// `names_file`. In `names_for_clip` underscores are blanks.
///
/// Throws `DataError` with all faults and their lines: a malformed record, paths that
/// lead out of the folder, pictures or labels that are there twice, unknown categories
/// (with a hint) and values. `c10::ValueError` for another separator, or when `values`
/// is needed and not given.
Split read_csv(const std::filesystem::path& file, const CsvOptions& options = {});

/// `text` as a field of CSV (RFC 4180): in quotes when it has commas, quotes, line
/// ends, or blanks around it.
std::string csv_field(std::string_view text);

}  // namespace trmml::data
