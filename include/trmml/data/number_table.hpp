#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <vector>

namespace trmml::data {

/// A matrix from a text file, with the names of its columns and rows if they are there.
struct NumberTable {
  std::vector<std::string> columns;  ///< [C], or empty: the file has no header
  std::vector<std::string> rows;     ///< [N], or empty: no column "image"
  at::Tensor values;                 ///< double [N, C], no NaN
};

/// Reads comma-separated numbers: a row a line, as many fields in each.
///
/// The first line is a header where its first field is not a number: a name a column,
/// none empty, none twice. When the first name is `image`, the first column is not
/// numbers but the names of the rows (what `zero_shot` writes). Names may stand in
/// double quotes as in RFC 4180 (without line breaks). A number is decimal, with an
/// optional sign and exponent, or `inf`; spaces and tabs around it do not count. Lines
/// may end with CR LF; empty lines may follow the last row. NaN is a fault, as are
/// other separators.
///
/// Throws `DataError` that lists the faults by line and column (both from 1), or when
/// there is no row.
///
/// Example:
/// ```
/// const data::NumberTable table = data::read_number_table("scores.csv");
/// const at::Tensor scores = table.values;
/// ```
NumberTable read_number_table(const std::filesystem::path& path);

}  // namespace trmml::data
