#pragma once

#include "trmml/data/image.hpp"
#include "trmml/report/picture.hpp"

#include <ATen/core/Tensor.h>

// Pictures as people look at them.

namespace experiment {

/// The picture with its longer side at most `side`, its shape kept.
trmml::data::Image shrink(const trmml::data::Image& image, int side);

/// Saliency [R] of a square map of cells, painted over all of the picture (which the
/// tower sees squashed, not cropped).
trmml::report::Picture saliency_map(
    const trmml::report::Picture& picture,
    const at::Tensor& saliency);

}  // namespace experiment
