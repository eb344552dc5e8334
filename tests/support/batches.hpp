#pragma once

#include "trmml/data/loader.hpp"

#include <ATen/ops/equal.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace support {

inline std::vector<trmml::data::Batch> all_batches(
    const trmml::data::Loader& loader,
    int64_t epoch) {
  std::vector<trmml::data::Batch> batches;
  for (const trmml::data::Batch& batch : loader.epoch(epoch)) {
    batches.push_back(batch);
  }
  return batches;
}

/// To the bit.
inline bool same_batches(
    const std::vector<trmml::data::Batch>& a,
    const std::vector<trmml::data::Batch>& b) {
  bool equal = a.size() == b.size();
  for (std::size_t i = 0; equal && i < a.size(); ++i) {
    equal = at::equal(a[i].images, b[i].images) &&
            at::equal(a[i].labels, b[i].labels) &&
            at::equal(a[i].indices, b[i].indices);
  }
  return equal;
}

}  // namespace support
