#include "trmml/functional/pseudo_label.hpp"

#include <cmath>

#include "reference/functional.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
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

TEST_CASE("prototype_evidence: by hand") {
  // q = (0.6, 0.8); P = (1, 0), N = (0, 1): 0.6 - 0.8.
  const at::Tensor e = f::prototype_evidence(
      numbers({3, 4}, {1, 1, 2}), numbers({1, 0}, {1, 2}), numbers({0, 1}, {1, 2}));
  CHECK(e.item<double>() == Catch::Approx(-0.2));
  // Without a positive prototype the category is left out; without a negative one the
  // positive decides: 0.6.
  const auto without = [](const at::Tensor& positive, const at::Tensor& negative) {
    return f::prototype_evidence(numbers({3, 4}, {1, 1, 2}), positive, negative)
        .item<double>();
  };
  const at::Tensor none = at::zeros({1, 2}, at::kDouble);
  CHECK(without(none, numbers({0, 1}, {1, 2})) == 0);
  CHECK(without(numbers({1, 0}, {1, 2}), none) == Catch::Approx(0.6));
}

TEST_CASE("text_relation_evidence: by hand, with and without the floor") {
  // Similarities 1 and 0 over 0.5: softmax 1 / (1 + e^-2) for category 0; category 1's
  // feature is the text of category 0: e^-2 / (1 + e^-2).
  const at::Tensor r = numbers({2, 0, 7, 0}, {1, 2, 2});
  const at::Tensor text = numbers({1, 0, 0, 1}, {2, 2});
  const double share = 1 / (1 + std::exp(-2.0));
  CHECK(is_close(
      f::text_relation_evidence(r, text, 0.5, 0),
      numbers({std::log(share), std::log(1 - share)}, {1, 2}),
      1e-12));
  CHECK(is_close(
      f::text_relation_evidence(r, text, 0.5, 0.25),
      numbers({std::log(share + 0.25), std::log(1 - share + 0.25)}, {1, 2}),
      1e-12));
}

TEST_CASE("relation_evidence: against the reference, category order") {
  const at::Tensor q = fill({30, 5, 6}, 30);
  const at::Tensor r = fill({30, 5, 6}, 31);
  const at::Tensor positive = f::l2_normalise(fill({5, 6}, 32));
  const at::Tensor negative = f::l2_normalise(fill({5, 6}, 33));
  const at::Tensor text = fill({5, 6}, 34);
  const at::Tensor zero_shot = numbers(ref::kEvidenceZeroShot, {30, 5});
  const trmml::RelationEvidence e =
      f::relation_evidence(q, r, positive, negative, text, zero_shot);
  CHECK(is_close(e.prototypes, numbers(ref::kEvidencePrototypes, {30, 5}), 1e-12));
  CHECK(is_close(e.relation, numbers(ref::kEvidenceRelation, {30, 5}), 1e-11));
  CHECK(is_close(e.combined, numbers(ref::kEvidenceCombined, {30, 5}), 1e-10));
  CHECK(is_close(
      f::text_relation_evidence(r, text, 0.05, 0),
      numbers(ref::kRelationPlain, {30, 5}),
      1e-11));

  const at::Tensor order = at::tensor({4, 2, 0, 3, 1});
  const auto moved = [&](const at::Tensor& x, int64_t dim) {
    return x.index_select(dim, order);
  };
  const trmml::RelationEvidence permuted = f::relation_evidence(
      moved(q, 1),
      moved(r, 1),
      moved(positive, 0),
      moved(negative, 0),
      moved(text, 0),
      moved(zero_shot, 1));
  CHECK(is_close(permuted.combined, moved(e.combined, 1), 1e-12));
}

TEST_CASE("text_relation_evidence: chunks do not show") {
  // 4100 categories: 8 pictures are 32800 rows in chunks of 4092.
  const at::Tensor r = fill({8, 4100, 2}, 1).to(at::kFloat);
  const at::Tensor text = fill({4100, 2}, 2).to(at::kFloat);
  const at::Tensor whole = f::text_relation_evidence(r, text);
  CHECK(is_close(
      whole.narrow(0, 7, 1), f::text_relation_evidence(r.narrow(0, 7, 1), text), 1e-5));
}

TEST_CASE("standardise_per_category: by hand; a constant category becomes zero") {
  const at::Tensor scores = numbers({1, 5, 3, 5}, {2, 2});
  CHECK(is_close(
      f::standardise_per_category(scores), numbers({-1, 0, 1, 0}, {2, 2}), 1e-5));
  CHECK(is_close(
      f::combine_evidence({scores, -3 * scores, 2 * scores}),
      numbers({-1.0 / 3, 0, 1.0 / 3, 0}, {2, 2}),
      1e-5));
  CHECK(error_of<c10::ValueError>([] {
          f::combine_evidence({});
        }) == "functional::combine_evidence: expected at least one piece, got 0");
}

TEST_CASE("expected_positives: by hand, nothing known, one category") {
  // Category 0: 1 of 2 known, 3 unknown; category 1: 0 of 1 known, 4 unknown. pi = 1/3.
  const at::Tensor labels = states({1, -1, -1, 0, 0, 0, 0, 0, 0, 0}, {5, 2});
  CHECK(is_close(
      f::expected_positives(labels),
      numbers({3 * (1 + 5.0 / 3) / 7, 4 * (5.0 / 3) / 6}, {2}),
      1e-12));
  CHECK(is_close(f::expected_positives(labels, 0), numbers({1.5, 0}, {2}), 1e-12));
  CHECK(f::expected_positives(states(std::vector<int64_t>(6, 0), {3, 2}), 0)
            .eq(0)
            .all()
            .item<bool>());
  CHECK(
      f::expected_positives(states({1, 0, 0}, {3, 1})).item<double>() ==
      Catch::Approx(2));
}

TEST_CASE("expected_positives_from_prior: uniform, proportional, limits") {
  // 4 pictures of 2 positives each, 3 of them known.
  const at::Tensor labels = states({1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0}, {4, 3});
  CHECK(is_close(
      f::expected_positives_from_prior(labels, 2),
      numbers({5 / 3.0, 5 / 3.0, 5 / 3.0}, {3}),
      1e-12));
  CHECK(is_close(
      f::expected_positives_from_prior(labels, 2, trmml::PriorShape::kProportional),
      numbers({2, 5 / 3.0, 0}, {3}),  // 10/3 in category 0, where only 2 are unknown
      1e-12));
  CHECK(f::expected_positives_from_prior(labels, 0.5).eq(0).all().item<bool>());
  const at::Tensor unknown = states(std::vector<int64_t>(6, 0), {2, 3});
  CHECK(is_close(
      f::expected_positives_from_prior(unknown, 1.5, trmml::PriorShape::kProportional),
      numbers({1, 1, 1}, {3}),
      1e-12));
  CHECK(
      error_of<c10::ValueError>([&] { f::expected_positives_from_prior(labels, 4); }) ==
      "functional::expected_positives_from_prior: expected positives_per_image in (0, "
      "3], "
      "got 4");
}

TEST_CASE("rank_pseudo_labels: by hand, ties keep the order, known entries untouched") {
  // Unknown entries in descending order: 4 (0.9), 2 (0.5), 5 (0.5), 3 (0.1).
  const at::Tensor labels = states({1, -1, 0, 0, 0, 0}, {6, 1});
  const at::Tensor u = numbers({-9, 9, 0.5, 0.1, 0.9, 0.5}, {6, 1});
  const auto pseudo = [&](double expected, double positive, double negative) {
    return f::rank_pseudo_labels(
               u, labels, numbers({expected}, {1}), positive, negative)
        .squeeze(1);
  };
  CHECK(is_equal(pseudo(2, 1, 1), states({0, 0, 1, -1, 1, -1}, {6})));
  CHECK(is_equal(pseudo(2, 0.6, 0.6), states({0, 0, 0, -1, 1, 0}, {6})));
  CHECK(is_equal(pseudo(1.9, 1, 0), states({0, 0, 0, 0, 1, 0}, {6})));
  CHECK(is_equal(pseudo(99, 1, 1), states({0, 0, 1, 1, 1, 1}, {6})));
  CHECK(is_equal(pseudo(0, 1, 1), states({0, 0, -1, -1, -1, -1}, {6})));
  CHECK(f::rank_pseudo_labels(u, labels, numbers({2}, {1})).scalar_type() == at::kChar);
}

TEST_CASE("rank policies: against the reference, picture order, category order") {
  const at::Tensor u = numbers(ref::kEvidenceCombined, {30, 5});
  const at::Tensor labels = fill_labels({30, 5}, 9);
  const at::Tensor expected = f::expected_positives(labels);
  CHECK(is_close(expected, numbers(ref::kExpected, {5}), 1e-12));
  const at::Tensor hard = f::rank_pseudo_labels(u, labels, expected);
  CHECK(is_equal(hard, numbers(ref::kRankLabels, {30, 5})));
  const at::Tensor soft = f::rank_soft_targets(u, labels, expected);
  CHECK(is_close(soft, numbers(ref::kSoftTargets, {30, 5}), 1e-10));

  const at::Tensor reversed = at::arange(29, -1, -1, at::kLong);
  CHECK(is_equal(
      f::rank_pseudo_labels(u.flip(0), labels.flip(0), expected),
      hard.index_select(0, reversed)));
  CHECK(is_equal(
      f::rank_pseudo_labels(u.flip(1), labels.flip(1), expected.flip(0)),
      hard.flip(1)));
}

TEST_CASE("rank_soft_targets: by hand") {
  // E+ = 1: the border is the unknown entry of rank 1, with evidence 1.
  const at::Tensor labels = states({1, -1, 0, 0, 0}, {5, 1});
  const at::Tensor u = numbers({5, 5, 1, 0, 2}, {5, 1});
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  CHECK(is_close(
      f::rank_soft_targets(u, labels, numbers({1.7}, {1})).squeeze(1),
      numbers({1, 0, 0.5, sigmoid(-2), sigmoid(2)}, {5}),
      1e-12));
  CHECK(is_close(  // beyond the last unknown entry: the last one
      f::rank_soft_targets(u, labels, numbers({9}, {1}), 1).squeeze(1),
      numbers({1, 0, sigmoid(1), 0.5, sigmoid(2)}, {5}),
      1e-12));
  CHECK(is_equal(
      f::rank_soft_targets(u, states({1, -1, 1, 1, -1}, {5, 1}), numbers({1}, {1})),
      numbers({1, 0, 1, 1, 0}, {5, 1})));
}

TEST_CASE("threshold_pseudo_labels: inclusive, contradictions stay unknown") {
  const at::Tensor labels = states({0, 0, 0, 1}, {4, 1});
  const at::Tensor u = numbers({0.8, 0.05, 0.5, 0.0}, {4, 1});
  const auto at_values = [&](double upper, double lower) {
    return f::threshold_pseudo_labels(
               u,
               labels,
               at::tensor(upper, at::kDouble),
               at::tensor(lower, at::kDouble))
        .squeeze(1);
  };
  CHECK(is_equal(at_values(0.8, 0.05), states({1, -1, 0, 0}, {4})));
  CHECK(is_equal(at_values(0.5, 0.5), states({1, -1, 0, 0}, {4})));
}

TEST_CASE(
    "precision_thresholds: against the reference; too little support gives none") {
  const at::Tensor y = fill_labels({60, 3}, 11);
  const at::Tensor u = fill({60, 3}, 40) + 0.6 * y.to(at::kDouble);
  const trmml::CategoryThresholds t = f::precision_thresholds(u, y, 0.75, 0.8);
  CHECK(is_close(t.upper, numbers(ref::kUpper, {3}), 1e-12));
  CHECK(is_close(t.lower, numbers(ref::kLower, {3}), 1e-12));

  // Three of each, perfectly ranked, with a tie across the border of the positives.
  const at::Tensor labels = states({1, 1, 1, -1, -1, -1, 0}, {7, 1});
  const at::Tensor ranked = numbers({6, 5, 4, 4, 2, 1, 9}, {7, 1});
  const trmml::CategoryThresholds tied =
      f::precision_thresholds(ranked, labels, 0.9, 0.9);
  CHECK(std::isinf(tied.upper.item<double>()));  // 4 takes the absence along: 3 of 4
  CHECK(std::isinf(tied.lower.item<double>()));
  const trmml::CategoryThresholds looser =
      f::precision_thresholds(ranked, labels, 0.75, 0.75);
  CHECK(looser.upper.item<double>() == 4);
  CHECK(looser.lower.item<double>() == 4);

  const trmml::CategoryThresholds none = f::precision_thresholds(
      fill({4, 2}, 1), states(std::vector<int64_t>(8, 1), {4, 2}));
  CHECK(none.upper.isinf().all().item<bool>());
  CHECK(none.lower.isinf().all().item<bool>());
}

TEST_CASE("splc_pseudo_labels, merge_labels, confident_absences") {
  const at::Tensor labels = states({0, 0, 1, -1}, {1, 4});
  const at::Tensor logits = numbers({1, -4, -4, 4}, {1, 4});
  CHECK(is_equal(f::splc_pseudo_labels(logits, labels), states({1, 0, 0, 0}, {1, 4})));
  CHECK(is_equal(
      f::splc_pseudo_labels(logits, labels, 0.9), states({0, 0, 0, 0}, {1, 4})));
  CHECK(is_equal(
      f::merge_labels(labels, states({1, -1, -1, 1}, {1, 4})),
      states({1, -1, 1, -1}, {1, 4})));
  CHECK(
      is_equal(f::confident_absences(logits, labels), states({0, -1, 1, -1}, {1, 4})));
}

TEST_CASE("pseudo_label_weight: 25 over the known positives a category, clipped") {
  at::Tensor labels = at::zeros({200, 2}, at::kChar);
  CHECK(f::pseudo_label_weight(labels) == 3);
  labels.narrow(0, 0, 50).fill_(1);  // 50 a category
  labels.narrow(0, 50, 9).fill_(-1);
  CHECK(f::pseudo_label_weight(labels) == Catch::Approx(0.5));
  labels.fill_(1);
  CHECK(f::pseudo_label_weight(labels) == Catch::Approx(0.3));
}

TEST_CASE("pseudo-labels: messages") {
  const at::Tensor labels = states({0, 0, 1, -1}, {2, 2});
  const at::Tensor wrong = numbers({0, 1, 2, std::nan("")}, {2, 2});
  CHECK(
      error_of<c10::ValueError>([&] {
        f::rank_pseudo_labels(wrong, labels, numbers({1, 1}, {2}));
      }) ==
      "functional::rank_pseudo_labels: expected finite evidence, got nan in category 1 "
      "(picture 1)");
  CHECK(
      error_of<c10::ValueError>([&] {
        f::rank_pseudo_labels(fill({2, 2}, 1), labels, numbers({1}, {1}));
      }) == "functional::rank_pseudo_labels: expected expected of shape [2], got [1]");
  CHECK(
      error_of<c10::ValueError>([&] {
        f::prototype_evidence(fill({2, 3, 4}, 1), fill({2, 4}, 1), fill({3, 4}, 1));
      }) ==
      "functional::prototype_evidence: expected positive of shape [3, 4], got [2, 4]");
  CHECK(
      error_of<c10::ValueError>([&] {
        f::text_relation_evidence(fill({2, 3, 4}, 1), fill({3, 4}, 1), 0);
      }) ==
      "functional::text_relation_evidence: expected temperature > 0 and floor >= 0, "
      "got 0 "
      "and 0.0001");
}

TEST_CASE("pseudo-labels: numbers out of range are refused") {
  const at::Tensor evidence = fill({2, 3}, 1);
  const at::Tensor labels = at::zeros({2, 3}, at::kChar);
  const at::Tensor expected = at::ones({3});
  const auto message = [](const auto& call) { return error_of<c10::ValueError>(call); };
  CHECK(
      message([&] { f::rank_pseudo_labels(evidence, labels, expected, 1.5, 0.5); }) ==
      "functional::rank_pseudo_labels: expected shares in [0, 1], got 1.5 and 0.5");
  CHECK(message([&] {
          f::rank_soft_targets(evidence, labels, expected, 0);
        }) == "functional::rank_soft_targets: expected softness > 0, got 0");
  CHECK(message([&] {
          f::splc_pseudo_labels(evidence, labels, 1);
        }) == "functional::splc_pseudo_labels: expected a threshold in (0, 1), got 1");
  CHECK(message([&] {
          f::confident_absences(evidence, labels, -0.1);
        }) == "functional::confident_absences: expected `below` in [0, 1], got -0.1");
  CHECK(
      message([&] { f::pseudo_label_weight(labels, 25, 3, 0.3); }) ==
      "functional::pseudo_label_weight: expected reference > 0 and 0 <= smallest <= "
      "largest, got 25, 3 and 0.3");
}

TEST_CASE("labels: a type without -1 is refused wherever labels go") {
  const at::Tensor logits = at::zeros({1, 2});
  const at::Tensor good = states({0, 1}, {1, 2});
  const auto message = [](const auto& call) { return error_of<c10::TypeError>(call); };
  for (const at::Tensor& wrong : {good.to(at::kByte), good.to(at::kBool)}) {
    CHECK(
        message([&] { f::confident_absences(logits, wrong); })
            .find("functional::confident_absences: expected labels of a signed type, "
                  "got ") == 0);
    CHECK(message([&] { f::merge_labels(wrong, good); }) != "no error");
    CHECK(message([&] { f::merge_labels(good, wrong); }) != "no error");
    CHECK(message([&] { f::expected_positives(wrong); }) != "no error");
  }
  CHECK(message([&] { f::confident_absences(logits, good); }) == "no error");
}
