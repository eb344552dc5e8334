#include <trmml/modules/pseudo_labeler.hpp>

#include <ATen/ATen.h>

#include <fmt/format.h>

int main() {
  // Twelve pictures, two categories, four known labels each. The evidence rises with
  // the number of the picture in category 0 and falls in category 1.
  const at::Tensor rising = at::arange(12, at::kFloat);
  const at::Tensor evidence = at::stack({rising, -rising}, 1);  // [N, C]
  at::Tensor labels = at::zeros({12, 2}, at::kChar);
  labels.select(1, 0).slice(0, 0, 4).copy_(at::tensor({1, -1, 1, -1}));
  labels.select(1, 1).slice(0, 8, 12).copy_(at::tensor({1, -1, -1, -1}));

  trmml::PseudoLabeler labeler;
  const at::Tensor expected = labeler->expected_positives(labels);  // [C]
  const trmml::PseudoLabels pseudo = labeler->forward(evidence, labels);
  for (int64_t c = 0; c < 2; ++c) {
    fmt::print("category {}: ", c);
    for (int64_t n = 0; n < 12; ++n) {
      const bool is_known = labels[n][c].item<int64_t>() != 0;
      const int64_t guess = pseudo.labels[n][c].item<int64_t>();
      fmt::print("{}", is_known ? 'k' : guess > 0 ? '+' : guess < 0 ? '-' : '.');
    }
    fmt::print(
        "  expected positives {:.2f}, accepted +{} -{}\n",
        expected[c].item<double>(),
        pseudo.positives[c].item<int64_t>(),
        pseudo.negatives[c].item<int64_t>());
  }
}
