#include <trmml/modules/prompt_learner.hpp>

#include <ATen/ATen.h>

#include <fmt/format.h>

int main() {
  // Embeddings of width 4, as any text tower gives them; here every entry of a token is
  // its id. Three class names of one, two and one token.
  const auto tokens = [](std::vector<float> ids) {
    return at::tensor(ids).unsqueeze(1).expand({-1, 4});  // [n, 4]
  };
  auto names = trmml::pack_classnames(
      tokens({1}), {tokens({10}), tokens({11, 12}), tokens({13})}, tokens({2, 3}));
  names.initial_ctx = tokens({5, 6});  // words that the first prompt starts from

  const auto options = trmml::PromptLearnerOptions(3, 4).n_ctx(2).init_std(0.0);
  trmml::PromptLearner learner(options, names);
  const trmml::Prompts prompts = learner->forward();
  fmt::print("common {}\n", trmml::format_shape(prompts.common.sizes()));
  fmt::print("own    {}\n", trmml::format_shape(prompts.own.sizes()));

  const at::Tensor padded = prompts.dense().embeddings;  // [P, C, L, w]
  for (int64_t p = 0; p < 2; ++p) {
    fmt::print("prompt {} of category 1:", p);
    for (int64_t i = 0; i < padded.size(2); ++i) {
      fmt::print(" {:.0f}", padded[p][1][i][0].item<float>());
    }
    fmt::print("\n");
  }
  padded.sum().backward();  // every category uses the shared context
  fmt::print(
      "gradient of ctx: {:.1f} each\n", learner->ctx.grad().mean().item<float>());
}
