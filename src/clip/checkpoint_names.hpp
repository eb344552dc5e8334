#pragma once

#include "trmml/io/safetensors.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint_file.hpp"

// Whose names a checkpoint has, and where our parameters stand in it. Private to
// `src/clip`.

namespace trmml::clip::checkpoint {

enum class Family {
  kFlat,         // OpenAI, OpenCLIP: visual.*, the text tower without a prefix
  kTwoTowers,    // OpenCLIP with text.*, and this library
  kHuggingFace,  // vision_model.*, text_model.*
};

/// Where a parameter of ours stands in a file.
struct Place {
  std::vector<std::string> names;  // stacked along the first dimension
  bool transposed = false;
};

/// `name`: as in `ClipModel::named_parameters`, named_buffers.
Place place_of(Family family, const std::string& name);

/// The tensors of one model by their names in the file.
struct Named {
  Family family = Family::kFlat;
  std::string prefix;  // what was taken off: "module.", "state_dict.", ..
  io::TensorMap tensors;
  size_t left_out = 0;                     // tensors outside of the prefix
  std::vector<std::string> ignored;        // buffers that are no weights
  std::map<std::string, int64_t> numbers;  // input_resolution, ..
};

/// Whether the last parts of a name are these ("a.b.c" ends with "b.c", not with ".c").
bool ends_with_part(std::string_view name, std::string_view part);

/// Takes the model's tensors out of `weights`; sets aside what is known to be no
/// weight. Throws `CheckpointError` when there is not just one model.
Named name_tensors(Weights& weights);

}  // namespace trmml::clip::checkpoint
