#pragma once

#include "trmml/clip/clip_model.hpp"

#include <cstdint>
#include <string>
#include <vector>

// Names and shapes of all parameters of a CLIP. Private to `src/clip`.

namespace trmml::clip::checkpoint {

/// A parameter or buffer of `ClipModel`.
struct Expected {
  std::string name;
  std::vector<int64_t> shape;
};

/// Every parameter and buffer that a model with `options` will have. (Asking the model
/// itself would take its memory, before anybody knows that the file fills it.)
std::vector<Expected> expected_parameters(const ClipModelOptions& options);

}  // namespace trmml::clip::checkpoint
