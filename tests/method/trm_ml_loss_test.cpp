#include "trmml/method/trm_ml_loss.hpp"

#include <ATen/ATen.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "reference/method.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/modules.hpp"
#include "support/tensors.hpp"

namespace ref = reference::method;
using support::error_of;
using support::fill;
using support::fill_labels;
using support::is_close;
using support::numbers;
using trmml::CategoryPrototypeBank;
using trmml::Distillation;
using trmml::TrmMlLoss;
using trmml::TrmMlLossOptions;
using trmml::TrmMlLossTerms;
using trmml::TrmMlOutput;
using trmml::TrmMlTargets;
using trmml::UnknownLabels;
using trmml::functional::l2_normalise;

namespace {

// ---------------------------------------------------------------- the reference's
// batch

constexpr int64_t kB = 5;
constexpr int64_t kC = 4;
constexpr int64_t kD = 6;

/// An output whose tensors are leaves of the graph.
TrmMlOutput leaves() {
  TrmMlOutput output;
  output.region_logits = (3 * fill({kB, kC}, 1)).requires_grad_();
  output.query_logits = (3 * fill({kB, kC}, 2)).requires_grad_();
  output.region_features = l2_normalise(fill({kB, kC, kD}, 3)).requires_grad_();
  output.query_features = l2_normalise(fill({kB, kC, kD}, 4)).requires_grad_();
  output.text_features = l2_normalise(fill({2, kC, kD}, 5)).requires_grad_();
  return output;
}

at::Tensor labels() {
  return fill_labels({kB, kC}, 7);
}

at::Tensor pseudo_labels() {
  return fill_labels({kB, kC}, 8).masked_fill(labels().ne(0), 0);
}

at::Tensor soft_targets() {
  return at::where(
      labels().eq(0), (fill({kB, kC}, 9) + 1) / 2, labels().gt(0).to(at::kDouble));
}

/// Visual prototypes of all categories but the third.
CategoryPrototypeBank make_bank() {
  CategoryPrototypeBank bank(trmml::CategoryPrototypeBankOptions(kC, kD));
  bank->to(at::kDouble);
  auto buffers = bank->named_buffers();
  buffers["visual"].copy_(l2_normalise(fill({kC, kD}, 6)));
  buffers["visual_ready"].copy_(numbers({1, 1, 0, 1}, {kC}));
  return bank;
}

/// All terms in the order of the reference; -1 where there is none.
at::Tensor term_values(const TrmMlLossTerms& terms) {
  std::vector<double> values;
  for (const at::Tensor& term :
       {terms.classification_region,
        terms.classification_query,
        terms.pseudo_region,
        terms.pseudo_query,
        terms.distillation,
        terms.contrastive_visual,
        terms.contrastive_text,
        terms.total}) {
    values.push_back(term.defined() ? term.item<double>() : -1.0);
  }
  return at::tensor(values, at::kDouble);
}

at::Tensor gradients(const TrmMlOutput& output) {
  std::vector<at::Tensor> all;
  for (const at::Tensor& leaf :
       {output.region_logits,
        output.query_logits,
        output.region_features,
        output.query_features,
        output.text_features}) {
    all.push_back(
        (leaf.grad().defined() ? leaf.grad() : at::zeros_like(leaf)).flatten());
  }
  return at::cat(all);
}

template <size_t n, size_t m>
void check_reference(
    const TrmMlLossOptions& options,
    const TrmMlTargets& targets,
    const double (&terms)[n],
    const double (&gradient)[m],
    bool with_bank = true,
    double tolerance = 1e-10) {
  TrmMlLoss loss(options);
  CategoryPrototypeBank bank = make_bank();
  const TrmMlOutput output = leaves();
  const TrmMlLossTerms result =
      loss->forward(output, targets, with_bank ? bank.get() : nullptr);
  CHECK(is_close(
      term_values(result), numbers(terms, {static_cast<int64_t>(n)}), tolerance));
  result.total.backward();
  CHECK(is_close(
      gradients(output), numbers(gradient, {static_cast<int64_t>(m)}), tolerance));
}

std::vector<std::string> names_of(const TrmMlLossTerms& terms) {
  std::vector<std::string> names;
  for (const auto& [name, value] : terms.named()) {
    names.push_back(name);
  }
  return names;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("TrmMlLoss: known labels, against the reference") {
  const TrmMlTargets targets{labels(), {}, {}, 0};
  check_reference({}, targets, ref::kDefaultTerms, ref::kDefaultGradient);
  check_reference({}, targets, ref::kNoBankTerms, ref::kNoBankGradient, false);
  check_reference(
      TrmMlLossOptions().distillation(Distillation::kNone).contrastive_weight(0),
      targets,
      ref::kPlainTerms,
      ref::kPlainGradient);
  check_reference(
      TrmMlLossOptions()
          .distillation(Distillation::kCosine)
          .distillation_weight(0.25)
          .region_weight(0.5)
          .query_weight(2)
          .contrastive_weight(0.7)
          .classification(trmml::AsymmetricLossOptions().normalisation(
              trmml::LossNormalisation::kBatch)),
      targets,
      ref::kWeightedTerms,
      ref::kWeightedGradient);
}

TEST_CASE("TrmMlLoss: pseudo-labels and soft targets, against the reference") {
  const TrmMlLossOptions options = TrmMlLossOptions().pseudo_weight(1.7);
  const TrmMlTargets targets{labels(), pseudo_labels(), {}, 1};
  check_reference(options, targets, ref::kPseudoTerms, ref::kPseudoGradient);
  check_reference(
      TrmMlLossOptions(options).pseudo_anchors(false),
      targets,
      ref::kNoPseudoAnchorsTerms,
      ref::kNoPseudoAnchorsGradient);
  check_reference(
      TrmMlLossOptions().pseudo_weight(0.6),
      {labels(), pseudo_labels(), soft_targets(), 1},
      ref::kSoftTerms,
      ref::kSoftGradient);
}

TEST_CASE("TrmMlLoss: single-positive forms, against the reference") {
  const auto assume =
      TrmMlLossOptions().unknown_labels(UnknownLabels::kAssumeAbsent).pseudo_weight(9);
  constexpr double kFloat = 1e-7;  // weights such as 0.3 are floats
  check_reference(
      assume,
      {labels(), {}, {}, 0},
      ref::kAbsentTerms,
      ref::kAbsentGradient,
      true,
      kFloat);
  check_reference(
      TrmMlLossOptions(assume).absent_weight(0.2).pseudo_positive_weight(0.4),
      {labels(), pseudo_labels(), {}, 1},
      ref::kAbsentPseudoTerms,
      ref::kAbsentPseudoGradient,
      true,
      kFloat);
  check_reference(
      TrmMlLossOptions(assume).pseudo_positive_weight(9),  // not that of soft targets
      {labels(), pseudo_labels(), soft_targets(), 1},
      ref::kAbsentSoftTerms,
      ref::kAbsentSoftGradient);
  const auto splc = TrmMlLossOptions().unknown_labels(UnknownLabels::kSplc);
  check_reference(
      splc, {labels(), {}, {}, 0}, ref::kSplcFirstTerms, ref::kSplcFirstGradient);
  check_reference(
      splc, {labels(), {}, {}, 1}, ref::kSplcLaterTerms, ref::kSplcLaterGradient);
}

TEST_CASE("TrmMlLoss: the reference sees every part of the batch") {
  // Otherwise the comparisons above would prove little.
  for (const int64_t y : {-1, 0, 1}) {
    CHECK(labels().eq(y).sum().item<int64_t>() >= 2);
  }
  CHECK(pseudo_labels().gt(0).any().item<bool>());
  CHECK(pseudo_labels().lt(0).any().item<bool>());
  CHECK(labels().select(1, 2).gt(0).any().item<bool>());  // where no prototype is
  CHECK(ref::kSplcFirstTerms[1] != ref::kSplcLaterTerms[1]);
}

TEST_CASE("TrmMlLoss: rows of the ablation are one switch each") {
  CategoryPrototypeBank bank = make_bank();
  const auto terms = [&](const TrmMlLossOptions& options, bool pseudo) {
    const TrmMlTargets targets{
        labels(), pseudo ? pseudo_labels() : at::Tensor(), {}, 1};
    return TrmMlLoss(options)->forward(leaves(), targets, bank.get());
  };
  const auto plain =
      TrmMlLossOptions().distillation(Distillation::kNone).contrastive_weight(0);
  const auto distilled = TrmMlLossOptions().contrastive_weight(0);
  const auto contrasted = TrmMlLossOptions().pseudo_anchors(false);
  const Names both = {"classification_region", "classification_query"};
  const auto and_then = [](Names names, const Names& more) {
    names.insert(names.end(), more.begin(), more.end());
    return names;
  };
  const auto region = terms(plain, false);
  const auto distillation = terms(distilled, false);
  const auto contrast = terms(contrasted, false);
  const auto all = terms(contrasted, true);
  CHECK(names_of(region) == and_then(both, {"total"}));
  CHECK(names_of(distillation) == and_then(both, {"distillation", "total"}));
  CHECK(
      names_of(contrast) ==
      and_then(
          both, {"distillation", "contrastive_visual", "contrastive_text", "total"}));
  CHECK(
      names_of(all) == and_then(
                           both,
                           {"pseudo_region",
                            "pseudo_query",
                            "distillation",
                            "contrastive_visual",
                            "contrastive_text",
                            "total"}));
  // What a row shares with the one before it stays as it was.
  CHECK(distillation.classification_query.equal(region.classification_query));
  CHECK(contrast.distillation.equal(distillation.distillation));
  CHECK(all.contrastive_visual.equal(contrast.contrastive_visual));
  CHECK(is_close(distillation.total, region.total + distillation.distillation, 1e-12));
  CHECK(is_close(
      all.total, contrast.total + all.pseudo_region + all.pseudo_query, 1e-12));
}

TEST_CASE("TrmMlLoss: a batch of unknown labels") {
  CategoryPrototypeBank bank = make_bank();
  const TrmMlOutput output = leaves();
  const TrmMlLossTerms terms = TrmMlLoss()->forward(
      output, {at::zeros({kB, kC}, at::kChar), {}, {}, 0}, bank.get());
  CHECK(terms.classification_region.item<double>() == 0);
  CHECK(terms.classification_query.item<double>() == 0);
  CHECK(terms.contrastive_visual.item<double>() == 0);
  CHECK(terms.contrastive_text.item<double>() == 0);
  CHECK(terms.distillation.item<double>() > 0);
  CHECK(terms.total.equal(terms.distillation));
  terms.total.backward();
  CHECK(gradients(output).isfinite().all().item<bool>());
  CHECK(output.query_logits.grad().abs().sum().item<double>() > 0);
}

TEST_CASE("TrmMlLoss: no positive label, no contrast") {
  CategoryPrototypeBank bank = make_bank();
  const TrmMlOutput output = leaves();
  const TrmMlLossTerms terms = TrmMlLoss()->forward(
      output, {labels().masked_fill(labels().gt(0), -1), {}, {}, 0}, bank.get());
  CHECK(terms.contrastive_visual.item<double>() == 0);
  CHECK(terms.contrastive_text.item<double>() == 0);
  CHECK(terms.classification_region.item<double>() > 0);
  terms.total.backward();
  CHECK(gradients(output).isfinite().all().item<bool>());
}

TEST_CASE("TrmMlLoss: prototypes that do not exist yet") {
  CategoryPrototypeBank bank(trmml::CategoryPrototypeBankOptions(kC, kD));
  const TrmMlTargets targets{labels(), {}, {}, 0};
  const TrmMlLossTerms terms = TrmMlLoss()->forward(leaves(), targets, bank.get());
  CHECK_FALSE(terms.contrastive_visual.defined());
  CHECK_FALSE(terms.contrastive_text.defined());
  CHECK(is_close(term_values(terms), numbers(ref::kNoBankTerms, {8}), 1e-10));
}

TEST_CASE("TrmMlLoss: one category") {
  TrmMlOutput output = leaves();
  output.region_logits = output.region_logits.narrow(1, 0, 1);
  output.query_logits = output.query_logits.narrow(1, 0, 1);
  output.region_features = output.region_features.narrow(1, 0, 1);
  output.query_features = output.query_features.narrow(1, 0, 1);
  output.text_features = output.text_features.narrow(1, 0, 1);
  CategoryPrototypeBank bank(trmml::CategoryPrototypeBankOptions(1, kD));
  bank->to(at::kDouble);
  bank->update(
      output.query_features.detach(),
      support::states({1, 1, -1, 0, 1}, {kB, 1}),
      output.text_features.detach());
  const TrmMlLossTerms terms = TrmMlLoss()->forward(
      output, {support::states({1, 1, -1, 0, 1}, {kB, 1}), {}, {}, 0}, bank.get());
  CHECK(terms.distillation.item<double>() == 0);  // nothing to distribute
  CHECK(terms.contrastive_visual.item<double>() == Catch::Approx(0).margin(1e-12));
  CHECK(terms.contrastive_text.item<double>() == Catch::Approx(0).margin(1e-12));
  CHECK(terms.total.item<double>() > 0);
}

TEST_CASE("TrmMlLoss: outputs without a query level have the region terms only") {
  CategoryPrototypeBank bank = make_bank();
  TrmMlOutput output;
  output.region_logits = leaves().region_logits;
  output.text_features = leaves().text_features;
  const TrmMlLossTerms terms =
      TrmMlLoss()->forward(output, {labels(), pseudo_labels(), {}, 1}, bank.get());
  CHECK(names_of(terms) == Names{"classification_region", "pseudo_region", "total"});
  CHECK(
      is_close(terms.total, terms.classification_region + terms.pseudo_region, 1e-12));
}

TEST_CASE("TrmMlLoss: the bank may change between forward and backward") {
  CategoryPrototypeBank bank = make_bank();
  const TrmMlOutput output = leaves();
  const TrmMlLossTerms terms =
      TrmMlLoss()->forward(output, {labels(), {}, {}, 0}, bank.get());
  bank->update(output.query_features.detach(), labels(), output.text_features.detach());
  CHECK_NOTHROW(terms.total.backward());
  CHECK(is_close(
      gradients(output),
      numbers(ref::kDefaultGradient, {gradients(output).size(0)}),
      1e-10));
}

TEST_CASE("TrmMlLoss: keeps no state and draws no random numbers") {
  CategoryPrototypeBank bank = make_bank();
  TrmMlLoss loss;
  CHECK(loss->parameters().empty());
  CHECK(loss->buffers().empty());
  const at::Tensor before =
      at::globalContext().defaultGenerator(at::kCPU).get_state().clone();
  const TrmMlTargets targets{labels(), pseudo_labels(), {}, 1};
  const at::Tensor first = loss->forward(leaves(), targets, bank.get()).total;
  CHECK(first.equal(loss->forward(leaves(), targets, bank.get()).total));
  CHECK(before.equal(at::globalContext().defaultGenerator(at::kCPU).get_state()));
}

TEST_CASE("TrmMlLoss: clone and printing") {
  CategoryPrototypeBank bank = make_bank();
  TrmMlLoss loss(TrmMlLossOptions().distillation_weight(0.25).contrastive(
      trmml::MultimodalContrastiveLossOptions().temperature(0.3)));
  const auto copy = std::dynamic_pointer_cast<trmml::TrmMlLossImpl>(loss->clone());
  const TrmMlTargets targets{labels(), {}, {}, 0};
  const at::Tensor expected = loss->forward(leaves(), targets, bank.get()).total;
  CHECK(copy->forward(leaves(), targets, bank.get()).total.equal(expected));
  CHECK(
      support::printed(*loss) ==
      "trmml::TrmMlLoss(distillation_weight=0.25, contrastive_weight=0.1, "
      "pseudo_weight=1)");
}

TEST_CASE("TrmMlLoss: messages") {
  for (const auto& options :
       {TrmMlLossOptions().distillation_weight(-1),
        TrmMlLossOptions().contrastive_weight(-1),
        TrmMlLossOptions().pseudo_weight(-1),
        TrmMlLossOptions().absent_weight(-1),
        TrmMlLossOptions().region_weight(-1),
        TrmMlLossOptions().query_weight(-1),
        TrmMlLossOptions().pseudo_positive_weight(-1),
        TrmMlLossOptions().pseudo_absent_weight(-1),
        TrmMlLossOptions().soft_target_weight(-1)}) {
    CHECK(error_of<c10::ValueError>([&] {
            TrmMlLoss loss(options);
          }) == "TrmMlLoss: expected weights >= 0, got a negative one");
  }
  const auto option = [](const TrmMlLossOptions& options) {
    return error_of<c10::ValueError>([&] { TrmMlLoss loss(options); });
  };
  CHECK(
      option(TrmMlLossOptions().distillation_tau(0)) ==
      "TrmMlLoss: expected distillation_tau > 0, got 0");
  CHECK(
      option(TrmMlLossOptions().classification(trmml::AsymmetricLossOptions().margin(
          1))) == "TrmMlLoss: expected margin in [0, 1), got 1");
  CHECK(
      option(TrmMlLossOptions().splc(trmml::SplcOptions().threshold(1))) ==
      "TrmMlLoss: expected threshold in (0, 1), got 1");
  const auto message = [](const at::Tensor& y, const at::Tensor& pseudo = {}) {
    return error_of<c10::ValueError>([&] {
      TrmMlLoss()->forward(leaves(), {y, pseudo, {}, 0});
    });
  };
  CHECK(
      message(at::zeros({kB, kC + 1}, at::kChar)) ==
      "functional::partial_asymmetric_loss: expected labels of shape [5, 4], got [5, "
      "5]");
  CHECK(
      message(labels() * 2).find("in {-1 absent, 0 unknown, +1") != std::string::npos);
  CHECK(message(labels(), at::zeros({1, kC})).find("got [1, 4]") != std::string::npos);
}
