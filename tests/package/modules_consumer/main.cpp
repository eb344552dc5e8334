#include <trmml/functional/asymmetric_loss.hpp>
#include <trmml/modules/region_matcher.hpp>

#include <ATen/ATen.h>

#include <cstdio>

at::Tensor loss_of(const at::Tensor& logits, const at::Tensor& labels);

int main() {
  trmml::RegionMatcher matcher(trmml::RegionMatcherOptions(5, 16));
  const auto match = matcher->forward(at::randn({2, 9, 16}), at::randn({2, 5, 16}));
  const at::Tensor loss = loss_of(match.query_logits, at::ones({2, 5}));
  loss.backward();
  const bool is_right = loss.isfinite().item<bool>();
  std::printf("modules: %s\n", is_right ? "as expected" : "wrong");
  return is_right ? 0 : 1;
}
