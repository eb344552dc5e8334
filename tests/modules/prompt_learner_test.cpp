#include "trmml/modules/prompt_learner.hpp"

#include <ATen/ops/zeros.h>

#include <cmath>

#include "reference/modules.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/modules.hpp"
#include "support/tensors.hpp"

namespace ref = reference::modules;
using support::error_of;
using support::fill;
using support::is_close;
using support::is_equal;
using support::numbers;
using trmml::ClassnameEmbeddings;
using trmml::ClassPosition;
using trmml::PromptLearner;
using trmml::PromptLearnerOptions;
using trmml::Prompts;

namespace {

// Three class names of 2, 1 and 3 tokens, width 4, and a suffix of two tokens.
ClassnameEmbeddings three_names() {
  const at::Tensor names = fill({6, 4}, 2);
  return trmml::pack_classnames(
      fill({1, 4}, 1),
      {names.narrow(0, 0, 2), names.narrow(0, 2, 1), names.narrow(0, 3, 3)},
      fill({2, 4}, 3));
}

PromptLearner make(bool specific, ClassPosition position) {
  PromptLearner learner(
      PromptLearnerOptions(3, 4).n_ctx(3).class_specific(specific).class_position(
          position),
      three_names());
  support::fill_parameters(*learner);
  return learner;
}

}  // namespace

TEST_CASE("PromptLearner: by hand, generic context, name at the end") {
  PromptLearner learner(
      PromptLearnerOptions(2, 1).n_prompts(1).n_ctx(2),
      trmml::pack_classnames(
          numbers({1}, {1, 1}),
          {numbers({20}, {1, 1}), numbers({30, 31}, {2, 1})},
          numbers({9}, {1, 1})));
  {
    const c10::NoGradGuard guard;
    learner->ctx.copy_(numbers({5, 6}, {1, 2, 1}));
  }
  const Prompts prompts = learner->forward();
  CHECK(is_equal(prompts.common, numbers({1, 5, 6}, {1, 3, 1})));
  CHECK(is_equal(prompts.own, numbers({20, 9, 30, 31, 9}, {5, 1})));
  CHECK(prompts.offsets == std::vector<int64_t>{0, 2, 5});
}

TEST_CASE("PromptLearner: the four forms against the reference") {
  const auto dense = [](bool specific, ClassPosition position) {
    return make(specific, position)->forward().dense();
  };
  const trmml::DensePrompts end = dense(false, ClassPosition::kEnd);
  CHECK(is_equal(end.embeddings, numbers(ref::kPromptsGenericEnd, {2, 3, 9, 4})));
  CHECK(is_equal(end.end_positions, at::tensor({7, 6, 8})));
  CHECK(is_equal(
      dense(false, ClassPosition::kMiddle).embeddings,
      numbers(ref::kPromptsGenericMiddle, {2, 3, 9, 4})));
  const trmml::DensePrompts specific = dense(true, ClassPosition::kEnd);
  CHECK(is_equal(specific.embeddings, numbers(ref::kPromptsSpecificEnd, {2, 3, 9, 4})));
  CHECK(is_equal(specific.end_positions, at::tensor({7, 6, 8})));
  CHECK(is_equal(
      dense(true, ClassPosition::kMiddle).embeddings,
      numbers(ref::kPromptsSpecificMiddle, {2, 3, 9, 4})));
}

TEST_CASE("PromptLearner: what is shared and what is not") {
  const Prompts end = make(false, ClassPosition::kEnd)->forward();
  CHECK(end.common.sizes() == at::IntArrayRef({2, 4, 4}));
  CHECK(end.own.sizes() == at::IntArrayRef({12, 4}));
  CHECK_FALSE(end.own.requires_grad());  // nothing in it is learned
  CHECK(end.common.requires_grad());

  const Prompts middle = make(false, ClassPosition::kMiddle)->forward();
  CHECK(middle.common.sizes() == at::IntArrayRef({2, 2, 4}));
  CHECK(middle.own.sizes() == at::IntArrayRef({2, 18, 4}));

  for (const ClassPosition position : {ClassPosition::kEnd, ClassPosition::kMiddle}) {
    const Prompts specific = make(true, position)->forward();
    CHECK(specific.common.sizes() == at::IntArrayRef({2, 1, 4}));
    CHECK(specific.own.sizes() == at::IntArrayRef({2, 21, 4}));
  }
}

TEST_CASE("PromptLearner: gradients of the context") {
  for (const bool specific : {false, true}) {
    for (const ClassPosition position : {ClassPosition::kEnd, ClassPosition::kMiddle}) {
      PromptLearner learner = make(specific, position);
      // By hand: d out / d ctx is a selection, so the gradient of
      // sum(out * w) is the sum of w over the places of each context token.
      const at::Tensor w = fill({2, 3, 9, 4}, 7);
      learner->zero_grad();
      (learner->forward().dense().embeddings * w).sum().backward();
      const at::Tensor gradient = learner->ctx.grad();
      const int64_t before = position == ClassPosition::kMiddle ? 1 : 3;
      const int64_t lengths[] = {2, 1, 3};
      at::Tensor expected = at::zeros_like(gradient);
      for (int64_t p = 0; p < 2; ++p) {
        for (int64_t c = 0; c < 3; ++c) {
          for (int64_t m = 0; m < 3; ++m) {
            const int64_t place = 1 + m + (m < before ? 0 : lengths[c]);
            at::Tensor target = specific ? expected[p][c][m] : expected[p][m];
            target.add_(w[p][c][place]);
          }
        }
      }
      CHECK(is_close(gradient, expected, 1e-12));
    }
  }
}

TEST_CASE("PromptLearner: initial values") {
  const int64_t m = 40;
  const int64_t w = 50;
  ClassnameEmbeddings embeddings =
      trmml::pack_classnames(at::zeros({1, w}), {at::ones({2, w})}, at::zeros({1, w}));
  embeddings.initial_ctx = at::full({m, w}, 3.0);
  PromptLearner learner(
      PromptLearnerOptions(1, w).n_prompts(3).n_ctx(m).negative_init_std(0.5),
      embeddings);
  const auto spread = [&](int64_t p) { return learner->ctx[p].std().item<double>(); };
  CHECK(learner->ctx[0].mean().item<double>() == Catch::Approx(3).margin(0.005));
  CHECK(spread(0) == Catch::Approx(0.02).epsilon(0.1));
  CHECK(learner->ctx[1].mean().item<double>() == Catch::Approx(0).margin(0.1));
  CHECK(spread(1) == Catch::Approx(0.5).epsilon(0.1));
  CHECK(spread(2) == Catch::Approx(0.5).epsilon(0.1));

  PromptLearner plain(PromptLearnerOptions(1, w).n_ctx(m).init_std(0.1), embeddings);
  CHECK(plain->ctx[1].std().item<double>() == Catch::Approx(0.1).epsilon(0.1));
}

TEST_CASE("PromptLearner: one category, one prompt, no context") {
  const ClassnameEmbeddings one =
      trmml::pack_classnames(fill({1, 4}, 1), {fill({2, 4}, 2)}, fill({1, 4}, 3));
  for (const ClassPosition position : {ClassPosition::kEnd, ClassPosition::kMiddle}) {
    PromptLearner learner(
        PromptLearnerOptions(1, 4).n_prompts(1).n_ctx(0).class_position(position), one);
    CHECK(is_equal(
        learner->forward().dense().embeddings[0][0],
        at::cat({one.prefix, one.names, one.suffix}, 0)));
  }
}

TEST_CASE("PromptLearner: category order") {
  const ClassnameEmbeddings names = three_names();
  const at::Tensor rows = names.names;
  const ClassnameEmbeddings reversed = trmml::pack_classnames(
      names.prefix,
      {rows.narrow(0, 3, 3), rows.narrow(0, 2, 1), rows.narrow(0, 0, 2)},
      names.suffix);
  const PromptLearnerOptions options = PromptLearnerOptions(3, 4).n_ctx(3);
  PromptLearner a(options, names);
  PromptLearner b(options, reversed);
  support::fill_parameters(*a);
  support::fill_parameters(*b);
  CHECK(is_equal(
      b->forward().dense().embeddings, a->forward().dense().embeddings.flip(1)));
}

TEST_CASE("PromptLearner: clone, save and load, to") {
  PromptLearner learner = make(true, ClassPosition::kMiddle);
  const at::Tensor before = learner->forward().dense().embeddings.detach();
  const auto copy =
      std::dynamic_pointer_cast<trmml::PromptLearnerImpl>(learner->clone());
  REQUIRE(copy != nullptr);
  CHECK(support::have_equal_state(*copy, *learner));
  CHECK(support::share_nothing(*copy, *learner));
  CHECK(is_equal(copy->forward().dense().embeddings, before));
  {
    const c10::NoGradGuard guard;
    copy->ctx.zero_();
  }
  CHECK(is_equal(learner->forward().dense().embeddings, before));

  PromptLearner other(learner->options, three_names());
  support::save_and_load(learner, other);
  CHECK(is_equal(other->forward().dense().embeddings, before));

  learner->to(at::kFloat);
  CHECK(learner->forward().own.scalar_type() == at::kFloat);
  learner->to(support::other_device());
  const Prompts moved = learner->forward();
  CHECK(moved.own.device() == support::other_device());
  CHECK(moved.common.device() == support::other_device());
  CHECK(is_close(moved.dense().embeddings.cpu(), before, 1e-6));
}

TEST_CASE("PromptLearner: a state brings its names, of whatever lengths") {
  PromptLearner learner = make(false, ClassPosition::kEnd);
  const at::Tensor names = fill({6, 4}, 5);
  PromptLearner other(
      learner->options,
      trmml::pack_classnames(
          fill({1, 4}, 1),
          {names.narrow(0, 0, 1), names.narrow(0, 1, 2), names.narrow(0, 3, 3)},
          fill({2, 4}, 3)));
  CHECK(other->forward().offsets != learner->forward().offsets);
  support::save_and_load(learner, other);
  CHECK(other->forward().offsets == learner->forward().offsets);
  CHECK(is_equal(
      other->forward().dense().embeddings, learner->forward().dense().embeddings));
}

TEST_CASE("PromptLearner: the context of a reduced text tower is trained in float") {
  ClassnameEmbeddings embeddings = three_names();
  embeddings.names = embeddings.names.to(at::kBFloat16);
  PromptLearner learner(PromptLearnerOptions(3, 4).n_ctx(3), embeddings);
  CHECK(learner->ctx.scalar_type() == at::kFloat);
  CHECK(learner->token_names.scalar_type() == at::kBFloat16);
  CHECK(learner->forward().common.scalar_type() == at::kFloat);
}

TEST_CASE("PromptLearner: print and messages") {
  CHECK(
      support::printed(*make(true, ClassPosition::kMiddle)) ==
      "trmml::PromptLearner(n_cls=3, ctx_dim=4, n_prompts=2, n_ctx=3, "
      "class_specific=true, class_position=middle)");

  const auto message = [](const PromptLearnerOptions& options,
                          const ClassnameEmbeddings& embeddings) {
    return error_of<c10::ValueError>(
        [&] { PromptLearner learner(options, embeddings); });
  };
  const ClassnameEmbeddings names = three_names();
  CHECK(
      message(PromptLearnerOptions(0, 4), names) ==
      "PromptLearner: expected n_cls, ctx_dim and n_prompts > 0, got 0, 4 and 2");
  CHECK(
      message(PromptLearnerOptions(3, 4).n_ctx(-1), names) ==
      "PromptLearner: expected n_ctx >= 0, got -1");
  CHECK(
      message(PromptLearnerOptions(3, 4).negative_init_std(-0.1), names) ==
      "PromptLearner: expected init_std and negative_init_std >= 0, got 0.02 and -0.1");
  CHECK(
      message(PromptLearnerOptions(4, 4), names) ==
      "PromptLearner: expected 5 offsets for 4 categories, got 4");
  CHECK(
      message(PromptLearnerOptions(3, 5), names) ==
      "PromptLearner: expected prefix of shape [1, 5], got [1, 4]");

  ClassnameEmbeddings wrong = three_names();
  wrong.offsets = {0, 2, 2, 6};
  CHECK(
      message(PromptLearnerOptions(3, 4), wrong) ==
      "PromptLearner: expected at least one token in every class name, category 1 has "
      "none");
  wrong = three_names();
  wrong.offsets.back() = 5;
  CHECK(
      message(PromptLearnerOptions(3, 4), wrong) ==
      "PromptLearner: expected offsets from 0 to the 6 rows of names, got 0 to 5");
  wrong = three_names();
  wrong.suffix = fill({0, 4}, 1);
  CHECK(
      message(PromptLearnerOptions(3, 4), wrong) ==
      "PromptLearner: expected a suffix of at least the end token, got none");
  wrong = three_names();
  wrong.initial_ctx = fill({4, 4}, 1);
  CHECK(
      message(PromptLearnerOptions(3, 4), wrong) ==
      "PromptLearner: expected initial_ctx of shape [16, 4], got [4, 4] (n_ctx must be "
      "the number of initial words)");
  CHECK(error_of<c10::ValueError>([] {
          trmml::pack_classnames(fill({1, 4}, 1), {}, fill({1, 4}, 1));
        }) == "pack_classnames: expected at least one class name, got none");
}
