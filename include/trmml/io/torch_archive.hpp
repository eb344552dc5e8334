#pragma once

#include "trmml/io/safetensors.hpp"

#include <filesystem>

namespace trmml::io {

/// What a file of `torch.save` or `torch.jit.save` holds.
struct TorchArchive {
  TensorMap tensors;       ///< on the CPU, with the strides they were saved with
  bool is_script = false;  ///< written by `torch.jit.save`
};

/// Reads the tensors of a `.pt`, `.pth` or `.bin` file of PyTorch without trusting it:
/// what `torch.save` (1.6 and later) makes of a state dict, and what `torch.jit.save`
/// makes of a module.
///
/// The file is a ZIP archive with a pickle and one record a storage. The pickle, which
/// Python would run as a program, is read by an interpreter that knows dense tensors,
/// parameters, dicts, `OrderedDict`, lists, tuples, numbers, text, and TorchScript's
/// modules as bags of attributes; any other class or function is refused by its name.
/// The code of a TorchScript archive is not even looked at. Tensors are named by the
/// way to them, joined with dots: `{"state_dict": {"a": t}}` gives "state_dict.a".
///
/// Dtypes: float64, float32, float16, bfloat16, int64 .. int8, uint8, bool; either byte
/// order. Tensors may share storages and have any strides within them. Records must be
/// stored as they are, not compressed, and tensors must not have more elements than
/// their storages. Everything is checked against the size of the file before memory is
/// taken; values are not checked.
///
/// The file is mapped as by `read_safetensors`: pages are read when first used, and
/// writing to a tensor changes a private copy. (Storages that do not suit their dtype's
/// alignment or this machine's byte order are copied.)
///
/// Throws `CheckpointError` naming the file, the place, and the rule. Files of PyTorch
/// before 1.6 are refused with a hint how to convert them.
///
/// Example:
/// ```
/// const io::TorchArchive file = io::read_torch_archive("ViT-B-32.pt");
/// const at::Tensor scale = file.tensors.at("logit_scale");
/// ```
TorchArchive read_torch_archive(const std::filesystem::path& path);

}  // namespace trmml::io
