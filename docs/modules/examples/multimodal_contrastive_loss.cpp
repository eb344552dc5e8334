#include <trmml/modules/multimodal_contrastive_loss.hpp>

#include <ATen/ATen.h>

#include <fmt/format.h>

int main() {
  // Three categories; every feature is its category's axis, as long training would have
  // it. Two pictures; category 2 has no visual prototype yet.
  const at::Tensor prototypes = at::eye(3, 4);                   // [C, D]
  at::Tensor q = prototypes.expand({2, 3, 4}).clone();           // [B, C, D]
  const at::Tensor ready = at::tensor({1, 1, 0}).to(at::kBool);  // [C]
  const at::Tensor labels = at::tensor({1, -1, 0, 0, 1, 1}).view({2, 3});
  q.requires_grad_();

  trmml::MultimodalContrastiveLoss contrast(
      trmml::MultimodalContrastiveLossOptions().temperature(1.0));
  const auto terms = contrast->forward({q}, labels, prototypes, ready, prototypes);
  // -log(e / (e + 1)): the sum has the two categories that are ready.
  fmt::print("visual {:.3f}\n", terms.visual.item<float>());
  // -log(e / (e + 2)): there is a text for every category.
  fmt::print("text   {:.3f}\n", terms.text.item<float>());
  fmt::print("total  {:.3f}\n", terms.total().item<float>());

  terms.total().backward();
  const auto moved = q.grad().abs().sum(-1).gt(0).sum().item<int64_t>();
  fmt::print("{} of 6 features are anchors\n", moved);

  const auto none = contrast->forward({q}, labels * 0, prototypes, ready, prototypes);
  fmt::print("without a positive: {:.3f}\n", none.total().item<float>());
}
