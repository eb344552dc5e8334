#pragma once

#include "trmml/data/label_table.hpp"

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>

#include "faults.hpp"

namespace trmml::data {

/// A new mask for `complete`, int8 [N, C], all unknown.
at::Tensor empty_mask(const LabelTable& complete);

/// Adds a fault for each known entry of `mask` that is not that of `complete`.
void add_contradictions(
    const std::filesystem::path& file,
    const at::Tensor& mask,
    const LabelTable& complete,
    Faults& faults);

}  // namespace trmml::data
