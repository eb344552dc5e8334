#include "trmml/method/feature_source.hpp"

#include <ATen/ATen.h>

#include <cstdint>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using support::fill;
using support::is_close;

namespace {

trmml::clip::ImageFeatures features(int64_t n) {
  return {fill({n, 3}, 1), fill({n, 2, 3}, 2)};
}

}  // namespace

TEST_CASE("narrow_features: rows of both, as float") {
  const auto images = features(6);
  const auto part = trmml::narrow_features(
      {images.global.to(at::kHalf), images.regions.to(at::kHalf)}, 2, 3);
  CHECK(part.global.scalar_type() == at::kFloat);
  CHECK(part.regions.scalar_type() == at::kFloat);
  CHECK(is_close(part.global, images.global.narrow(0, 2, 3), 1e-3));
  CHECK(is_close(part.regions, images.regions.narrow(0, 2, 3), 1e-3));
}
