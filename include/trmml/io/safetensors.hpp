#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>

namespace trmml::io {

class AtomicFile;

/// Tensors by name.
using TensorMap = std::map<std::string, at::Tensor>;

/// The free text that a file carries beside its tensors.
using Metadata = std::map<std::string, std::string>;

/// What a `.safetensors` file holds.
struct SafetensorsFile {
  TensorMap tensors;  ///< on the CPU, contiguous
  Metadata metadata;  ///< empty when the file has none
};

/// Reads a `.safetensors` file without trusting it.
///
/// The file is 8 bytes (length of the header, little endian), the header (a JSON
/// object: name -> dtype, shape, data_offsets; and `__metadata__`, text -> text), and
/// the bytes of the tensors. The rules are those of the format's reference
/// implementation: a header of at most 100,000,000 bytes that starts with `{`, no key
/// twice, dtypes F64 F32 F16 BF16 I64 I32 I16 I8 U8 BOOL, offsets without overlap or
/// hole that end with the file, and as many bytes as dtype and shape ask for. Beyond
/// them: no field other than these three, at most 64 dimensions, and bytes of BOOL that
/// are 0 or 1. Everything is checked against the size of the file before memory is
/// taken. Values are not checked: NaN may be there.
///
/// The file is mapped, not copied: pages are read when first used, and writing to a
/// tensor changes a private copy, never the file. A mapping lives as long as one of its
/// tensors. (A tensor whose place in the file does not suit its dtype is copied.) Do
/// not shorten a file that is mapped; replacing it, as `write_safetensors` does, is
/// fine.
///
/// Throws `CheckpointError` naming the file, the tensor, and the rule.
///
/// Example:
/// ```
/// const io::SafetensorsFile file = io::read_safetensors("clip.safetensors");
/// const at::Tensor scale = file.tensors.at("logit_scale");
/// ```
SafetensorsFile read_safetensors(const std::filesystem::path& path);

/// Reads weights that are split over several `.safetensors` files, by their index
/// (`model.safetensors.index.json`), without trusting either.
///
/// The index is a JSON object with `weight_map` (name of a tensor -> file) and, if
/// there, `metadata`, whose content does not matter. Files are named without a folder,
/// end with `.safetensors`, and lie beside the index (4096 at most); every tensor of
/// the index is in its file, and every tensor of the files is in the index. Each file
/// is read by the rules of `read_safetensors`. The metadata returned is that of the
/// files; where they differ, the first by name counts.
///
/// Throws `CheckpointError` naming the file and the rule.
///
/// Example:
/// ```
/// auto file = io::read_sharded_safetensors("clip/model.safetensors.index.json");
/// ```
SafetensorsFile read_sharded_safetensors(const std::filesystem::path& index);

/// Writes `tensors` and `metadata` to `path`, complete or not at all (`AtomicFile`).
///
/// Tensors may live on any device and have any strides; they are written contiguously,
/// the widest dtypes first, then by name, each aligned to its dtype. The same input
/// gives the same bytes.
///
/// Throws `c10::ValueError` for a tensor that is undefined, sparse, of a dtype that the
/// format does not have, or named `__metadata__`, and for text that is not UTF-8;
/// `WriteError` when the file cannot be written.
///
/// Example:
/// ```
/// io::write_safetensors("model.safetensors", io::module_tensors(*model), {{"epoch",
/// "3"}});
/// ```
void write_safetensors(
    const std::filesystem::path& path,
    const TensorMap& tensors,
    const Metadata& metadata = {});

/// The same through a file that the caller commits.
void write_safetensors(
    AtomicFile& file,
    const TensorMap& tensors,
    const Metadata& metadata = {});

}  // namespace trmml::io
