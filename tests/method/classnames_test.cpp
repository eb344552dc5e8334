#include "trmml/method/classnames.hpp"

#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <vector>

#include "method/letters.hpp"
#include "method/small_model.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/tensors.hpp"

using small::kD;
using support::classnames;
using support::error_of;
using support::is_close;
using support::kEnd;
using support::kStart;
using support::Letters;
using support::make_tower;

TEST_CASE("tokenize_classnames: names apart from what stands around them") {
  const auto tokens = trmml::tokenize_classnames(Letters(), classnames(), "a b");
  using Ids = std::vector<int64_t>;
  CHECK(tokens.names == std::vector<Ids>{{3, 1, 20}, {15}, {20, 1, 24, 9}});
  CHECK(tokens.prefix == Ids{kStart});
  CHECK(tokens.suffix == Ids{27, kEnd});
  CHECK(tokens.initial_words == Ids{1, 2});
  CHECK(trmml::tokenize_classnames(Letters(), {"a"}).initial_words.empty());
  CHECK(
      error_of<c10::ValueError>([] {
        trmml::tokenize_classnames(Letters(), {"cat", "  "});
      }) ==
      "tokenize_classnames: expected a category name with at least one token, got \"  "
      "\"");
}

TEST_CASE("embed_classnames: the tower's own embeddings, without gradient") {
  trmml::clip::TextTransformer tower = make_tower();
  const auto tokens = trmml::tokenize_classnames(Letters(), classnames(), "a b");
  const auto embeddings = trmml::embed_classnames(tower, tokens);
  const at::Tensor& table = tower->token_embedding->weight;
  const auto rows = [&table](const std::vector<int64_t>& ids) {
    return table.index_select(0, at::tensor(ids, at::kLong));
  };
  CHECK(embeddings.prefix.equal(rows({kStart})));
  CHECK(embeddings.names.equal(rows({3, 1, 20, 15, 20, 1, 24, 9})));
  CHECK(embeddings.offsets == std::vector<int64_t>{0, 3, 4, 8});
  CHECK(embeddings.suffix.equal(rows({27, kEnd})));
  CHECK(embeddings.initial_ctx.equal(rows({1, 2})));
  CHECK_FALSE(embeddings.names.requires_grad());
  const auto plain = trmml::tokenize_classnames(Letters(), classnames());
  CHECK_FALSE(trmml::embed_classnames(tower, plain).initial_ctx.defined());
}

TEST_CASE("frozen_text_features: each sentence through the tower, normalised") {
  trmml::clip::TextTransformer tower = make_tower();
  const at::Tensor features =
      trmml::frozen_text_features(tower, Letters(), {"cat", "o"}, "a b ");
  // "a b cat." and "a b o.", as ids.
  const at::Tensor ids = at::tensor(
                             {int64_t{kStart},
                              int64_t{1},
                              int64_t{2},
                              int64_t{3},
                              int64_t{1},
                              int64_t{20},
                              int64_t{27},
                              int64_t{kEnd}},
                             at::kLong)
                             .unsqueeze(0);
  const at::Tensor padded = at::constant_pad_nd(ids, {0, 14 - 8});
  const at::Tensor first = tower->forward(padded).detach();
  CHECK(features.sizes() == at::IntArrayRef({2, kD}));
  CHECK(is_close(features[0], first[0] / first[0].norm(), 1e-5));
  CHECK(is_close(features.norm(2, -1), at::ones({2}), 1e-6));
  CHECK_FALSE(features.requires_grad());
  // More texts than go through the tower at once.
  const std::vector<std::string> many(300, "cat");
  const at::Tensor all = trmml::frozen_text_features(tower, Letters(), many, "a b ");
  CHECK(is_close(all, features[0].expand({300, kD}), 1e-5));
  CHECK(error_of<c10::ValueError>([&] {
          trmml::frozen_text_features(tower, Letters(), {});
        }) == "frozen_text_features: expected at least one category name, got none");
}
