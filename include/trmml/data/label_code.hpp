#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <string_view>

namespace trmml::data {

/// How a family of projects writes present, absent and unknown. The numbers overlap and
/// mean different things, so a reader is always told which code a file has; nothing is
/// guessed.
enum class LabelCode {
  kHcp,           ///< +1, -1, 0: SST, SARB, HST, and this project
  kDualCoOp,      ///< 1, 0, -1: DualCoOp, CSL, CLSL
  kCole,          ///< 1, -1, 0: training files of Cole et al. and their descendants
  kColeComplete,  ///< 1, 0: their complete labels, where nothing is unknown
  kSplc,          ///< 1, none, 0: SPLC, SCPNet; 0 is "not in the list"
};

/// The code of this name: "hcp", "dualcoop", "cole", "cole-complete" or "splc"; also
/// "csl" and "clsl" for `kDualCoOp`, "scpnet" for `kSplc`. Throws `c10::ValueError`.
LabelCode parse_label_code(std::string_view name);

/// "dualcoop"; what `parse_label_code` reads.
std::string to_string(LabelCode code);

/// `values` [N, C] of any dtype, written in `code`, as int8 {-1, 0, +1} of this
/// project.
///
/// Values that the code does not have are faults with row and column (from 0), gathered
/// into one `DataError` that names `file`. Throws `c10::ValueError` unless there are
/// two dimensions.
///
/// Example:
/// ```
/// const at::Tensor labels = from_label_code(io::read_npy(path), LabelCode::kCole,
/// path);
/// ```
at::Tensor from_label_code(
    const at::Tensor& values,
    LabelCode code,
    const std::filesystem::path& file);

}  // namespace trmml::data
