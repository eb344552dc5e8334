#include "trmml/method/trm_ml.hpp"

#include "trmml/io/module_weights.hpp"
#include "trmml/io/safetensors.hpp"
#include "trmml/method/classnames.hpp"
#include "trmml/method/trm_ml_loss.hpp"

#include <ATen/ATen.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "method/letters.hpp"
#include "method/small_model.hpp"
#include "method/small_trm_ml.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/modules.hpp"
#include "support/temporary_folder.hpp"
#include "support/tensors.hpp"

using small::kB;
using small::kC;
using small::kD;
using support::classnames;
using support::error_of;
using support::fill;
using support::is_close;
using support::Letters;
using support::make_model;
using support::make_tower;
using support::options;
using trmml::ClassPosition;
using trmml::QueryInit;
using trmml::TrmMl;
using trmml::TrmMlOptions;
using trmml::TrmMlOutput;
using trmml::clip::ImageFeatures;
using trmml::functional::l2_normalise;

namespace {

void check_equal(const TrmMlOutput& a, const TrmMlOutput& b, double tolerance) {
  CHECK(is_close(a.saliency, b.saliency, tolerance));
  CHECK(is_close(a.region_features, b.region_features, tolerance));
  CHECK(is_close(a.query_features, b.query_features, tolerance));
  CHECK(is_close(a.region_logits, b.region_logits, tolerance));
  CHECK(is_close(a.query_logits, b.query_logits, tolerance));
  CHECK(is_close(a.text_features, b.text_features, tolerance));
}

at::Tensor global_generator() {
  return at::globalContext().defaultGenerator(at::kCPU).get_state().clone();
}

}  // namespace

// ---------------------------------------------------------------- wiring

TEST_CASE("TrmMl: prompts, text encoder and matcher, one behind the other") {
  TrmMl model = make_model();
  const ImageFeatures images = small::images();
  const TrmMlOutput output = model->forward(images);
  const at::Tensor text =
      l2_normalise(small::text_encoder()(model->prompt_learner->forward()));
  const trmml::RegionMatch match = model->matcher->forward(images.regions, text);
  check_equal(
      output,
      {match.saliency,
       match.region_features,
       match.query_features,
       match.region_logits,
       match.query_logits,
       text},
      1e-6);
  CHECK(output.saliency.sizes() == at::IntArrayRef({kB, kC, small::kR}));
  CHECK(output.query_features.sizes() == at::IntArrayRef({kB, kC, kD}));
  CHECK(output.query_logits.sizes() == at::IntArrayRef({kB, kC}));
  CHECK(output.text_features.sizes() == at::IntArrayRef({2, kC, kD}));
  CHECK(is_close(output.text_features.norm(2, -1), at::ones({2, kC}), 1e-5));
}

TEST_CASE("TrmMl: text features given or computed agree, the global one is not read") {
  TrmMl model = make_model();
  ImageFeatures images = small::images();
  const TrmMlOutput output = model->forward(images);
  check_equal(output, model->forward(images, model->text_features()), 0);
  images.global = at::Tensor();
  check_equal(output, model->forward(images), 0);
}

TEST_CASE("TrmMl: queries start from the frozen text, or at random") {
  TrmMl model = make_model();
  CHECK(is_close(
      model->matcher->queries,
      l2_normalise(small::frozen_text()) * std::sqrt(static_cast<double>(kD)),
      1e-5));
  TrmMlOptions random = options();
  random.matcher().query_init(QueryInit::kRandom);
  at::manual_seed(1);
  TrmMl other(random, small::embeddings(), small::text_encoder());
  CHECK(other->matcher->queries.abs().max().item<double>() < 0.2);
  CHECK(other->matcher->queries.abs().max().item<double>() > 0);
}

TEST_CASE("TrmMl: forward changes no state and draws no random numbers") {
  TrmMl model = make_model();
  const auto copy = std::dynamic_pointer_cast<trmml::TrmMlImpl>(model->clone());
  const at::Tensor before = global_generator();
  model->forward(small::images());
  CHECK(global_generator().equal(before));
  CHECK(support::have_equal_state(*model, *copy));
}

// ---------------------------------------------------------------- invariants

TEST_CASE("TrmMl: a batch of n pictures is n single ones") {
  TrmMl model = make_model();
  const ImageFeatures images = small::images();
  const TrmMlOutput whole = model->forward(images);
  for (int64_t b = 0; b < kB; ++b) {
    const TrmMlOutput one =
        model->forward({images.global.narrow(0, b, 1), images.regions.narrow(0, b, 1)});
    CHECK(is_close(one.saliency, whole.saliency.narrow(0, b, 1), 1e-5));
    CHECK(is_close(one.region_logits, whole.region_logits.narrow(0, b, 1), 1e-5));
    CHECK(is_close(one.query_logits, whole.query_logits.narrow(0, b, 1), 1e-5));
  }
  const TrmMlOutput none =
      model->forward({images.global.narrow(0, 0, 0), images.regions.narrow(0, 0, 0)});
  CHECK(none.region_logits.sizes() == at::IntArrayRef({0, kC}));
}

TEST_CASE("TrmMl: the order of the categories does not matter") {
  const std::vector<int64_t> order = {2, 0, 1};
  const at::Tensor index = at::tensor(order, at::kLong);
  for (const bool class_specific : {false, true}) {
    TrmMlOptions chosen = options();
    chosen.prompts().class_specific(class_specific);
    TrmMl model = make_model(chosen);
    at::manual_seed(1);
    TrmMl other(
        chosen,
        small::embeddings(order),
        small::text_encoder(),
        small::frozen_text().index_select(0, index));
    {
      const at::NoGradGuard no_grad;
      const at::Tensor& ctx = model->prompt_learner->ctx;
      other->prompt_learner->ctx.copy_(
          class_specific ? ctx.index_select(1, index) : ctx);
    }
    const TrmMlOutput a = model->forward(small::images());
    const TrmMlOutput b = other->forward(small::images());
    CHECK(is_close(b.saliency, a.saliency.index_select(1, index), 1e-5));
    CHECK(is_close(b.region_logits, a.region_logits.index_select(1, index), 1e-5));
    CHECK(is_close(b.query_logits, a.query_logits.index_select(1, index), 1e-5));
    CHECK(is_close(b.text_features, a.text_features.index_select(1, index), 1e-5));
  }
}

TEST_CASE("TrmMl: one category, one prompt") {
  at::manual_seed(1);
  TrmMl single(
      options(1), small::embeddings({1}), small::text_encoder(), small::frozen_text(1));
  CHECK(
      single->forward(small::images()).query_logits.sizes() ==
      at::IntArrayRef({kB, 1}));

  TrmMlOptions chosen = options();
  chosen.prompts().n_prompts(1);
  TrmMl model = make_model(chosen);
  const TrmMlOutput before = model->forward(small::images());
  CHECK(before.text_features.sizes() == at::IntArrayRef({1, kC, kD}));
  {
    const at::NoGradGuard no_grad;
    model->matcher->category_bias.add_(0.5);
  }
  const TrmMlOutput after = model->forward(small::images());
  CHECK(is_close(after.region_logits, before.region_logits - 5, 1e-4));  // s = 10
}

// ---------------------------------------------------------------- what is trained

TEST_CASE("TrmMl: every trained parameter is in one group, once") {
  for (const int64_t n_prompts : {1, 2}) {
    TrmMlOptions chosen = options();
    chosen.prompts().n_prompts(n_prompts);
    TrmMl model = make_model(chosen);
    const auto groups = model->parameter_groups();
    REQUIRE(groups.size() == 2);
    CHECK(groups[0].name == "prompts");
    CHECK(groups[1].name == "matcher");
    CHECK(groups[0].parameters.size() == 2);
    CHECK(groups[0].parameters[0].is_same(model->prompt_learner->ctx));
    CHECK(groups[0].parameters[1].is_same(model->matcher->logit_scale));
    std::set<at::TensorImpl*> seen;
    for (const auto& group : groups) {
      for (const at::Tensor& parameter : group.parameters) {
        CHECK(seen.insert(parameter.unsafeGetTensorImpl()).second);
      }
    }
    for (const auto& item : model->named_parameters()) {
      const bool used = n_prompts == 1 || item.key() != "matcher.category_bias";
      CHECK(seen.count(item.value().unsafeGetTensorImpl()) == (used ? 1 : 0));
    }
    CHECK(seen.size() == model->parameters().size() - (n_prompts == 1 ? 0 : 1));

    const TrmMlOutput output = model->forward(small::images());
    (output.region_logits.square().sum() + output.query_logits.square().sum())
        .backward();
    for (const auto& item : model->named_parameters()) {
      const bool used = n_prompts == 1 || item.key() != "matcher.category_bias";
      if (item.key() == "matcher.attention.key_proj.bias") {
        continue;  // it adds the same to the scores of all regions: zero but for noise
      }
      INFO(item.key());
      CHECK(
          (item.value().grad().defined() &&
           item.value().grad().abs().max().item<double>() > 1e-8) == used);
    }
  }
}

TEST_CASE("TrmMl: the loss reaches prompts and queries, never the bank") {
  TrmMl model = make_model();
  const TrmMlOutput output = model->forward(small::images());
  const at::Tensor labels =
      support::states({1, 0, -1, 0, 1, 1, -1, -1, 0, 1, 0, -1}, {kB, kC});
  model->bank->update(
      output.query_features.detach(), labels, output.text_features.detach());
  const at::Tensor visual = model->bank->visual().clone();
  trmml::TrmMlLoss loss;
  const auto terms = loss->forward(output, {labels, {}, {}, 0}, model->prototypes());
  CHECK(terms.contrastive_visual.item<double>() > 0);
  terms.total.backward();
  CHECK(model->prompt_learner->ctx.grad().abs().sum().item<double>() > 0);
  CHECK(model->matcher->queries.grad().abs().sum().item<double>() > 0);
  CHECK_FALSE(model->bank->visual().requires_grad());
  CHECK(model->bank->visual().equal(visual));
}

// ---------------------------------------------------------------- copies and files

TEST_CASE("TrmMl: a clone has its own weights and prototypes") {
  TrmMl model = make_model();
  const TrmMlOutput expected = model->forward(small::images());
  const at::Tensor labels = fill({kB, kC}, 3).sign().to(at::kChar);
  model->bank->update(
      expected.query_features.detach(), labels, expected.text_features.detach());
  const auto copy = std::dynamic_pointer_cast<trmml::TrmMlImpl>(model->clone());
  REQUIRE(copy);
  CHECK(support::have_equal_state(*copy, *model));
  CHECK(support::share_nothing(*copy, *model));
  check_equal(copy->forward(small::images()), expected, 0);
  CHECK(copy->prototypes() != model->prototypes());
  {
    const at::NoGradGuard no_grad;
    copy->matcher->queries.zero_();
    copy->bank->clear();
  }
  check_equal(model->forward(small::images()), expected, 0);
  CHECK(model->bank->visual_ready().any().item<bool>());
}

TEST_CASE("TrmMl: through a file and back") {
  const support::TemporaryFolder folder;
  TrmMl model = make_model();
  const TrmMlOutput expected = model->forward(small::images());
  const at::Tensor labels = fill({kB, kC}, 3).sign().to(at::kChar);
  model->bank->update(
      expected.query_features.detach(), labels, expected.text_features.detach());
  trmml::io::write_safetensors(
      folder / "model.safetensors", trmml::io::module_tensors(*model));

  TrmMl other = make_model(options(), 2);
  CHECK_FALSE(support::have_equal_state(*other, *model));
  const auto file = trmml::io::read_safetensors(folder / "model.safetensors");
  trmml::io::load_module(*other, file.tensors, "model.safetensors");
  CHECK(support::have_equal_state(*other, *model));
  check_equal(other->forward(small::images()), expected, 0);

  for (const char* name :
       {"prompt_learner.ctx",
        "prompt_learner.token_names",
        "matcher.queries",
        "matcher.logit_scale",
        "matcher.attention.query_proj.weight",
        "bank.visual",
        "bank.negative_ready"}) {
    CHECK(file.tensors.count(name) == 1);  // names are part of the format
  }

  TrmMlOptions larger = options();
  larger.prompts().n_ctx(4);
  TrmMl misfit = make_model(larger);
  const auto before = std::dynamic_pointer_cast<trmml::TrmMlImpl>(misfit->clone());
  CHECK(
      error_of<trmml::CheckpointError>([&] {
        trmml::io::load_module(*misfit, file.tensors, "model.safetensors");
      }) ==
      "model.safetensors: 1 of another shape: prompt_learner.ctx expected [2, 4, 6], "
      "got [2, 2, 6]");
  CHECK(support::have_equal_state(*misfit, *before));
}

TEST_CASE("TrmMl: to another device and type") {
  TrmMl model = make_model();
  const at::Tensor z = model->forward(small::images()).query_logits;
  model->to(at::kDouble);
  const at::Tensor in_double = model->forward(small::images(at::kDouble)).query_logits;
  CHECK(in_double.scalar_type() == at::kDouble);
  CHECK(is_close(z, in_double, 1e-4));
}

TEST_CASE("TrmMl: messages") {
  const auto build = [](const TrmMlOptions& chosen, const at::Tensor& frozen) {
    return error_of<c10::ValueError>([&] {
      TrmMl model(chosen, small::embeddings(), small::text_encoder(), frozen);
    });
  };
  TrmMlOptions contradiction = options();
  contradiction.bank(trmml::CategoryPrototypeBankOptions(kC + 1, kD));
  CHECK(
      build(contradiction, small::frozen_text()) ==
      "TrmMl: expected parts of the same n_cls and embed_dim, got n_cls 3, 3 and 4, "
      "embed_dim 8 and 8");
  contradiction = options();
  contradiction.matcher(trmml::RegionMatcherOptions(kC, kD + 2));
  CHECK(
      build(contradiction, small::frozen_text()).find("embed_dim 10 and 8") !=
      std::string::npos);
  contradiction = options();
  contradiction.prompts().n_prompts(3);
  CHECK(
      build(contradiction, small::frozen_text()) ==
      "TrmMl: expected 1 or 2 prompts a category, got 3");
  contradiction = options();
  contradiction.prompts(small::prompts(kC - 1));
  CHECK(
      build(contradiction, small::frozen_text()).find("n_cls 2, 3 and 3") !=
      std::string::npos);
  CHECK(
      build(options(), {}) ==
      "RegionMatcher::set_queries: expected text_features of shape [3, 8], got an "
      "undefined tensor");

  TrmMl model = make_model();
  ImageFeatures images = small::images();
  images.regions[2][1][3] = std::numeric_limits<double>::quiet_NaN();
  CHECK(
      error_of<c10::ValueError>([&] { model->forward(images); }) ==
      "RegionMatcher::forward: expected finite region_features, got NaN or infinity in "
      "1 of 4 images, first in image 2");
  images.regions = at::zeros({kB, small::kR, kD + 1});
  CHECK(
      error_of<c10::ValueError>([&] { model->forward(images); }) ==
      "RegionMatcher::forward: expected region_features of shape [*, *, 8], got [4, 5, "
      "9]");
  CHECK(support::printed(*model) == "trmml::TrmMl");
}

// ---------------------------------------------------------------- text

TEST_CASE("TrmMl: without learned context a prompt is the text itself") {
  trmml::clip::TextTransformer tower = make_tower();
  TrmMlOptions chosen(kC, 16, kD);
  chosen.prompts().n_ctx(2).init_std(0);
  TrmMl model(
      chosen,
      trmml::embed_classnames(
          tower, trmml::tokenize_classnames(Letters(), classnames(), "a b")),
      [&tower](const trmml::Prompts& p) { return tower->forward(p); },
      small::frozen_text());
  const at::Tensor ids = at::tensor(
                             {38, 1, 2, 3,  1,  20, 27, 39, 0,  //
                              38, 1, 2, 15, 27, 39, 0,  0,  0,  //
                              38, 1, 2, 20, 1,  24, 9,  27, 39},
                             at::kLong)
                             .view({3, 9});
  CHECK(is_close(model->text_features()[0], l2_normalise(tower->forward(ids)), 1e-5));
}

TEST_CASE("TrmMl: packed prompts through a frozen tower equal padded ones") {
  const auto tokens = trmml::tokenize_classnames(Letters(), classnames());
  for (const auto type : {at::kDouble, at::kFloat}) {
    const double tolerance = type == at::kDouble ? 1e-10 : 1e-5;
    for (const bool class_specific : {false, true}) {
      for (const auto position : {ClassPosition::kEnd, ClassPosition::kMiddle}) {
        trmml::clip::TextTransformer tower = make_tower();
        tower->to(type);
        TrmMlOptions chosen(kC, 16, kD);
        chosen.prompts().n_ctx(5).init_std(0.5).class_specific(class_specific);
        chosen.prompts().class_position(position);
        const auto names = trmml::embed_classnames(tower, tokens);
        const auto packed = [&tower](const trmml::Prompts& p) {
          return tower->forward(p);
        };
        const auto padded = [&tower](const trmml::Prompts& p) {
          const trmml::DensePrompts dense = p.dense();
          return tower
              ->forward_embeddings(
                  dense.embeddings.flatten(0, 1),
                  dense.end_positions.repeat({p.n_prompts()}))
              .view({p.n_prompts(), p.n_cls(), -1});
        };
        const auto run = [&](const trmml::TextEncoder& encoder) {
          at::manual_seed(3);
          TrmMl model(chosen, names, encoder, small::frozen_text());
          model->to(type);
          const TrmMlOutput output = model->forward(small::images(type));
          (output.region_logits * fill({kB, kC}, 5).to(type)).sum().backward();
          return std::make_pair(output, model->prompt_learner->ctx.grad());
        };
        const auto [a, a_gradient] = run(packed);
        const auto [b, b_gradient] = run(padded);
        CHECK(is_close(a.text_features, b.text_features, tolerance));
        CHECK(is_close(a.region_logits, b.region_logits, 50 * tolerance));
        CHECK(is_close(a.query_logits, b.query_logits, 50 * tolerance));
        const double size = b_gradient.norm().item<double>();
        CHECK(size > 0);
        CHECK((a_gradient - b_gradient).norm().item<double>() < tolerance * size);
        for (const at::Tensor& parameter : tower->parameters()) {
          CHECK_FALSE(parameter.grad().defined());  // gradients only pass through
        }
      }
    }
  }
}
