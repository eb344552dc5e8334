#include "trmml/clip/transformer.hpp"

#include <torch/types.h>

#include <sstream>
#include <string>

#include "clip/towers_support.hpp"
#include "support/catch.hpp"
#include "support/tensors.hpp"

namespace {

using namespace trmml::clip;
using trmml::clip::detail::causal_mask;

/// Every projection is the identity.
Attention plain_attention(int64_t width, int64_t heads) {
  Attention attention(width, heads);
  attention->to(torch::kDouble);
  const torch::NoGradGuard no_grad;
  const torch::Tensor identity = torch::eye(width, torch::kDouble);
  attention->in_proj_weight.copy_(identity.repeat({3, 1}));
  attention->out_proj->weight.copy_(identity);
  return attention;
}

}  // namespace

TEST_CASE("quick_gelu: by hand", "[clip]") {
  // x / (1 + exp(-1.702 x)).
  const torch::Tensor x = torch::tensor({-1.0, 0.0, 1.0, 2.0}, torch::kDouble);
  CHECK(
      support::difference(quick_gelu(x), {-0.1542042, 0.0, 0.8457958, 1.9356586}) <
      1e-6);
}

TEST_CASE("Attention: two tokens by hand", "[clip]") {
  const torch::Tensor x = torch::eye(2, torch::kDouble).unsqueeze(0);
  const torch::Tensor none;
  // Scores of one head: 1 / sqrt(2) and 0; of two heads of width 1: 1 and 0, 0 and 0.
  const double one = 0.6697615;
  const double two = 0.7310586;
  const torch::Tensor single = plain_attention(2, 1)(x, none);
  CHECK(support::difference(single, {one, 1 - one, 1 - one, one}) < 1e-6);
  Attention attention = plain_attention(2, 2);
  CHECK(support::difference(attention(x, none), {two, 0.5, 0.5, two}) < 1e-6);
  // The first token sees itself only.
  const torch::Tensor mask = causal_mask(2, x.options());
  CHECK(support::difference(attention(x, mask), {1, 0, 0.5, two}) < 1e-6);

  CHECK(attention->values_only(x).equal(x));
  const torch::Tensor last = attention->forward_rows(x, x.select(1, 1), none);
  CHECK(support::difference(last, {0.5, two}) < 1e-6);
  const torch::Tensor first =
      attention->forward_rows(x, x.select(1, 0), mask.slice(0, 0, 1));
  CHECK(support::difference(first, {1, 0}) < 1e-6);
}

TEST_CASE("ResidualAttentionBlock: chosen rows are those of all", "[clip]") {
  for (const bool causal : {false, true}) {
    ResidualAttentionBlock block(8, 2, /*use_quick_gelu=*/true);
    block->to(torch::kDouble);
    support::fill_hashed(*block);
    const torch::Tensor x = support::fill({3, 5, 8}, 1);
    const torch::Tensor position = torch::tensor({4, 0, 2}, torch::kLong);
    const torch::Tensor mask = causal ? causal_mask(5, x.options()) : torch::Tensor();
    const torch::Tensor all = block(x, mask);
    const torch::Tensor rows = block->forward_rows(x, position, causal);
    CHECK(rows.sizes() == at::IntArrayRef({3, 8}));
    for (int64_t i = 0; i < 3; ++i) {
      CHECK(support::difference(rows[i], all[i][position[i].item<int64_t>()]) < 1e-12);
    }
  }
}

TEST_CASE("ResidualAttentionBlock: what adds nothing changes nothing", "[clip]") {
  const torch::NoGradGuard no_grad;
  ResidualAttentionBlock block(4, 1, /*use_quick_gelu=*/false);
  block->attn->out_proj->weight.zero_();
  block->mlp->c_proj->weight.zero_();
  block->mlp->c_proj->bias.fill_(2);
  const torch::Tensor x = torch::randn({2, 3, 4});
  CHECK(block(x, torch::Tensor()).equal(x + 2));
}

TEST_CASE("Transformer: all blocks but the last", "[clip]") {
  Transformer transformer(8, 3, 2, /*use_quick_gelu=*/true);
  CHECK(transformer->layers() == 3);
  CHECK(&transformer->last() == &transformer->block(2));
  const torch::Tensor x = torch::randn({2, 4, 8});
  const torch::Tensor none;
  CHECK(transformer->forward_but_last(x, none).equal(
      transformer->block(1).forward(transformer->block(0).forward(x, none), none)));
  CHECK(Transformer(8, 1, 2, true)->forward_but_last(x, none).equal(x));
  std::ostringstream text;
  text << *transformer;
  CHECK(text.str().find("trmml::clip::Transformer(width=8, layers=3, heads=2)") == 0);
}
