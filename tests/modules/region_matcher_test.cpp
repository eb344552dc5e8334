#include "trmml/modules/region_matcher.hpp"

#include "trmml/core/torch_version.hpp"

#include <cmath>
#include <limits>

#include "reference/modules.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/gradcheck.hpp"
#include "support/modules.hpp"
#include "support/tensors.hpp"

namespace ref = reference::modules;
using support::error_of;
using support::fill;
using support::is_close;
using support::is_equal;
using support::numbers;
using trmml::AttentionInit;
using trmml::QueryInit;
using trmml::RegionMatch;
using trmml::RegionMatcher;
using trmml::RegionMatcherOptions;

namespace {

constexpr int64_t kB = 3;
constexpr int64_t kC = 4;
constexpr int64_t kD = 8;
constexpr int64_t kR = 5;

RegionMatcherOptions options() {
  return RegionMatcherOptions(kC, kD);
}

// In double, with the parameters of the reference.
RegionMatcher filled(const RegionMatcherOptions& chosen) {
  RegionMatcher matcher(chosen);
  matcher->to(at::kDouble);
  support::fill_parameters(*matcher);
  return matcher;
}

at::Tensor regions() {
  return fill({kB, kR, kD}, 1);
}

at::Tensor text() {
  return fill({2, kC, kD}, 2);
}

struct Expected {
  at::Tensor saliency, region, query, region_logits, query_logits, by_region, by_query;
};

void check_reference(
    const RegionMatcherOptions& chosen,
    const at::Tensor& text_features,
    const Expected& expected) {
  RegionMatcher matcher = filled(chosen);
  const at::Tensor v = regions().requires_grad_();
  const RegionMatch match = matcher->forward(v, text_features);
  CHECK(is_close(match.saliency, expected.saliency, 1e-11));
  CHECK(is_close(match.saliency.sum(-1), at::ones({kB, kC}), 1e-12));
  CHECK(is_close(match.region_features, expected.region, 1e-11));
  CHECK(is_close(match.query_features, expected.query, 1e-11));
  CHECK(is_close(match.region_logits, expected.region_logits, 1e-11));
  CHECK(is_close(match.query_logits, expected.query_logits, 1e-11));
  (match.region_logits.sum() + (match.query_logits * fill({kB, kC}, 3)).sum())
      .backward();
  CHECK(is_close(v.grad(), expected.by_region, 1e-10));
  CHECK(is_close(matcher->queries.grad(), expected.by_query, 1e-10));
}

#define EXPECTED(NAME)                                       \
  Expected {                                                 \
    numbers(ref::k##NAME##Saliency, {kB, kC, kR}),           \
        numbers(ref::k##NAME##Region, {kB, kC, kD}),         \
        numbers(ref::k##NAME##Query, {kB, kC, kD}),          \
        numbers(ref::k##NAME##RegionLogits, {kB, kC}),       \
        numbers(ref::k##NAME##QueryLogits, {kB, kC}),        \
        numbers(ref::k##NAME##RegionGradient, {kB, kR, kD}), \
        numbers(ref::k##NAME##QueryGradient, {kC, kD})       \
  }

void check_equal(const RegionMatch& a, const RegionMatch& b, double tolerance) {
  CHECK(is_close(a.region_features, b.region_features, tolerance));
  CHECK(is_close(a.query_features, b.query_features, tolerance));
  CHECK(is_close(a.region_logits, b.region_logits, tolerance));
  CHECK(is_close(a.query_logits, b.query_logits, tolerance));
}

}  // namespace

TEST_CASE("RegionMatcher: against the reference, values and gradients") {
  check_reference(options(), text(), EXPECTED(Block));
  check_reference(options(), text().narrow(0, 0, 1), EXPECTED(OnePrompt));
  check_reference(options(), text()[0], EXPECTED(OnePrompt));
  check_reference(
      options().attn_dim(6).heads(3).mlp_hidden(5), text(), EXPECTED(Heads));
  check_reference(options().query_residual(true), text(), EXPECTED(Residual));
  check_reference(options().layers(2).heads(2), text(), EXPECTED(Decoder));
}

TEST_CASE("RegionMatcher: one region takes all the attention") {
  RegionMatcher matcher = filled(options());
  const at::Tensor v = fill({2, 1, kD}, 5);
  const RegionMatch match = matcher->forward(v, text());
  CHECK(is_equal(match.saliency, at::ones({2, kC, 1})));
  const at::Tensor unit = trmml::functional::l2_normalise(v).expand({2, kC, kD});
  CHECK(is_close(match.region_features, unit, 1e-12));
  const at::Tensor t = trmml::functional::l2_normalise(text());
  CHECK(is_close(
      match.region_logits,
      (unit * (t[0] - t[1])).sum(-1) * matcher->logit_scale.exp(),
      1e-12));
}

TEST_CASE("RegionMatcher: gradients in double") {
  const auto check = [](const RegionMatcherOptions& chosen, const at::Tensor& words) {
    RegionMatcher matcher = filled(chosen);
    const auto outputs = [&](const std::vector<at::Tensor>& in) {
      const RegionMatch match = matcher->forward(in[0], in[1]);
      return at::cat(
          {match.saliency.flatten(),
           match.region_features.flatten(),
           match.query_features.flatten(),
           match.region_logits.flatten(),
           match.query_logits.flatten()});
    };
    CHECK(support::gradient_error(outputs, {fill({2, 3, kD}, 9), words}) < 1e-6);

    // And by every parameter, along one direction each.
    const at::Tensor v = fill({2, 3, kD}, 9);
    const auto loss = [&] {
      const at::Tensor y = outputs({v, words});
      return (y * fill({y.size(0)}, 4)).sum();
    };
    matcher->zero_grad();
    loss().backward();
    for (const auto& parameter : matcher->named_parameters()) {
      at::Tensor p = parameter.value();
      const at::Tensor direction = fill(p.sizes(), 11);
      const double analytic =
          p.grad().defined() ? (p.grad() * direction).sum().item<double>() : 0;
      const auto moved = [&](double step) {
        const c10::NoGradGuard guard;
        p.add_(direction * step);
        const double value = loss().item<double>();
        p.sub_(direction * step);
        return value;
      };
      const double numeric = (moved(1e-6) - moved(-1e-6)) / 2e-6;
      INFO(parameter.key());
      CHECK(analytic == Catch::Approx(numeric).epsilon(1e-5).margin(1e-7));
    }
  };
  check(options(), text());
  check(options().heads(2).attn_dim(4), text()[0]);
  check(options().layers(1), text());
}

TEST_CASE("RegionMatcher: categories in chunks are the same as at once") {
  for (const int64_t chunk : {1, 3, 4, 9}) {
    const RegionMatch whole = filled(options().heads(2))->forward(regions(), text());
    const RegionMatch parts =
        filled(options().heads(2).category_chunk(chunk))->forward(regions(), text());
    check_equal(parts, whole, 1e-12);
    CHECK(is_close(parts.saliency, whole.saliency, 1e-12));
  }
  // Single precision.
  RegionMatcher whole(options());
  RegionMatcher parts(options().category_chunk(3));
  support::save_and_load(whole, parts);
  const at::Tensor v = regions().to(at::kFloat);
  check_equal(
      parts->forward(v, text().to(at::kFloat)),
      whole->forward(v, text().to(at::kFloat)),
      1e-6);
}

TEST_CASE("RegionMatcher: gradients in chunks are the same as at once") {
  struct Case {
    RegionMatcherOptions chosen;
    at::Tensor words;
    bool saliency;
  };
  const std::vector<Case> cases = {
      {options(), text(), true},
      {options(), text()[0], true},
      {options().heads(2), text().narrow(0, 0, 1), true},
      {options().attn_dim(6).query_residual(true), text(), true},
      {options().return_saliency(false), text(), false}};
  for (const Case& c : cases) {
    for (const int64_t chunk : {1, 3}) {
      const auto run = [&](int64_t category_chunk) {
        RegionMatcherOptions chosen = c.chosen;
        RegionMatcher matcher = filled(chosen.category_chunk(category_chunk));
        const at::Tensor v = regions().requires_grad_();
        const at::Tensor words = c.words.clone().requires_grad_();
        std::vector<at::Tensor> results;
        at::Tensor loss = at::zeros({}, at::kDouble);
        {
          const RegionMatch match = matcher->forward(v, words);
          for (const at::Tensor& out :
               {match.region_features,
                match.query_features,
                match.region_logits,
                match.query_logits}) {
            loss = loss + (out * fill(out.sizes(), 8)).sum();
          }
          if (c.saliency) {
            loss = loss + (match.saliency * fill({kB, kC, kR}, 9)).sum();
          }
        }
        loss.backward();
        results = {loss.detach(), v.grad(), words.grad()};
        for (const at::Tensor& parameter : matcher->parameters()) {
          results.push_back(
              parameter.grad().defined() ? parameter.grad()
                                         : at::zeros_like(parameter));
        }
        return results;
      };
      const auto whole = run(kC);
      const auto parts = run(chunk);
      for (size_t i = 0; i < whole.size(); ++i) {
        CHECK(is_close(parts[i], whole[i], 1e-11));
      }
    }
  }
}

TEST_CASE("RegionMatcher: chunks keep the type that autocast computes in") {
  for (const int64_t heads : {1, 2}) {
    const auto gradient = [heads](int64_t category_chunk) {
      RegionMatcher matcher =
          filled(options().heads(heads).category_chunk(category_chunk));
      matcher->to(at::kFloat);
      RegionMatch match;
      {
        const trmml::AutocastGuard autocast(at::kCPU, true);
        match = matcher->forward(regions().to(at::kFloat), text().to(at::kFloat));
      }
      match.query_logits.to(at::kFloat).square().sum().backward();
      return matcher->queries.grad();
    };
    const at::Tensor whole = gradient(kC);
    const double size = whole.abs().max().item<double>();
    CHECK(size > 0);
    CHECK(is_close(gradient(1), whole, 2e-2 * size));
  }
}

TEST_CASE("RegionMatcher: folded projections are the plain ones") {
  // By the functions for any number of heads, as the equations are written.
  RegionMatcher matcher = filled(options().attn_dim(6));
  const at::Tensor v = regions();
  const RegionMatch match = matcher->forward(v, text());
  const at::Tensor normed = matcher->region_norm->forward(v);
  auto& attention = *matcher->attention;
  const at::Tensor weights = attention.weights(
      matcher->query_norm->forward(matcher->queries),
      attention.key_proj->forward(normed));
  CHECK(is_close(match.saliency, weights.squeeze(1), 1e-13));
  const at::Tensor collected =
      attention.collect(weights, attention.value_proj->forward(normed));
  const at::Tensor o = matcher->output_norm->forward(matcher->queries + collected);
  const at::Tensor q = matcher->mlp_out->forward(matcher->mlp_in->forward(o).relu());
  CHECK(is_close(match.query_features, trmml::functional::l2_normalise(q), 1e-12));
}

TEST_CASE(
    "RegionMatcher: a batch is its images; regions and categories have no order") {
  for (const int64_t layers : {0, 2}) {
    RegionMatcher matcher = filled(options().layers(layers));
    const at::Tensor v = regions();
    const RegionMatch batch = matcher->forward(v, text());
    for (int64_t b = 0; b < kB; ++b) {
      const RegionMatch one = matcher->forward(v.narrow(0, b, 1), text());
      CHECK(is_close(one.region_logits, batch.region_logits.narrow(0, b, 1), 1e-12));
      CHECK(is_close(one.query_logits, batch.query_logits.narrow(0, b, 1), 1e-12));
    }

    const RegionMatch flipped = matcher->forward(v.flip(1), text());
    check_equal(flipped, batch, 1e-12);
    CHECK(is_close(flipped.saliency.flip(2), batch.saliency, 1e-12));

    const at::Tensor order = at::tensor({2, 0, 3, 1});
    RegionMatcher permuted = filled(options().layers(layers));
    {
      const c10::NoGradGuard guard;
      permuted->queries.copy_(matcher->queries.index_select(0, order));
    }
    const RegionMatch other = permuted->forward(v, text().index_select(1, order));
    CHECK(is_close(
        other.region_logits, batch.region_logits.index_select(1, order), 1e-12));
    CHECK(
        is_close(other.query_logits, batch.query_logits.index_select(1, order), 1e-12));
  }
}

TEST_CASE("RegionMatcher: one category, an empty batch, large and small features") {
  RegionMatcher matcher(RegionMatcherOptions(1, kD));
  const at::Tensor words = fill({2, 1, kD}, 1).to(at::kFloat);
  const RegionMatch match = matcher->forward(regions().to(at::kFloat), words);
  CHECK(match.query_logits.sizes() == at::IntArrayRef({kB, 1}));
  const RegionMatch empty = matcher->forward(at::zeros({0, kR, kD}), words);
  CHECK(empty.query_logits.sizes() == at::IntArrayRef({0, 1}));
  for (const double size : {0.0, 1e-20, 1e15}) {
    const at::Tensor v = (regions() * size).to(at::kFloat).requires_grad_();
    const RegionMatch extreme = matcher->forward(v, words);
    (extreme.query_logits.sum() + extreme.region_logits.sum()).backward();
    CHECK(extreme.query_logits.isfinite().all().item<bool>());
    CHECK(v.grad().isfinite().all().item<bool>());
  }
}

TEST_CASE("RegionMatcher: initial values") {
  RegionMatcher matcher(RegionMatcherOptions(50, 64).logit_scale_init(20));
  CHECK(matcher->logit_scale.exp().item<double>() == Catch::Approx(20));
  CHECK(matcher->queries.std().item<double>() == Catch::Approx(0.02).epsilon(0.1));
  CHECK(matcher->category_bias.eq(0).all().item<bool>());

  // Queries from text have length sqrt(D), whatever the text's length.
  const at::Tensor words = fill({50, 64}, 1).to(at::kFloat) * 3;
  matcher->set_queries(words);
  CHECK(is_close(
      matcher->queries.detach(), trmml::functional::l2_normalise(words) * 8, 1e-6));
  CHECK(matcher->queries.requires_grad());

  RegionMatcher identity(RegionMatcherOptions(2, 4)
                             .attention_init(AttentionInit::kIdentity)
                             .attention_gain(3));
  CHECK(is_equal(identity->attention->query_proj->weight, 3 * at::eye(4)));
  CHECK(is_equal(identity->attention->key_proj->weight, at::eye(4)));
  CHECK(identity->attention->query_proj->bias.eq(0).all().item<bool>());
  CHECK(identity->attention->key_proj->bias.eq(0).all().item<bool>());

  // The query level starts as the region level.
  RegionMatcher residual(options().query_residual(true));
  const RegionMatch match =
      residual->forward(regions().to(at::kFloat), text().to(at::kFloat));
  CHECK(is_close(match.query_features, match.region_features, 1e-6));
}

TEST_CASE("RegionMatcher: dropout only while training, saliency on demand") {
  RegionMatcher matcher(options().dropout(0.5));
  const at::Tensor v = regions().to(at::kFloat);
  const at::Tensor words = text().to(at::kFloat);
  const auto query = [&] { return matcher->forward(v, words).query_features; };
  CHECK_FALSE(is_equal(query(), query()));
  matcher->eval();
  CHECK(is_equal(query(), query()));

  RegionMatcher quiet(options().return_saliency(false));
  const RegionMatch match = quiet->forward(v, words);
  CHECK_FALSE(match.saliency.defined());
  CHECK(match.query_logits.defined());
}

TEST_CASE("RegionMatcher: clone, save and load, to") {
  for (const int64_t layers : {0, 2}) {
    RegionMatcher matcher = filled(options().layers(layers));
    const RegionMatch before = matcher->forward(regions(), text());
    const auto copy =
        std::dynamic_pointer_cast<trmml::RegionMatcherImpl>(matcher->clone());
    REQUIRE(copy != nullptr);
    CHECK(support::have_equal_state(*copy, *matcher));
    CHECK(support::share_nothing(*copy, *matcher));
    check_equal(copy->forward(regions(), text()), before, 1e-15);
    {
      const c10::NoGradGuard guard;
      for (at::Tensor& parameter : copy->parameters()) {
        parameter.zero_();
      }
    }
    check_equal(matcher->forward(regions(), text()), before, 1e-15);

    RegionMatcher other(matcher->options);
    other->to(at::kDouble);
    support::save_and_load(matcher, other);
    check_equal(other->forward(regions(), text()), before, 1e-15);

    // Other floating types are converted to the parameters'.
    matcher->to(support::other_device(), at::kFloat);
    const RegionMatch half = matcher->forward(
        regions().to(at::kHalf).to(support::other_device()),
        text().to(support::other_device()));
    CHECK(half.query_logits.scalar_type() == at::kFloat);
    CHECK(is_close(half.query_logits.cpu(), before.query_logits, 5e-3));
  }
}

TEST_CASE("RegionMatcher: parameters, print") {
  std::vector<std::string> names;
  for (const auto& parameter : RegionMatcher(options())->named_parameters()) {
    names.push_back(parameter.key());
  }
  CHECK(names.size() == 21);
  CHECK(names[0] == "queries");
  CHECK(names[1] == "logit_scale");
  CHECK(names[2] == "category_bias");
  CHECK(
      support::printed(*RegionMatcher(options().heads(2))) ==
      "trmml::RegionMatcher(n_cls=4, embed_dim=8, attn_dim=8, heads=2, layers=0, "
      "mlp_hidden=16, dropout=0, category_chunk=0)");
}

TEST_CASE("RegionMatcher: bad options") {
  const auto message = [](const RegionMatcherOptions& chosen) {
    return error_of<c10::ValueError>([&] { RegionMatcher matcher(chosen); });
  };
  CHECK(
      message(RegionMatcherOptions(0, 8)) ==
      "RegionMatcher: expected n_cls and embed_dim > 0, got 0 and 8");
  CHECK(
      message(options().attn_dim(0)) ==
      "RegionMatcher: expected attn_dim and mlp_hidden > 0, got 0 and 16");
  CHECK(
      message(options().heads(3)) ==
      "RegionMatcher: expected heads that divide attn_dim 8, got 3");
  CHECK(message(options().layers(-1)) == "RegionMatcher: expected layers >= 0, got -1");
  CHECK(
      message(options().attn_dim(4).attention_init(AttentionInit::kIdentity)) ==
      "RegionMatcher: expected attn_dim = embed_dim 8 with attention_init kIdentity, "
      "got "
      "4");
  CHECK(
      message(options().attention_gain(0)) ==
      "RegionMatcher: expected attention_gain > 0, got 0");
  CHECK(
      message(options().dropout(1)) ==
      "RegionMatcher: expected dropout in [0, 1), got 1");
  CHECK(
      message(options().logit_scale_init(0)) ==
      "RegionMatcher: expected logit_scale_init > 0, got 0");
  CHECK(
      message(options().layers(1).category_chunk(2)) ==
      "RegionMatcher: expected category_chunk >= 0, and 0 with decoder layers (their "
      "self-attention joins all categories), got category_chunk 2 and layers 1");
  RegionMatcher random(options().query_init(QueryInit::kRandom));
  CHECK(error_of<c10::ValueError>([&] {
          random->set_queries(fill({kC, kD}, 1));
        }) == "RegionMatcher::set_queries: expected query_init kText, got kRandom");
}

TEST_CASE("RegionMatcher: bad inputs") {
  RegionMatcher matcher = filled(options());
  const auto message = [&](const at::Tensor& v, const at::Tensor& t) {
    return error_of<c10::ValueError>([&] { matcher->forward(v, t); });
  };
  CHECK(
      message(fill({kB, kR, 7}, 1), text()) ==
      "RegionMatcher::forward: expected region_features of shape [*, *, 8], got [3, 5, "
      "7]");
  CHECK(
      message(fill({kB, 0, kD}, 1), text()) ==
      "RegionMatcher::forward: expected at least one region, got region_features of "
      "shape "
      "[3, 0, 8]");
  CHECK(
      message(regions(), fill({3, kC, kD}, 1)) ==
      "RegionMatcher::forward: expected text_features of shape [2, 4, 8], got [3, 4, "
      "8]");
  CHECK(
      message(regions(), fill({5, kD}, 1)) ==
      "RegionMatcher::forward: expected text_features of shape [4, 8], got [5, 8]");
  CHECK(
      message(regions(), {}) ==
      "RegionMatcher::forward: expected text_features of shape [P, C, D] or [C, D], "
      "got "
      "an undefined tensor");
  CHECK(
      error_of<c10::TypeError>(
          [&] { matcher->forward(regions().to(at::kLong), text()); }) ==
      "RegionMatcher::forward: expected region_features of a floating-point type, got "
      "Long");

  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(
      message(at::full_like(regions(), nan), text()) ==
      "RegionMatcher::forward: expected finite region_features, got NaN or infinity in "
      "3 "
      "of 3 images, first in image 0");
  at::Tensor one = regions();
  one[2][4][7] = std::numeric_limits<double>::infinity();
  CHECK(
      message(one, text()) ==
      "RegionMatcher::forward: expected finite region_features, got NaN or infinity in "
      "1 "
      "of 3 images, first in image 2");
  at::Tensor words = text();
  words[1][0][0] = nan;
  CHECK(
      message(regions(), words) ==
      "RegionMatcher::forward: expected finite text_features, got NaN or infinity");
  CHECK(matcher->options.check_finite());
  matcher->options.check_finite(false);
  CHECK(message(one, text()) == "no error");
}
