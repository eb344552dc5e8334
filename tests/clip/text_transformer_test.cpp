#include "trmml/clip/text_transformer.hpp"

#include <algorithm>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

#include "clip/towers_support.hpp"
#include "reference/towers.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/gradcheck.hpp"
#include "support/tensors.hpp"

namespace {

using namespace trmml::clip;
using trmml::Prompts;
namespace reference = trmml::reference;

TextTransformerOptions small_options() {
  return TextTransformerOptions(8)
      .vocab_size(40)
      .context_length(12)
      .width(16)
      .heads(2)
      .layers(2);
}

TextTransformer make_tower(
    const TextTransformerOptions& options,
    torch::Dtype dtype = torch::kDouble) {
  TextTransformer tower(options);
  tower->to(dtype);
  support::fill_hashed(*tower);
  return tower;
}

torch::Tensor texts() {
  return torch::tensor(
             {38, 1,  2, 3,  39, 0, 0,  0, 0, 0, 0, 0,   //
              38, 17, 5, 30, 22, 9, 11, 4, 3, 3, 1, 39,  //
              38, 39, 7, 7,  7,  7, 0,  0, 0, 0, 0, 0},
             torch::kLong)
      .view({3, 12});
}

struct PromptCase {
  std::string name;
  int64_t n_prompts;
  int64_t n_common;
  std::vector<int64_t> lengths;
  bool own_per_prompt;
};

Prompts make_prompts(
    const PromptCase& c,
    int64_t width,
    torch::Dtype dtype,
    bool requires_grad = true) {
  Prompts prompts;
  prompts.offsets = {0};
  for (const int64_t length : c.lengths) {
    prompts.offsets.push_back(prompts.offsets.back() + length);
  }
  const int64_t total = prompts.offsets.back();
  prompts.common =
      (2 * support::hashed(2000, {c.n_prompts, c.n_common, width})).to(dtype);
  prompts.own =
      (2 * (c.own_per_prompt ? support::hashed(2001, {c.n_prompts, total, width})
                             : support::hashed(2001, {total, width})))
          .to(dtype);
  prompts.common.requires_grad_(requires_grad);
  prompts.own.requires_grad_(requires_grad);
  return prompts;
}

/// The textbook path: padded embeddings through the plain transformer, [P, C, D].
torch::Tensor plain_forward(TextTransformer& tower, const Prompts& prompts) {
  const trmml::DensePrompts dense = prompts.dense();
  return tower
      ->forward_embeddings(
          dense.embeddings.flatten(0, 1),
          dense.end_positions.repeat({prompts.n_prompts()}))
      .view({prompts.n_prompts(), prompts.n_cls(), -1});
}

}  // namespace

TEST_CASE("TextTransformer: an independent implementation agrees", "[clip]") {
  const torch::NoGradGuard no_grad;
  const torch::Tensor ids = texts();
  for (const auto dtype : {torch::kDouble, torch::kFloat}) {
    const double tolerance = dtype == torch::kDouble ? 1e-10 : 2e-5;
    TextTransformer quick = make_tower(small_options(), dtype);
    CHECK(support::difference(quick->forward(ids), reference::text_quick) < tolerance);
    CHECK(
        support::difference(
            quick->forward_embeddings(quick->embed(ids), ids.argmax(1)),
            reference::text_quick) < tolerance);
    TextTransformer gelu = make_tower(small_options().quick_gelu(false), dtype);
    CHECK(support::difference(gelu->forward(ids), reference::text_gelu) < tolerance);
  }
}

TEST_CASE("TextTransformer: what stands behind the end token is not read", "[clip]") {
  const torch::NoGradGuard no_grad;
  TextTransformer tower = make_tower(small_options());
  torch::Tensor ids = texts();
  const torch::Tensor expected = tower->forward(ids);
  ids[0].slice(0, 5).fill_(20);
  ids[2].slice(0, 2).fill_(39);  // the first of several end tokens counts
  CHECK(support::difference(tower->forward(ids), expected) == 0);
  CHECK(
      support::difference(
          tower->forward(texts().slice(0, 0, 1).slice(1, 0, 5))[0], expected[0]) <
      1e-13);
}

TEST_CASE("TextTransformer: a batch is its texts one by one, in any order", "[clip]") {
  const torch::NoGradGuard no_grad;
  TextTransformer tower = make_tower(small_options());
  const torch::Tensor all = tower->forward(texts());
  for (int64_t i = 0; i < 3; ++i) {
    CHECK(
        support::difference(tower->forward(texts().slice(0, i, i + 1))[0], all[i]) <
        1e-13);
  }
  CHECK(support::difference(tower->forward(texts().flip(0)), all.flip(0)) < 1e-13);
  CHECK(tower->forward(texts().slice(0, 0, 0)).sizes() == std::vector<int64_t>{0, 8});
}

TEST_CASE("TextTransformer: prompts equal the plain path, gradients too", "[clip]") {
  std::vector<int64_t> many(150);
  for (size_t i = 0; i < many.size(); ++i) {
    many[i] = 1 + static_cast<int64_t>((i * i) % 5);
  }
  const std::vector<PromptCase> cases = {
      {"generic", 2, 5, {3, 2, 4}, false},
      {"generic, one prompt", 1, 5, {3, 2, 4}, false},
      {"one category", 1, 4, {3}, false},
      {"one category, one token", 2, 3, {1}, false},
      {"class-specific", 2, 0, {9, 7, 8, 9}, true},
      {"class-specific, one prompt, one category", 1, 0, {6}, true},
      {"names of very different lengths", 2, 3, {1, 60, 2, 33, 1, 1, 40, 5}, false},
      {"no common part, very different lengths", 1, 0, {1, 60, 2, 33, 70}, true},
      {"mid-position: context before and behind the name", 2, 4, {8, 6, 9}, true},
      {"common part longer than the names", 3, 40, {2, 3, 2}, true},
      {"many categories", 2, 6, many, false},
      {"as long as allowed", 1, 7, {70, 1}, false}};
  struct Size {
    int64_t layers;
    int64_t chunk_tokens;
  };
  // Whole, in chunks that are encoded once more, and a category a chunk.
  for (const auto& [layers, chunk] : {Size{1, 4096}, {3, 4096}, {2, 40}, {2, 1}}) {
    TextTransformer tower = make_tower(
        small_options().context_length(77).layers(layers).heads(4).chunk_tokens(chunk),
        torch::kFloat);
    for (const PromptCase& c : cases) {
      INFO(c.name << ", layers " << layers << ", chunk " << chunk);
      const auto run = [&](bool plain) {
        const Prompts prompts = make_prompts(c, 16, torch::kFloat);
        tower->zero_grad();
        const torch::Tensor out =
            plain ? plain_forward(tower, prompts) : tower->forward(prompts);
        const torch::Tensor weight =
            support::hashed(2002, out.sizes()).to(torch::kFloat);
        (out * weight).sum().backward();
        std::vector<torch::Tensor> all = {
            out.detach(), prompts.common.grad(), prompts.own.grad()};
        for (const auto& parameter : tower->parameters()) {
          all.push_back(
              parameter.grad().defined() ? parameter.grad().clone()
                                         : torch::zeros_like(parameter));
        }
        return all;
      };
      const auto expected = run(true);
      const auto actual = run(false);
      CHECK(support::difference(actual[0], expected[0]) < 1e-5);
      CHECK(support::relative_difference(actual[1], expected[1]) < 1e-5);
      CHECK(support::relative_difference(actual[2], expected[2]) < 1e-5);
      for (size_t i = 3; i < actual.size(); ++i) {
        CHECK(
            (actual[i] - expected[i]).norm().item<double>() <
            2e-5 * (1 + expected[i].norm().item<double>()));
      }
    }
  }
}

TEST_CASE("TextTransformer: prompts equal token ids", "[clip]") {
  const torch::NoGradGuard no_grad;
  TextTransformer tower = make_tower(small_options());
  // Start token and one context token are common; P = 1.
  const torch::Tensor ids = torch::tensor(
                                {38,
                                 4,
                                 1,
                                 39,
                                 0,
                                 0,  //
                                 38,
                                 4,
                                 2,
                                 3,
                                 5,
                                 39},
                                torch::kLong)
                                .view({2, 6});
  Prompts prompts;
  prompts.common = tower->embed(ids.slice(0, 0, 1).slice(1, 0, 2));
  prompts.own = tower->embed(torch::tensor({1, 39, 2, 3, 5, 39}, torch::kLong));
  prompts.offsets = {0, 2, 6};
  CHECK(support::difference(tower->forward(prompts)[0], tower->forward(ids)) < 1e-13);
}

TEST_CASE("TextTransformer: the order of categories moves with the result", "[clip]") {
  const torch::NoGradGuard no_grad;
  TextTransformer tower = make_tower(small_options());
  const Prompts prompts = make_prompts({"", 2, 3, {2, 4}, true}, 16, torch::kDouble);
  Prompts swapped = prompts;
  swapped.own = torch::cat({prompts.own.slice(1, 2), prompts.own.slice(1, 0, 2)}, 1);
  swapped.offsets = {0, 4, 6};
  CHECK(
      support::difference(tower->forward(swapped).flip(1), tower->forward(prompts)) <
      1e-13);
}

TEST_CASE("TextTransformer: numerical gradients in double", "[clip]") {
  TextTransformer tower = make_tower(TextTransformerOptions(3)
                                         .vocab_size(7)
                                         .context_length(6)
                                         .width(4)
                                         .heads(2)
                                         .layers(2));
  for (const PromptCase& c : std::vector<PromptCase>{
           {"generic", 2, 2, {2, 1, 3}, false},
           {"class-specific", 2, 0, {3, 2}, true}}) {
    Prompts prompts = make_prompts(c, 4, torch::kDouble, false);
    const auto f = [&](const std::vector<torch::Tensor>& x) {
      Prompts shifted = prompts;
      shifted.common = x[0];
      shifted.own = x[1];
      return tower->forward(shifted);
    };
    CHECK(support::gradient_error(f, {prompts.common, prompts.own}) < 1e-6);
  }

  // With respect to every parameter, through token ids.
  const torch::Tensor ids =
      torch::tensor({5, 1, 6, 0, 5, 2, 3, 6}, torch::kLong).view({2, 4});
  const auto names = tower->named_parameters();
  std::vector<torch::Tensor> values;
  for (const auto& item : names) {
    values.push_back(item.value().detach().clone());
  }
  tower->zero_grad();
  const torch::Tensor weight = support::hashed(3, {2, 3});
  (tower->forward(ids) * weight).sum().backward();
  const torch::NoGradGuard no_grad;
  for (const auto& item : names) {
    INFO(item.key());
    torch::Tensor flat = item.value().view(-1);
    const torch::Tensor grad = item.value().grad().reshape(-1);
    for (int64_t i = 0; i < flat.numel(); i += 1 + flat.numel() / 7) {
      const double kept = flat[i].item<double>();
      const auto at_value = [&](double value) {
        flat[i].fill_(value);
        return (tower->forward(ids) * weight).sum().item<double>();
      };
      const double numeric = (at_value(kept + 1e-6) - at_value(kept - 1e-6)) / 2e-6;
      flat[i].fill_(kept);
      CHECK(
          grad[i].item<double>() == Catch::Approx(numeric).epsilon(1e-6).margin(1e-8));
    }
  }
}

TEST_CASE("TextTransformer: prompts of another floating type are converted", "[clip]") {
  TextTransformer tower = make_tower(small_options(), torch::kBFloat16);
  const PromptCase two = {"two", 2, 3, {2, 4}, true};
  Prompts single = make_prompts(two, 16, torch::kFloat);
  const Prompts reduced = {
      single.common.detach().to(torch::kBFloat16),
      single.own.detach().to(torch::kBFloat16),
      single.offsets};
  const torch::Tensor features = tower->forward(single);
  CHECK(features.equal(tower->forward(reduced)));
  features.sum().backward();
  CHECK(single.common.grad().scalar_type() == torch::kFloat);
}

TEST_CASE("TextTransformer: frozen, gradients reach the prompts only", "[clip]") {
  TextTransformer tower = make_tower(small_options());
  for (auto& parameter : tower->parameters()) {
    parameter.set_requires_grad(false);
  }
  const Prompts prompts = make_prompts({"", 2, 3, {2, 4}, false}, 16, torch::kDouble);
  tower->forward(prompts).square().sum().backward();
  CHECK(prompts.common.grad().abs().min().item<double>() > 0);
  CHECK(prompts.own.grad().abs().min().item<double>() > 0);
  for (const auto& parameter : tower->parameters()) {
    CHECK_FALSE(parameter.grad().defined());
  }
  CHECK_FALSE(tower->forward(texts()).requires_grad());
}

TEST_CASE("TextTransformer: names are those of OpenAI's state dict", "[clip]") {
  std::vector<std::string> expected = {
      "positional_embedding",
      "text_projection",
      "token_embedding.weight",
      "ln_final.weight",
      "ln_final.bias"};
  for (const char* i : {"0", "1"}) {
    for (const char* name :
         {"attn.in_proj_weight",
          "attn.in_proj_bias",
          "attn.out_proj.weight",
          "attn.out_proj.bias",
          "ln_1.weight",
          "ln_1.bias",
          "mlp.c_fc.weight",
          "mlp.c_fc.bias",
          "mlp.c_proj.weight",
          "mlp.c_proj.bias",
          "ln_2.weight",
          "ln_2.bias"}) {
      expected.push_back(std::string("transformer.resblocks.") + i + "." + name);
    }
  }
  std::sort(expected.begin(), expected.end());
  CHECK(support::names_of(*TextTransformer(small_options())) == expected);
}

TEST_CASE("TextTransformer: initial values are CLIP's", "[clip]") {
  torch::manual_seed(5);
  TextTransformer tower(small_options().width(64).vocab_size(500).layers(8));
  const auto std_of = [](const torch::Tensor& x) { return x.std().item<double>(); };
  const auto near = [](double x) { return Catch::Approx(x).epsilon(0.06); };
  CHECK(std_of(tower->token_embedding->weight) == near(0.02));
  CHECK(std_of(tower->positional_embedding) == near(0.01));
  CHECK(std_of(tower->text_projection) == near(1.0 / 8));
  auto& block = tower->transformer->block(3);
  CHECK(std_of(block.attn->in_proj_weight) == near(1.0 / 8));
  CHECK(std_of(block.attn->out_proj->weight) == near(1.0 / 32));  // 1/8 * 16^-0.5
  CHECK(std_of(block.mlp->c_fc->weight) == near(1 / std::sqrt(128.0)));
  CHECK(std_of(block.mlp->c_proj->weight) == near(1.0 / 32));
  CHECK(block.attn->in_proj_bias.eq(0).all().item<bool>());
  CHECK(block.attn->out_proj->bias.eq(0).all().item<bool>());
  CHECK(tower->ln_final->weight.eq(1).all().item<bool>());
}

TEST_CASE("TextTransformer: clone is deep", "[clip]") {
  const torch::NoGradGuard no_grad;
  TextTransformer tower = make_tower(small_options());
  const auto copy = std::dynamic_pointer_cast<TextTransformerImpl>(tower->clone());
  REQUIRE(copy);
  const torch::Tensor expected = tower->forward(texts());
  CHECK(support::difference(copy->forward(texts()), expected) == 0);
  tower->transformer->block(0).mlp->c_fc->weight.zero_();
  tower->positional_embedding.zero_();
  CHECK(support::difference(copy->forward(texts()), expected) == 0);
  CHECK(support::difference(tower->forward(texts()), expected) > 1e-3);
}

TEST_CASE("TextTransformer: messages about token ids", "[clip]") {
  TextTransformer tower = make_tower(small_options(), torch::kFloat);
  CHECK(
      support::error_of<c10::ValueError>([&] {
        tower->forward(torch::zeros({2, 13}, torch::kLong));
      }) ==
      "TextTransformer::forward: expected ids of 1 to 12 tokens (context_length), got "
      "13");
  CHECK(support::error_of<c10::ValueError>([&] {
          tower->forward(torch::zeros({5}, torch::kLong));
        }) == "TextTransformer::forward: expected ids of shape [*, *], got [5]");
  CHECK(support::error_of<c10::TypeError>([&] {
          tower->forward(torch::zeros({2, 5}, torch::kInt));
        }) == "TextTransformer::forward: expected ids of type Long, got Int");
  torch::Tensor ids = texts();
  ids[1][3] = 40;
  CHECK(
      support::error_of<c10::IndexError>([&] { tower->forward(ids); }) ==
      "TextTransformer::forward: expected ids in 0 .. 39, got 40 (do tokenizer and "
      "weights "
      "belong together?)");
  ids[1][3] = -1;
  CHECK(
      support::error_of<c10::IndexError>([&] { tower->embed(ids); }) ==
      "TextTransformer::embed: expected ids in 0 .. 39, got -1 (do tokenizer and "
      "weights "
      "belong together?)");
  CHECK(support::error_of<c10::ValueError>([&] {
          tower->embed(torch::Tensor());
        }) == "TextTransformer::embed: expected ids, got an undefined tensor");
  CHECK(
      support::error_of<c10::ValueError>([&] {
        tower->forward_embeddings(
            torch::zeros({1, 4, 16}), torch::tensor({4}, torch::kLong));
      }) ==
      "TextTransformer::forward_embeddings: expected end_positions in 0 .. 3, got 4");
}

TEST_CASE("TextTransformer: messages about prompts", "[clip]") {
  TextTransformer tower = make_tower(small_options(), torch::kFloat);
  const auto message = [&](const Prompts& prompts) {
    return support::error_of<c10::ValueError>([&] { tower->forward(prompts); });
  };
  CHECK(
      message(make_prompts({"", 2, 5, {3, 2, 8}, false}, 16, torch::kFloat)) ==
      "TextTransformer::forward: expected prompts of at most 12 tokens "
      "(context_length), "
      "got 13 for category 2 (use fewer context tokens or a shorter name)");
  CHECK(
      message(make_prompts({"", 2, 5, {3}, false}, 17, torch::kFloat)) ==
      "TextTransformer::forward: expected common of shape [*, *, 16], got [2, 5, 17] "
      "(was "
      "the prompt learner made with another ctx_dim?)");
  CHECK(
      message(make_prompts({"", 2, 5, {3, 0, 2}, false}, 16, torch::kFloat)) ==
      "TextTransformer::forward: expected at least one own token per category, "
      "category 1 "
      "has none (each ends with its end token)");
  Prompts other = make_prompts({"", 2, 5, {3}, false}, 16, torch::kFloat);
  other.own = torch::zeros({3, 12});
  CHECK(
      message(other) ==
      "TextTransformer::forward: expected own of shape [*, 16], got [3, 12]");
  CHECK(support::error_of<c10::ValueError>([] {
          TextTransformer wrong(small_options().heads(3));
        }) == "TextTransformerOptions: expected heads that divide width 16, got 3");
  CHECK(support::error_of<c10::ValueError>([] {
          TextTransformer wrong(small_options().layers(0));
        }) == "TextTransformerOptions: expected layers above 0, got 0");
}
