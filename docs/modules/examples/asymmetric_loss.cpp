#include <trmml/modules/asymmetric_loss.hpp>

#include <ATen/ATen.h>

#include <fmt/format.h>

int main() {
  // Two pictures, three categories; half of the labels are unknown.
  at::Tensor logits = at::tensor({2.0, -1.0, 0.5, -3.0, 1.0, 4.0}).view({2, 3});
  const at::Tensor labels = at::tensor({1, -1, 0, -1, 0, 0}).view({2, 3});
  logits.requires_grad_();

  trmml::AsymmetricLoss loss(trmml::AsymmetricLossOptions().gamma_neg(2).margin(0.05));
  const at::Tensor value = loss->forward(logits, labels);
  value.backward();
  fmt::print("loss {:.3f}\n", value.item<double>());
  // Neither the unknown labels nor the absent one at -3, below the margin, have any.
  fmt::print("entries with a gradient:");
  for (int64_t i = 0; i < 6; ++i) {
    if (logits.grad().view(-1)[i].item<double>() != 0) {
      fmt::print(" {}", i);
    }
  }
  fmt::print("\n");

  // A present label that is predicted costs little, a missed one costs much.
  const at::Tensor one = at::ones({1, 1}, at::kLong);
  for (const double logit : {4.0, -4.0}) {
    const at::Tensor z = at::full({1, 1}, logit);
    fmt::print(
        "present at {:+.0f}: {:.4f}\n", logit, loss->forward(z, one).item<double>());
  }
  fmt::print("all unknown: {:.1f}\n", loss->forward(logits, labels * 0).item<double>());
}
