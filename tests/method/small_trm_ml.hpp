#pragma once

#include "trmml/method/trm_ml.hpp"

#include <ATen/ATen.h>

#include <cstdint>

#include "method/small_model.hpp"

// TRM-ML in the small world.

namespace support {

inline trmml::TrmMlOptions options(int64_t n_cls = small::kC) {
  trmml::TrmMlOptions all(n_cls, small::kWidth, small::kD);
  all.prompts(small::prompts(n_cls));
  all.matcher(trmml::RegionMatcherOptions(n_cls, small::kD).logit_scale_init(10));
  return all;
}

inline trmml::TrmMl make_model(
    const trmml::TrmMlOptions& chosen = options(),
    int64_t seed = 1) {
  at::manual_seed(static_cast<uint64_t>(seed));
  return trmml::TrmMl(
      chosen, small::embeddings(), small::text_encoder(), small::frozen_text());
}

}  // namespace support
