#include "trmml/clip/winograd.hpp"

#include <ATen/ops/conv2d.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/zeros.h>

#include <limits>
#include <vector>

#include "clip/towers_support.hpp"
#include "support/catch.hpp"
#include "support/tensors.hpp"

namespace {

using trmml::clip::detail::WinogradConv;

at::Tensor channels_last(const at::Tensor& x) {
  return x.to(at::kFloat).contiguous(at::MemoryFormat::ChannelsLast);
}

}  // namespace

TEST_CASE("WinogradConv: the direct sum, at any size", "[clip]") {
  // Whole tiles, parts of tiles, one pixel, and more tiles than are taken at once.
  for (const std::vector<int64_t>& shape : std::vector<std::vector<int64_t>>{
           {1, 16, 8, 8},
           {3, 16, 7, 9},
           {2, 32, 1, 1},
           {1, 16, 2, 30},
           {2, 48, 70, 61}}) {
    const at::Tensor x = support::fill(shape, 1);
    const at::Tensor weight = support::fill({32, shape[1], 3, 3}, 2);
    const at::Tensor bias = support::fill({32}, 3);
    const at::Tensor sum = at::conv2d(x, weight, bias, 1, 1);
    for (const bool relu : {false, true}) {
      const WinogradConv conv(weight.to(at::kFloat), bias.to(at::kFloat), relu);
      const at::Tensor y = conv(channels_last(x));
      CHECK(y.is_contiguous(at::MemoryFormat::ChannelsLast));
      CHECK(support::relative_difference(y, relu ? at::relu(sum) : sum) < 1e-5);
    }
  }
}

TEST_CASE("WinogradConv: what is not a number stays so", "[clip]") {
  at::Tensor x = support::fill({1, 16, 8, 8}, 1);
  x[0][3][0][0] = std::numeric_limits<double>::quiet_NaN();
  const WinogradConv conv(
      support::fill({16, 16, 3, 3}, 2).to(at::kFloat), at::zeros({16}), /*relu=*/true);
  const at::Tensor y = conv(channels_last(x));
  CHECK(y[0][0][0][0].isnan().item<bool>());
  CHECK_FALSE(y[0][0][7][7].isnan().item<bool>());
}

TEST_CASE("WinogradConv: where it applies", "[clip]") {
  const auto applies = [](at::IntArrayRef weight, int64_t stride, int64_t padding) {
    return WinogradConv::applies(at::zeros(weight), stride, padding);
  };
  CHECK(applies({32, 16, 3, 3}, 1, 1));
  CHECK_FALSE(applies({32, 16, 1, 1}, 1, 1));
  CHECK_FALSE(applies({32, 16, 3, 3}, 2, 1));
  CHECK_FALSE(applies({32, 16, 3, 3}, 1, 0));
  CHECK_FALSE(applies({32, 3, 3, 3}, 1, 1));
  CHECK_FALSE(applies({20, 16, 3, 3}, 1, 1));
  CHECK_FALSE(WinogradConv::applies(at::zeros({16, 16, 3, 3}, at::kDouble), 1, 1));
}
