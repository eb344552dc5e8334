#include "trmml/clip/preprocess.hpp"

#include <ATen/ATen.h>

#include <string>

#include "reference/preprocess.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/tensors.hpp"
#include <zlib.h>

using namespace trmml;
using clip::Fit;
using clip::PreprocessOptions;
using support::error_of;
using trmml::clip::kPixelMean;
using trmml::clip::kPixelStd;
using trmml::clip::normalize_images;

namespace {

// Bytes 0 .. 255 by a formula, [B, H, W, 3].
at::Tensor pictures(int64_t b, int64_t h, int64_t w) {
  const at::Tensor i = at::arange(b * h * w * 3, at::kLong);
  return (i * 37 + i * i * 3).remainder(256).to(at::kByte).view({b, h, w, 3});
}

/// tests/reference/image.py: noise.
data::Image noise(int width, int height, uint32_t seed) {
  data::Image image{width, height, {}};
  image.rgb.resize(static_cast<size_t>(3 * width * height));
  for (uint8_t& value : image.rgb) {
    seed = seed * 1664525U + 1013904223U;
    value = static_cast<uint8_t>(seed >> 24);
  }
  return image;
}

uint32_t crc(const void* data, size_t bytes) {
  const auto* begin = static_cast<const Bytef*>(data);
  return static_cast<uint32_t>(crc32(0, begin, static_cast<uInt>(bytes)));
}

}  // namespace

TEST_CASE("preprocess: bytes and numbers are torchvision's, to the bit") {
  REQUIRE(reference::kPreprocess.size() > 150);
  for (const reference::Preprocess& c : reference::kPreprocess) {
    CAPTURE(c.width, c.height, c.resolution, c.fit == Fit::kCrop);
    const data::Image image = noise(c.width, c.height, c.seed);
    const auto options = PreprocessOptions(c.resolution).fit(c.fit).filter(c.filter);
    const data::Image seen = clip::fit_image(image, options);
    CHECK(seen.width == c.resolution);
    CHECK(seen.height == c.resolution);
    CHECK(crc(seen.rgb.data(), seen.rgb.size()) == c.bytes_crc);
    const at::Tensor x = clip::preprocess(image, options);
    REQUIRE(x.sizes() == at::IntArrayRef({3, c.resolution, c.resolution}));
    CHECK(crc(x.data_ptr<float>(), x.nbytes()) == c.tensor_crc);
    CHECK(x.equal(clip::to_tensor(seen, options)));
  }
}

TEST_CASE("preprocess: mean and standard deviation of one's own") {
  const data::Image pixel{1, 1, {0, 255, 51}};
  const auto options = PreprocessOptions(1).mean({0.5F, 0, 0}).std({0.5F, 1, 2});
  const at::Tensor x = clip::preprocess(pixel, options);
  CHECK(x.flatten().equal(at::tensor({-1.0F, 1.0F, 0.1F})));
}

TEST_CASE("preprocess: Pillow up to 12 is repeated when asked") {
  const data::Image image = noise(48, 64, 3);
  const auto now = PreprocessOptions(45).fit(Fit::kSquash);
  auto before = now;
  before.pass_order(data::PassOrder::kRowsFirst);
  const at::Tensor difference =
      (clip::preprocess(image, now) - clip::preprocess(image, before)).abs();
  CHECK(difference.max().item<double>() > 0);
  CHECK(difference.mean().item<double>() < 0.5 / 255 / 0.26);  // below half a unit
}

TEST_CASE("preprocess: messages") {
  const data::Image image = noise(4, 3, 1);
  CHECK(error_of<c10::ValueError>([&] {
          clip::preprocess(image, 0);
        }) == "PreprocessOptions: expected resolution from 1 to 16384, got 0");
  CHECK(error_of<c10::ValueError>([&] {
          clip::to_tensor(image, PreprocessOptions(2).std({1, 0, 1}));
        }) == "PreprocessOptions: expected std above 0, got 0");
  CHECK(
      error_of<std::invalid_argument>([&] {
        clip::preprocess({4, 3, {}}, 2);
      }) ==
      "fit_image: expected a picture of positive sides and 3 bytes a pixel, got 4 x 3 "
      "and 0 bytes");
  const data::Image strip{20000, 1, std::vector<uint8_t>(60000)};
  CHECK(
      error_of<std::invalid_argument>([&] { clip::preprocess(strip, 448); }) ==
      "fit_image: expected a picture whose long side becomes at most 1597830 pixels, "
      "got 20000 x 1 (it is a strip: use Fit::kSquash)");
  CHECK(
      clip::preprocess(strip, PreprocessOptions(448).fit(Fit::kSquash)).size(1) == 448);
}

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
