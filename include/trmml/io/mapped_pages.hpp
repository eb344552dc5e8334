#pragma once

#include <ATen/core/Tensor.h>

namespace trmml::io {

/// Gives back the memory that holds `tensor`, when it lies in a file that
/// `read_safetensors` or `read_torch_archive` has mapped: whole pages only; they are
/// read from the file again when next used. For who copies weights elsewhere and wants
/// to hold them once, not twice.
///
/// `tensor` must be contiguous, and nobody may have written to it: changes are lost.
/// Returns false, and does nothing, for every other tensor.
///
/// Example:
/// ```
/// weight.copy_(file.tensors.at("weight"));
/// io::release_pages(file.tensors.at("weight"));
/// ```
bool release_pages(const at::Tensor& tensor);

}  // namespace trmml::io
