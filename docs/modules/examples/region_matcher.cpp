#include <trmml/modules/region_matcher.hpp>

#include <ATen/ATen.h>

#include <fmt/format.h>

int main() {
  // A joint space of width 4. "Present" of category 0 and 1 are its first two axes,
  // "absent" of both is the third, background is the fourth.
  const at::Tensor axis = at::eye(4);
  const at::Tensor present = at::stack({axis[0], axis[1]});
  const at::Tensor text = at::stack({present, at::stack({axis[2], axis[2]})});
  const at::Tensor cells = at::stack(
      {at::stack({axis[0], axis[3], axis[1]}),    // picture 0: both categories
       at::stack({axis[3], axis[3], axis[2]})});  // picture 1: neither

  // Starts without random numbers that matter: saliency = similarity, q = r.
  const auto options = trmml::RegionMatcherOptions(2, 4)
                           .logit_scale_init(10)
                           .attention_init(trmml::AttentionInit::kIdentity)
                           .query_residual(true);
  trmml::RegionMatcher matcher(options);
  matcher->set_queries(present);
  const trmml::RegionMatch match = matcher->forward(cells, text);

  fmt::print("saliency {}\n", trmml::format_shape(match.saliency.sizes()));
  for (int64_t c = 0; c < 2; ++c) {
    const at::Tensor row = match.saliency[0][c];
    fmt::print("picture 0, category {}:", c);
    for (int64_t r = 0; r < 3; ++r) {
      fmt::print(" {:.2f}", row[r].item<float>());
    }
    fmt::print(", logit {:.1f}\n", match.region_logits[0][c].item<float>());
  }
  fmt::print("picture 1: logit {:.1f}\n", match.region_logits[1][0].item<float>());
  const bool is_same = match.query_logits.allclose(match.region_logits);
  fmt::print("query level starts at the region level: {}\n", is_same);
}
