#include "trmml/clip/frozen_layers.hpp"

#include <ATen/ATen.h>

#include <initializer_list>
#include <vector>

#include "clip/towers_support.hpp"
#include "support/catch.hpp"

namespace {

using namespace trmml::clip::detail;

/// Both ways to compute: oneDNN's layout, and LibTorch's own convolution.
const std::vector<at::ScalarType> kTypes = {at::kFloat, at::kDouble};

}  // namespace

TEST_CASE("clamp_negative_: ReLU, in bfloat16 for each of its numbers", "[clip]") {
  const at::Tensor bits = at::arange(-32768, 32768, at::kInt).to(at::kShort);
  const at::Tensor all = bits.view(at::kBFloat16);
  const at::Tensor number = all.isnan().logical_not();
  const at::Tensor out = clamp_negative_(all.clone());
  const at::Tensor expected = all.to(at::kFloat).clamp_min(0);
  CHECK(out.to(at::kFloat).masked_select(number).equal(expected.masked_select(number)));
  const at::Tensor positive_nan = all.isnan().logical_and(bits > 0);
  CHECK(out.isnan().equal(positive_nan));
  const at::Tensor floats = at::tensor({-1.0F, 2.0F});
  CHECK(clamp_negative_(floats).equal(at::tensor({0.0F, 2.0F})));
}

TEST_CASE("FrozenLinear: two tokens by hand", "[clip]") {
  for (const at::ScalarType dtype : kTypes) {
    const auto numbers = [dtype](std::initializer_list<double> values) {
      return at::tensor(values, at::kDouble).to(dtype);
    };
    const FrozenLinear linear(
        numbers({1, 2, 3, 0, -1, 1}).view({2, 3}), numbers({10, 20}), 2);
    const at::Tensor y = linear(numbers({1, 1, 1, 2, 0, -1}).view({1, 2, 3}));
    CHECK(y.sizes() == at::IntArrayRef({1, 2, 2}));
    CHECK(y.is_contiguous());
    CHECK(support::difference(y, {16, 20, 9, 19}) < 1e-5);
  }
}

TEST_CASE("FrozenConv: the sum of four pixels, with and without ReLU", "[clip]") {
  for (const at::ScalarType dtype : kTypes) {
    const at::Tensor x = at::tensor({1.0, 2.0, -3.0, -4.0}, at::kDouble).to(dtype);
    for (const bool relu : {false, true}) {
      // Stride 2, one pixel around: each output sees one pixel of the picture.
      const FrozenConv conv(
          at::ones({1, 1, 2, 2}, dtype), at::ones({1}, dtype), 2, 1, relu, 2);
      const at::Tensor y =
          conv(x.view({1, 1, 2, 2}).contiguous(at::MemoryFormat::ChannelsLast));
      const double low = relu ? 0 : -2;
      const double lowest = relu ? 0 : -3;
      CHECK(support::difference(y, {2, 3, low, lowest}) < 1e-5);
    }
  }
}

TEST_CASE("fold: a convolution and the norm behind it by hand", "[clip]") {
  const torch::NoGradGuard no_grad;
  torch::nn::Conv2d conv(torch::nn::Conv2dOptions(1, 1, 1).bias(false));
  torch::nn::BatchNorm2d norm(torch::nn::BatchNorm2dOptions(1).eps(1));
  conv->weight.fill_(2);
  norm->weight.fill_(6);
  norm->bias.fill_(1);
  norm->running_mean.fill_(4);
  norm->running_var.fill_(8);
  // 6 (2 x - 4) / sqrt(8 + 1) + 1 = 4 x - 7.
  const at::Tensor x = at::tensor({0.0F, 1.0F, 2.0F, 3.0F}).view({1, 1, 2, 2});
  const at::Tensor images = x.contiguous(at::MemoryFormat::ChannelsLast);
  for (const at::ScalarType dtype : kTypes) {
    const FrozenConv plain = fold(*conv, *norm, /*relu=*/false, 2, dtype);
    CHECK(support::difference(plain(images.to(dtype)), {-7, -3, 1, 5}) < 1e-5);
    const FrozenConv relu = fold(*conv, *norm, /*relu=*/true, 2, dtype);
    CHECK(support::difference(relu(images.to(dtype)), {0, 0, 1, 5}) < 1e-5);
  }
}
