#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

// Which maps visualize_regions paints, and what it calls them.

namespace experiment {

/// Where the categories `wanted` stand in `names`. Throws `program::UsageError` with
/// close matches for one that is not there.
std::vector<int64_t> category_indices(
    const std::vector<std::string>& wanted,
    const std::vector<std::string>& names);

/// The `count` categories (or all) of the highest probability [C], the highest first.
std::vector<int64_t> most_probable(const at::Tensor& probabilities, int64_t count);

/// "00003-street-017-traffic_light.png": letters (of ASCII), digits, '-' and '_' of
/// the names, 60 at most; the two numbers make it unique.
std::string map_name(
    int64_t picture,
    const std::string& path,
    int64_t category,
    const std::string& name);

}  // namespace experiment
