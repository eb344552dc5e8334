#include "trmml/modules/pseudo_labeler.hpp"

#include <cmath>

#include "reference/functional.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/modules.hpp"
#include "support/tensors.hpp"

namespace f = trmml::functional;
namespace ref = reference::functional;
using support::error_of;
using support::fill;
using support::fill_labels;
using support::is_close;
using support::is_equal;
using support::numbers;
using support::states;
using trmml::PositivePrior;
using trmml::PseudoLabeler;
using trmml::PseudoLabelerOptions;
using trmml::PseudoLabelPolicy;
using trmml::PseudoLabels;

namespace {

// What every policy promises.
void check_invariants(const PseudoLabels& pseudo, const at::Tensor& labels) {
  const at::Tensor known = labels.ne(0);
  CHECK(pseudo.labels.masked_select(known).eq(0).all().item<bool>());
  CHECK(is_equal(
      pseudo.soft_targets.masked_select(known), labels.gt(0).masked_select(known)));
  CHECK(pseudo.soft_targets.ge(0)
            .logical_and(pseudo.soft_targets.le(1))
            .all()
            .item<bool>());
  CHECK(pseudo.labels.scalar_type() == at::kChar);
  CHECK(is_equal(pseudo.positives, pseudo.labels.gt(0).sum(0)));
  CHECK(is_equal(pseudo.negatives, pseudo.labels.lt(0).sum(0)));
  CHECK_FALSE(pseudo.soft_targets.requires_grad());
}

PseudoLabelerOptions with(PseudoLabelPolicy policy) {
  return PseudoLabelerOptions().policy(policy);
}

}  // namespace

TEST_CASE("PseudoLabeler: the default policy by hand") {
  // 10 pictures, one category: 1 present, 1 absent, 8 unknown; E+ = 8 (1 + 2.5) / 7 =
  // 4: floor(2.4) = 2 present, floor(0.6 * 4) = 2 absent.
  const at::Tensor labels = states({0, 0, 0, 1, 0, 0, -1, 0, 0, 0}, {10, 1});
  const at::Tensor u = numbers({5, 1, 8, 99, 2, 7, -99, 3, 6, 4}, {10, 1});
  PseudoLabeler labeler;
  const PseudoLabels pseudo = labeler->forward(u, labels);
  CHECK(is_equal(pseudo.labels, states({0, -1, 1, 0, -1, 1, 0, 0, 0, 0}, {10, 1})));
  CHECK(is_equal(
      pseudo.soft_targets, numbers({0.5, 0, 1, 1, 0, 1, 0, 0.5, 0.5, 0.5}, {10, 1})));
  CHECK(pseudo.positives.item<int64_t>() == 2);
  CHECK(pseudo.negatives.item<int64_t>() == 2);
  CHECK(labeler->expected_positives(labels).item<double>() == Catch::Approx(4));
}

TEST_CASE("PseudoLabeler: relation policies against the reference") {
  const at::Tensor u = numbers(ref::kEvidenceCombined, {30, 5}).requires_grad_();
  const at::Tensor labels = fill_labels({30, 5}, 9);
  const PseudoLabels hard = PseudoLabeler()->forward(u, labels);
  CHECK(is_equal(hard.labels, numbers(ref::kRankLabels, {30, 5})));
  check_invariants(hard, labels);

  const PseudoLabels soft =
      PseudoLabeler(with(PseudoLabelPolicy::kRelationsSoft))->forward(u, labels);
  CHECK(is_equal(soft.labels, hard.labels));
  CHECK(is_close(soft.soft_targets, numbers(ref::kSoftTargets, {30, 5}), 1e-10));
  check_invariants(soft, labels);

  const PseudoLabels rank =
      PseudoLabeler(with(PseudoLabelPolicy::kRank))->forward(u, labels);
  CHECK(is_equal(rank.labels, hard.labels));
}

TEST_CASE("PseudoLabeler: the other policies call their rules with the options") {
  const at::Tensor u = fill({60, 3}, 40).to(at::kFloat);
  const at::Tensor labels = fill_labels({60, 3}, 11);

  const PseudoLabels threshold =
      PseudoLabeler(with(PseudoLabelPolicy::kThreshold).upper(0.5).lower(-0.5))
          ->forward(u, labels);
  CHECK(is_equal(
      threshold.labels,
      labels.eq(0).to(at::kChar) *
          (u.ge(0.5).to(at::kChar) - u.le(-0.5).to(at::kChar))));
  check_invariants(threshold, labels);

  const at::Tensor agreeing = u + labels.to(at::kFloat) * 0.6;
  const PseudoLabels precision = PseudoLabeler(with(PseudoLabelPolicy::kPrecision)
                                                   .positive_precision(0.75)
                                                   .negative_precision(0.8))
                                     ->forward(agreeing, labels);
  const trmml::CategoryThresholds t =
      f::precision_thresholds(agreeing, labels, 0.75, 0.8);
  CHECK(is_equal(
      precision.labels,
      f::threshold_pseudo_labels(agreeing, labels, t.upper, t.lower)));
  CHECK(precision.labels.ne(0).any().item<bool>());
  check_invariants(precision, labels);

  const PseudoLabels splc =
      PseudoLabeler(with(PseudoLabelPolicy::kSplc).splc_threshold(0.7))
          ->forward(4 * u, labels);
  CHECK(is_equal(splc.labels, labels.eq(0).logical_and((4 * u).sigmoid().gt(0.7))));
  CHECK(splc.negatives.eq(0).all().item<bool>());
  check_invariants(splc, labels);
}

TEST_CASE("PseudoLabeler: single positive needs a prior") {
  const at::Tensor labels = states({1, 0, 0, 1, 0, 0, 1, 0}, {4, 2});
  const at::Tensor u = fill({4, 2}, 1);
  CHECK(
      error_of<c10::ValueError>([&] { PseudoLabeler()->forward(u, labels); }) ==
      "PseudoLabeler::expected_positives: expected known absences beside the known "
      "positives, got none (single-positive labels need the prior kUniform or "
      "kProportional)");

  PseudoLabelerOptions options = PseudoLabelerOptions()
                                     .prior(PositivePrior::kUniform)
                                     .positives_per_image(1.5)
                                     .positive_share(1)
                                     .negative_share(0);
  PseudoLabeler uniform(options);
  CHECK(is_close(uniform->expected_positives(labels), numbers({1.5, 1.5}, {2})));
  const PseudoLabels pseudo = uniform->forward(u, labels);
  CHECK(is_equal(pseudo.positives, at::tensor({1, 1})));
  CHECK(pseudo.negatives.eq(0).all().item<bool>());
  check_invariants(pseudo, labels);

  PseudoLabeler proportional(options.prior(PositivePrior::kProportional));
  CHECK(is_close(proportional->expected_positives(labels), numbers({2, 1}, {2})));
}

TEST_CASE("PseudoLabeler: all unknown, no positive, all known, empty") {
  const at::Tensor u = fill({6, 2}, 1);
  const at::Tensor unknown = at::zeros({6, 2}, at::kChar);
  for (const auto policy :
       {PseudoLabelPolicy::kRelations,
        PseudoLabelPolicy::kRelationsSoft,
        PseudoLabelPolicy::kRank,
        PseudoLabelPolicy::kPrecision}) {
    const PseudoLabels none = PseudoLabeler(with(policy))->forward(u, unknown);
    CHECK(none.labels.eq(0).all().item<bool>());
    CHECK(none.soft_targets.eq(0.5).all().item<bool>());
  }
  // With a prior, unknown pictures can be labelled.
  const PseudoLabels prior =
      PseudoLabeler(
          PseudoLabelerOptions().prior(PositivePrior::kUniform).positives_per_image(1))
          ->forward(u, unknown);
  CHECK(is_equal(prior.positives, at::tensor({1, 1})));
  CHECK(is_equal(prior.negatives, at::tensor({1, 1})));

  // Known absences only: no positives are expected.
  const at::Tensor absent = states({-1, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, {6, 2});
  const PseudoLabels no_positive = PseudoLabeler()->forward(u, absent);
  CHECK(no_positive.positives.eq(0).all().item<bool>());
  CHECK(is_equal(no_positive.negatives, at::tensor({3, 3})));

  const PseudoLabels all_known = PseudoLabeler()->forward(u, at::ones({6, 2}) * -1);
  CHECK(all_known.labels.eq(0).all().item<bool>());
  const PseudoLabels empty = PseudoLabeler(with(PseudoLabelPolicy::kRelationsSoft))
                                 ->forward(fill({0, 2}, 1), at::zeros({0, 2}));
  CHECK(empty.labels.sizes() == at::IntArrayRef({0, 2}));
  CHECK(empty.positives.eq(0).all().item<bool>());
}

TEST_CASE("PseudoLabeler: categories are independent of their order") {
  const at::Tensor u = numbers(ref::kEvidenceCombined, {30, 5});
  const at::Tensor labels = fill_labels({30, 5}, 9);
  for (const auto policy :
       {PseudoLabelPolicy::kRelations,
        PseudoLabelPolicy::kPrecision,
        PseudoLabelPolicy::kThreshold,
        PseudoLabelPolicy::kSplc}) {
    PseudoLabeler labeler(with(policy));
    CHECK(is_equal(
        labeler->forward(u.flip(1), labels.flip(1)).labels,
        labeler->forward(u, labels).labels.flip(1)));
  }
}

TEST_CASE("PseudoLabeler: clone, device, names, print") {
  PseudoLabeler labeler(with(PseudoLabelPolicy::kPrecision).min_support(4));
  const auto copy =
      std::dynamic_pointer_cast<trmml::PseudoLabelerImpl>(labeler->clone());
  REQUIRE(copy != nullptr);
  CHECK(copy->options.min_support() == 4);

  const at::Tensor u = numbers(ref::kEvidenceCombined, {30, 5});
  const at::Tensor labels = fill_labels({30, 5}, 9);
  for (const auto policy :
       {PseudoLabelPolicy::kRelationsSoft, PseudoLabelPolicy::kPrecision}) {
    PseudoLabeler moved(with(policy));
    const PseudoLabels there = moved->forward(
        u.to(support::other_device()), labels.to(support::other_device()));
    CHECK(there.labels.device() == support::other_device());
    CHECK(is_equal(there.labels.cpu(), moved->forward(u, labels).labels));
  }
  const std::vector<std::string> names{
      "relations", "relations-soft", "threshold", "precision", "rank", "splc"};
  for (size_t i = 0; i < names.size(); ++i) {
    CHECK(trmml::to_string(static_cast<PseudoLabelPolicy>(i)) == names[i]);
    CHECK(
        trmml::parse_pseudo_label_policy(names[i]) ==
        static_cast<PseudoLabelPolicy>(i));
  }
  CHECK(
      support::printed(*PseudoLabeler()) ==
      "trmml::PseudoLabeler(policy=relations, positive_share=0.6, negative_share=0.6)");
}

TEST_CASE("PseudoLabeler: bad options") {
  const auto message = [](const PseudoLabelerOptions& options) {
    return error_of<c10::ValueError>([&] { PseudoLabeler labeler(options); });
  };
  CHECK(
      message(PseudoLabelerOptions().positive_share(1.1)) ==
      "PseudoLabeler: expected positive_share and negative_share in [0, 1], got 1.1 "
      "and "
      "0.6");
  CHECK(
      message(PseudoLabelerOptions().shrinkage(-1)) ==
      "PseudoLabeler: expected shrinkage >= 0, got -1");
  CHECK(
      message(PseudoLabelerOptions().positives_per_image(3)) ==
      "PseudoLabeler: expected no positives_per_image with prior kKnownLabels, got 3");
  CHECK(
      message(PseudoLabelerOptions().prior(PositivePrior::kUniform)) ==
      "PseudoLabeler: expected positives_per_image > 0 with this prior, got 0");
  CHECK(
      message(PseudoLabelerOptions().softness(0)) ==
      "PseudoLabeler: expected softness > 0, got 0");
  CHECK(
      message(PseudoLabelerOptions().lower(0.8)) ==
      "PseudoLabeler: expected lower < upper, got 0.8 and 0.8");
  CHECK(
      message(PseudoLabelerOptions().positive_precision(0)) ==
      "PseudoLabeler: expected positive_precision and negative_precision in (0, 1], "
      "got 0 "
      "and 0.98");
  CHECK(
      message(PseudoLabelerOptions().min_support(0)) ==
      "PseudoLabeler: expected min_support > 0, got 0");
  CHECK(
      message(PseudoLabelerOptions().splc_threshold(1)) ==
      "PseudoLabeler: expected splc_threshold in (0, 1), got 1");
}

TEST_CASE("PseudoLabeler: bad inputs") {
  PseudoLabeler labeler;
  const auto message = [&](const at::Tensor& u, const at::Tensor& labels) {
    return error_of<c10::ValueError>([&] { labeler->forward(u, labels); });
  };
  at::Tensor u = fill({2, 3}, 1);
  const at::Tensor labels = states({1, -1, 0, 0, 0, 0}, {2, 3});
  CHECK(
      message(u, states({1, 0}, {2, 1})) ==
      "PseudoLabeler::forward: expected labels of shape [2, 3], got [2, 1]");
  CHECK(
      message(u[0], labels) ==
      "PseudoLabeler::forward: expected evidence of shape [*, *], got [3]");
  CHECK(
      message(u, labels * 2) ==
      "PseudoLabeler::forward: expected labels in {-1 absent, 0 unknown, +1 present}, "
      "got "
      "2 at [0, 0] (other projects code their labels differently: convert them first)");
  u[1][2] = std::nan("");
  CHECK(
      message(u, labels) ==
      "PseudoLabeler::forward: expected finite evidence, got nan in category 2 "
      "(picture "
      "1)");
  CHECK(
      error_of<c10::TypeError>([&] { labeler->forward(labels, labels); }) ==
      "PseudoLabeler::forward: expected evidence of a floating-point type, got Char");
}
