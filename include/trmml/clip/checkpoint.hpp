#pragma once

#include "trmml/clip/clip_model.hpp"

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>
#include <torch/arg.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace trmml::clip {

/// Options for `load_clip`.
///
/// Example:
/// ```
/// auto options = clip::CheckpointOptions().device(at::kCUDA).dtype(at::kHalf);
/// ```
struct CheckpointOptions {
  /// QuickGELU (true) or GELU (false) in both towers, whatever the file says. Default:
  /// what the file says, and where it says nothing what `LoadedClip::assumptions`
  /// tells.
  TORCH_ARG(std::optional<bool>, quick_gelu);

  /// Attention heads of a vision transformer; divides its width. (The attention pool of
  /// a residual network has width / 2 in every CLIP.) Default: what the file says, else
  /// width / 64.
  TORCH_ARG(std::optional<int64_t>, image_heads);

  /// Attention heads of the text tower; divides its width. Default: what the file says,
  /// else width / 64.
  TORCH_ARG(std::optional<int64_t>, text_heads);

  /// Where the model will live. Default: CPU.
  TORCH_ARG(c10::Device, device) = c10::Device(at::kCPU);

  /// Type of the model's numbers, whatever the file's: at::kFloat, at::kDouble,
  /// at::kBFloat16, or on an accelerator at::kHalf. Default: at::kFloat, so fp16 and
  /// bf16 weights are up-cast.
  TORCH_ARG(at::ScalarType, dtype) = at::kFloat;

  /// Leaves the weights in the mapped file and in the file's type (fp16, say) instead
  /// of copying them: for who makes a `FrozenImageTower` of the model, which copies
  /// what it needs; the text tower is then never read. The file must not be shortened
  /// while the model lives. `device` and `dtype` must be the defaults. Default: false.
  TORCH_ARG(bool, mapped) = false;
};

/// What `load_clip` returns.
struct LoadedClip {
  ClipModel model{nullptr};  ///< frozen: evaluation mode, no parameter needs a gradient

  /// One line for a person: architecture, format, names, types, and what was assumed.
  std::string description;

  std::filesystem::path file;  ///< the file that was read (or the index of its shards)
  std::string format;  ///< "TorchScript archive", "state dict", "safetensors", ..
  std::string names;   ///< whose names: "OpenAI", "OpenCLIP", "Hugging Face", "trmml"
  std::string architecture;  ///< "RN50", "ViT-L/14@336", .., or its sizes in words

  /// What neither the file nor the options say, a sentence each; may be empty.
  std::vector<std::string> assumptions;
};

/// Loads CLIP from whatever file it was published in.
///
/// Formats, told apart by content: TorchScript archives (OpenAI's; weights are read,
/// code is never run), state dicts of `torch.save` (zip form), `.safetensors`, and
/// `model.safetensors.index.json` with its shards. A folder stands for the one
/// checkpoint in it. Names: OpenAI's, OpenCLIP's (also with `text.` in front), Hugging
/// Face's `CLIPModel`, and those of this library; wrappers such as `module.` or
/// `state_dict.` in front of them are taken off.
///
/// Sizes are inferred from the shapes of the weights. Activation and heads, which leave
/// no trace in shapes, come from the options, the file, or `config.json` and
/// `open_clip_config.json` beside it; what is assumed is said in the result.
///
/// The file is mapped, and its pages are given back while weights are copied: the peak
/// of memory is about the size of the model (fp32: 4 bytes a parameter). The state of
/// the global random generator is the same afterwards.
///
/// Throws `CheckpointError` with the path and all names that are missing, unexpected or
/// of another shape at once; `c10::ValueError` for options that cannot be met.
///
/// Example:
/// ```
/// clip::LoadedClip clip = clip::load_clip("ViT-B-16.pt");
/// at::Tensor features = clip.model->encode_image(images);
/// ```
LoadedClip load_clip(
    const std::filesystem::path& file_or_folder,
    const CheckpointOptions& options = {});

}  // namespace trmml::clip
