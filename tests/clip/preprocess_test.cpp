#include "trmml/clip/preprocess.hpp"

#include <ATen/ATen.h>

#include <string>

#include "support/catch.hpp"
#include "support/tensors.hpp"

using test::error_of;
using trmml::clip::kPixelMean;
using trmml::clip::kPixelStd;
using trmml::clip::normalize_images;

namespace {

// Bytes 0 .. 255 by a formula, [B, H, W, 3].
at::Tensor pictures(int64_t b, int64_t h, int64_t w) {
  const at::Tensor i = at::arange(b * h * w * 3, at::kLong);
  return (i * 37 + i * i * 3).remainder(256).to(at::kByte).view({b, h, w, 3});
}

}  // namespace

TEST_CASE("normalize_images: one pixel worked by hand") {
  const at::Tensor pixel = at::tensor({0, 255, 51}, at::kLong).to(at::kByte);
  const at::Tensor x = normalize_images(pixel.view({1, 1, 1, 3}));
  REQUIRE(x.sizes() == at::IntArrayRef({1, 3, 1, 1}));
  CHECK(x.scalar_type() == at::kFloat);
  // CLIP's constants: (0 - 0.48145466) / 0.26862954, (1 - 0.4578275) / 0.26130258,
  // (0.2 - 0.40821073) / 0.27577711.
  CHECK(x[0][0].item<double>() == Catch::Approx(-1.792262534).epsilon(1e-6));
  CHECK(x[0][1].item<double>() == Catch::Approx(2.074883838).epsilon(1e-6));
  CHECK(x[0][2].item<double>() == Catch::Approx(-0.754996417).epsilon(1e-6));
}

TEST_CASE("normalize_images: rows, columns and channels in their places") {
  const at::Tensor images = pictures(2, 3, 4);
  const at::Tensor x = normalize_images(images);
  REQUIRE(x.sizes() == at::IntArrayRef({2, 3, 3, 4}));
  for (int64_t b = 0; b < 2; ++b) {
    for (int64_t row = 0; row < 3; ++row) {
      for (int64_t column = 0; column < 4; ++column) {
        for (int64_t c = 0; c < 3; ++c) {
          const double value = images[b][row][column][c].item<double>() / 255;
          CHECK(
              x[b][c][row][column].item<double>() ==
              Catch::Approx((value - kPixelMean[c]) / kPixelStd[c]).margin(1e-6));
        }
      }
    }
  }
  CHECK(x.is_contiguous(at::MemoryFormat::ChannelsLast));
}

TEST_CASE("normalize_images: upscale repeats every pixel in both directions") {
  const at::Tensor images = pictures(2, 3, 4);
  const at::Tensor x = normalize_images(images);
  CHECK(normalize_images(images, 1).equal(x));
  for (const int64_t upscale : {2, 3}) {
    const at::Tensor large = normalize_images(images, upscale);
    REQUIRE(large.sizes() == at::IntArrayRef({2, 3, 3 * upscale, 4 * upscale}));
    CHECK(large.equal(x.repeat_interleave(upscale, 2).repeat_interleave(upscale, 3)));
    CHECK(large.is_contiguous(at::MemoryFormat::ChannelsLast));
  }
}

TEST_CASE("normalize_images: strided input, no picture, input left alone") {
  const at::Tensor images = pictures(3, 4, 4);
  const at::Tensor copy = images.clone();
  const at::Tensor flipped = images.flip({2});
  CHECK(normalize_images(flipped).equal(normalize_images(images).flip({3})));
  const at::Tensor part = images.narrow(2, 1, 2);  // columns 1 and 2
  CHECK(normalize_images(part, 2).equal(normalize_images(part.contiguous(), 2)));
  CHECK(images.equal(copy));
  const at::Tensor none = normalize_images(at::empty({0, 4, 4, 3}, at::kByte), 2);
  CHECK(none.sizes() == at::IntArrayRef({0, 3, 8, 8}));
}

TEST_CASE("normalize_images: messages") {
  CHECK(
      error_of<c10::ValueError>([] {
        normalize_images(at::zeros({2, 3, 4, 4}, at::kByte));
      }) ==
      "normalize_images: expected images of shape [*, *, *, 3], got [2, 3, 4, 4]");
  CHECK(error_of<c10::ValueError>([] {
          normalize_images(at::zeros({4, 4, 3}, at::kByte));
        }) == "normalize_images: expected images of shape [*, *, *, 3], got [4, 4, 3]");
  CHECK(error_of<c10::TypeError>([] {
          normalize_images(at::zeros({1, 4, 4, 3}));
        }) == "normalize_images: expected images of type uint8, got Float");
  CHECK(error_of<c10::ValueError>([] {
          normalize_images(at::zeros({1, 4, 4, 3}, at::kByte), 0);
        }) == "normalize_images: expected upscale of at least 1, got 0");
}
