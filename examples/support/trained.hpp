#pragma once

#include "trmml/io/safetensors.hpp"
#include "trmml/method/method.hpp"

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "support/experiment.hpp"
#include "support/picture_world.hpp"
#include "support/run_options.hpp"

// best.safetensors: what a training program leaves for other programs
// (docs/prediction.md).

namespace experiment {

/// Writes the method of `result`, its text features and thresholds, and all that it
/// takes to build it again; `config` is the text of config.toml.
void write_trained(
    const std::filesystem::path& path,
    const World& world,
    const RunOptions& options,
    const RunResult& result,
    const std::string& config);

/// A method from such a file, on the CPU, in evaluation mode, without its CLIP.
struct Trained {
  std::filesystem::path file;
  std::string dataset;             ///< of the training
  std::vector<std::string> names;  ///< [C] categories
  at::Tensor text_features;        ///< [P, C, D], normalised
  std::vector<double>
      thresholds;  ///< [C] of probabilities, chosen on held-out pictures

  RunOptions options{Defaults()};  ///< of the run: method, score ...
  PictureOptions pictures;         ///< of the run: CLIP, resolution, dense form ...
  std::string clip_fingerprint;    ///< `fingerprint` of its image tower
  std::shared_ptr<trmml::Method> method;

  bool has_regions() const;
};

/// Reads the file and trusts nothing in it. Throws `trmml::CheckpointError` when it is
/// damaged, none of `write_trained`, or its parts do not fit; `program::UsageError` for
/// a method whose scores depend on all pictures of a test.
Trained read_trained(const std::filesystem::path& path);

/// Sixteen hexadecimal digits of an image tower: of all its parameters and buffers as
/// single precision, its sizes, heads and activation. They are the same for one tower
/// in files of several formats.
std::string fingerprint(trmml::clip::ClipModelImpl& clip);

}  // namespace experiment
