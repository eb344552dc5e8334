#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <vector>

namespace trmml::io {

/// Reads a `.npy` file of NumPy without trusting it.
///
/// The file is the magic string, a version (1 or 2), the length of the header, the
/// header (a dict of Python with `descr`, `fortran_order` and `shape`, which is parsed
/// and never run), and the bytes of the array. Dtypes: int8 .. int64, uint8, bool,
/// float16, float32, float64, in either byte order. Beyond the rules of the format:
/// each key once and no other, at most 64 dimensions, nothing after the array, and
/// bytes of bool that are 0 or 1. Arrays of Python objects are refused: reading them
/// would run a program. Everything is checked against the size of the file before
/// memory is taken; values are not checked.
///
/// Returns a tensor on the CPU of the file's shape. An array in Fortran's order comes
/// with its strides (the first index runs fastest), any other is contiguous. The file
/// is mapped as by `read_safetensors`; only what does not suit this machine's byte
/// order or the dtype's alignment is copied.
///
/// Throws `DataError` naming the file and the rule.
///
/// Example:
/// ```
/// const at::Tensor labels = io::read_npy("formatted_train_labels.npy");
/// ```
at::Tensor read_npy(const std::filesystem::path& path);

/// Reads a `.npy` file that holds a list of names: one dimension, dtype `U` (text of a
/// fixed width, in either byte order). Returns UTF-8. Throws `DataError`, also for
/// characters that Unicode does not have.
std::vector<std::string> read_npy_names(const std::filesystem::path& path);

/// Writes `array` to `path`, complete or not at all (`AtomicFile`): the bytes that
/// `numpy.save` of NumPy 1.23 and later makes of it (version 1, in C's order).
///
/// Throws `c10::ValueError` for a tensor that is undefined, sparse, or of another dtype
/// than those above, and `trmml::WriteError` when the file cannot be written.
///
/// Example:
/// ```
/// io::write_npy("mask.npy", observed);
/// ```
void write_npy(const std::filesystem::path& path, const at::Tensor& array);

}  // namespace trmml::io
