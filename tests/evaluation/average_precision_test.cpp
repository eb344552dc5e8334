#include "trmml/evaluation/average_precision.hpp"

#include <Eigen/Core>

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "reference/metrics.hpp"
#include "support/arguments.hpp"
#include "support/catch.hpp"
#include "support/metrics.hpp"

using support::argument_error;
using support::is_near;
using trmml::evaluation::ApDefinition;
using trmml::evaluation::average_precision;
using trmml::evaluation::IgnoreMask;
using trmml::evaluation::kApDefinitions;
using trmml::evaluation::LabelMatrix;
using trmml::evaluation::mean_average_precision;
using trmml::evaluation::mean_average_precision_by_definition;
using trmml::evaluation::parse_ap_definition;
using trmml::evaluation::ScoreMatrix;
using trmml::evaluation::to_string;

namespace {

using Scores = Eigen::VectorXd;
using Labels = Eigen::Matrix<std::int8_t, Eigen::Dynamic, 1>;

constexpr auto kAtPositives = ApDefinition::kPrecisionAtPositives;
constexpr auto kInterpolated = ApDefinition::kInterpolated;
constexpr auto kTieGrouped = ApDefinition::kTieGrouped;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Scores scores_of(const std::vector<double>& values) {
  return Eigen::Map<const Scores>(
      values.data(), static_cast<Eigen::Index>(values.size()));
}

Labels labels_of(const std::vector<int>& values) {
  Labels labels(static_cast<Eigen::Index>(values.size()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    labels(static_cast<Eigen::Index>(i)) = static_cast<std::int8_t>(values[i]);
  }
  return labels;
}

ScoreMatrix<double> reference_scores() {
  return Eigen::Map<const ScoreMatrix<double>>(
      reference::kScores, reference::kRows, reference::kColumns);
}

LabelMatrix reference_labels(const signed char* values) {
  return Eigen::Map<const LabelMatrix>(values, reference::kRows, reference::kColumns);
}

}  // namespace

TEST_CASE("average precision worked by hand") {
  const Scores scores = scores_of({0.5, 0.9, 0.6, 0.8, 0.7});
  const Labels labels = labels_of({1, 1, -1, -1, 1});  // ranked: + - + - +
  const double sum = 1.0 + 2.0 / 3.0 + 3.0 / 5.0;
  CHECK(is_near(average_precision(scores, labels), sum / (3.0 + 1e-8)));
  CHECK(is_near(average_precision(scores, labels, kInterpolated), sum / 3.0));
  CHECK(is_near(average_precision(scores, labels, kTieGrouped), sum / 3.0));
}

TEST_CASE("interpolation takes the best precision at or after a positive") {
  const Scores scores = scores_of({0.9, 0.8, 0.7, 0.6});
  const Labels labels = labels_of({-1, 1, 1, -1});
  const double plain = (1.0 / 2.0 + 2.0 / 3.0) / (2.0 + 1e-8);
  CHECK(is_near(average_precision(scores, labels, kAtPositives), plain));
  CHECK(is_near(average_precision(scores, labels, kInterpolated), 2.0 / 3.0));
}

TEST_CASE("equal scores: row order in (a) and (b), one step in (c)") {
  SECTION("a constant column") {
    const Scores constant = Scores::Constant(4, 0.25);
    const Labels first = labels_of({1, -1, -1, 1});
    const Labels last = labels_of({-1, -1, 1, 1});
    CHECK(is_near(average_precision(constant, first), (1.0 + 0.5) / (2.0 + 1e-8)));
    CHECK(is_near(average_precision(constant, last), (1.0 / 3.0 + 0.5) / (2.0 + 1e-8)));
    CHECK(is_near(average_precision(constant, first, kInterpolated), 0.75));
    CHECK(is_near(average_precision(constant, last, kInterpolated), 0.5));
    CHECK(is_near(average_precision(constant, first, kTieGrouped), 0.5));
    CHECK(is_near(average_precision(constant, last, kTieGrouped), 0.5));
  }
  SECTION("groups of two") {
    // 0.9: + -, 0.4: - +, 0.1: +
    const Scores scores = scores_of({0.9, 0.4, 0.1, 0.9, 0.4});
    const Labels labels = labels_of({1, -1, 1, -1, 1});
    const double expected = (1.0 * 1.0 / 2.0 + 1.0 * 2.0 / 4.0 + 1.0 * 3.0 / 5.0) / 3.0;
    CHECK(is_near(average_precision(scores, labels, kTieGrouped), expected));
  }
  SECTION("plus and minus zero are equal") {
    const Labels labels = labels_of({-1, 1});
    CHECK(is_near(average_precision(scores_of({-0.0, 0.0}), labels, kTieGrouped), 0.5));
  }
}

TEST_CASE("unknown entries leave the ranking") {
  const Scores scores = scores_of({0.99, 0.9, 0.8, 0.7, 0.1});
  const Labels labels = labels_of({0, 1, 0, -1, 1});
  const double expected = (1.0 + 2.0 / 3.0) / 2.0;
  CHECK(is_near(average_precision(scores, labels, kTieGrouped), expected));
}

TEST_CASE("columns of one kind, empty columns, infinite scores") {
  const Scores scores = scores_of({0.1, 0.2});
  for (const ApDefinition definition : kApDefinitions) {
    CHECK(std::isnan(average_precision(scores, labels_of({-1, -1}), definition)));
    CHECK(std::isnan(average_precision(scores, labels_of({0, 0}), definition)));
    CHECK(std::isnan(average_precision(Scores(), Labels(), definition)));
    CHECK(
        average_precision(scores, labels_of({1, 1}), definition) ==
        Catch::Approx(1.0).epsilon(1e-7));
    const Scores infinite = scores_of({-kInfinity, kInfinity});
    CHECK(
        average_precision(infinite, labels_of({1, -1}), definition) ==
        Catch::Approx(0.5).epsilon(1e-7));
  }
}

TEST_CASE("random columns agree with scikit-learn and NumPy") {
  const ScoreMatrix<double> scores = reference_scores();
  const auto compare = [&](const LabelMatrix& labels,
                           ApDefinition definition,
                           const double* expected) {
    const auto result = mean_average_precision(scores, labels, definition);
    double sum = 0.0;
    for (int c = 0; c < reference::kColumns; ++c) {
      CHECK(is_near(result.per_class[static_cast<std::size_t>(c)], expected[c]));
      CHECK(is_near(
          average_precision(scores.col(c), labels.col(c), definition), expected[c]));
      sum += expected[c];
    }
    CHECK(is_near(result.mAP, sum / reference::kColumns));
    CHECK(result.evaluated == reference::kColumns);
  };
  const LabelMatrix full = reference_labels(reference::kFullLabels);
  compare(full, kAtPositives, reference::kFullAtPositives);
  compare(full, kInterpolated, reference::kFullInterpolated);
  compare(full, kTieGrouped, reference::kFullTieGrouped);
  const LabelMatrix partial = reference_labels(reference::kPartialLabels);
  compare(partial, kAtPositives, reference::kPartialAtPositives);
  compare(partial, kInterpolated, reference::kPartialInterpolated);
  compare(partial, kTieGrouped, reference::kPartialTieGrouped);
}

TEST_CASE("long random, tied, constant and one-sided columns agree with scikit-learn") {
  // The columns of tests/reference/metrics.py, from SplitMix64.
  ScoreMatrix<double> scores(reference::kHashRows, 6);
  LabelMatrix labels(reference::kHashRows, 6);
  for (Eigen::Index n = 0; n < scores.rows(); ++n) {
    std::uint64_t z = (static_cast<std::uint64_t>(n) + 1) * 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    z ^= z >> 31;
    const double fine = static_cast<double>(z >> 40) / (1 << 24);
    const double coarse = std::floor(8 * fine) / 8;
    const std::int8_t label = z % 256 < 20 ? 1 : -1;
    scores.row(n) << fine, coarse, 0.25, label > 0 ? 0.75 : coarse, fine, fine;
    labels.row(n) << label, label, label, label, -1, 1;
  }
  const double* const expected[] = {
      reference::kHashAtPositives,
      reference::kHashInterpolated,
      reference::kHashTieGrouped};
  const auto results = mean_average_precision_by_definition(scores, labels);
  for (std::size_t i = 0; i < results.size(); ++i) {
    for (std::size_t c = 0; c < 4; ++c) {
      CHECK(is_near(results[i].per_class[c], expected[i][c]));
    }
    CHECK(std::isnan(results[i].per_class[4]));
    CHECK(std::isnan(results[i].per_class[5]));
    CHECK(results[i].skipped_without_positive == 1);
    CHECK(results[i].skipped_without_negative == 1);
  }
}

TEST_CASE("(b) is never below (a), (a) equals (c) without equal scores") {
  std::mt19937 engine(5);
  std::normal_distribution<double> normal;
  for (int trial = 0; trial < 50; ++trial) {
    Scores scores(30);
    Labels labels(30);
    for (Eigen::Index n = 0; n < 30; ++n) {
      scores(n) = normal(engine);
      labels(n) = normal(engine) > 0.8 ? 1 : -1;
    }
    labels(3) = 1;
    const double at_positives = average_precision(scores, labels, kAtPositives);
    CHECK(average_precision(scores, labels, kInterpolated) >= at_positives);
    CHECK(
        average_precision(scores, labels, kTieGrouped) ==
        Catch::Approx(at_positives).margin(2e-8));
  }
}

TEST_CASE("only the order of the scores matters, not their scale") {
  const ScoreMatrix<double> scores = reference_scores();
  const LabelMatrix labels = reference_labels(reference::kFullLabels);
  const ScoreMatrix<double> logits = (scores.array() * 7.0 - 100.0).matrix();
  for (const ApDefinition definition : kApDefinitions) {
    CHECK(is_near(
        mean_average_precision(scores, labels, definition).mAP,
        mean_average_precision(logits, labels, definition).mAP));
  }
}

TEST_CASE("one-sided categories are skipped and counted") {
  ScoreMatrix<float> scores(3, 5);
  scores << 0.9F, 0.1F, 0.2F, 0.3F, 0.9F,  //
      0.5F, 0.2F, 0.2F, 0.3F, 0.8F,        //
      0.1F, 0.3F, 0.2F, 0.3F, 0.7F;
  LabelMatrix labels(3, 5);
  labels << 1, 1, -1, 0, -1,  //
      -1, 1, -1, 0, 0,        //
      -1, 0, 0, 0, 1;
  const auto result = mean_average_precision(scores, labels, kTieGrouped);
  CHECK(result.evaluated == 2);
  CHECK(result.skipped_without_positive == 2);  // the third, and the all-unknown fourth
  CHECK(result.skipped_without_negative == 1);  // the second
  REQUIRE(result.per_class.size() == 5);
  CHECK(is_near(result.per_class[0], 1.0));
  CHECK(std::isnan(result.per_class[1]));
  CHECK(std::isnan(result.per_class[2]));
  CHECK(std::isnan(result.per_class[3]));
  CHECK(is_near(result.per_class[4], 0.5));
  CHECK(is_near(result.mAP, 0.75));

  const auto nothing = mean_average_precision(scores, LabelMatrix::Zero(3, 5));
  CHECK(std::isnan(nothing.mAP));
  CHECK(nothing.evaluated == 0);
  CHECK(nothing.skipped_without_positive == 5);

  const auto no_rows =
      mean_average_precision(ScoreMatrix<float>(0, 2), LabelMatrix(0, 2));
  CHECK(no_rows.skipped_without_positive == 2);
}

TEST_CASE("ignored entries leave the ranking although their label is known") {
  ScoreMatrix<double> scores(4, 1);
  scores << 0.9, 0.8, 0.7, 0.6;
  LabelMatrix labels(4, 1);
  labels << -1, 1, -1, 1;
  IgnoreMask ignore = IgnoreMask::Constant(4, 1, false);
  ignore(0, 0) = true;
  const double expected = (1.0 + 2.0 / 3.0) / 2.0;
  const double with_mask =
      mean_average_precision(scores, labels, kTieGrouped, ignore).mAP;
  CHECK(is_near(with_mask, expected));
  ignore(0, 0) = false;
  CHECK(is_near(
      mean_average_precision(scores, labels, kTieGrouped, ignore).mAP,
      mean_average_precision(scores, labels, kTieGrouped).mAP));
}

TEST_CASE("one call gives every definition") {
  const ScoreMatrix<double> scores = reference_scores();
  const LabelMatrix labels = reference_labels(reference::kPartialLabels);
  IgnoreMask ignore = IgnoreMask::Constant(scores.rows(), scores.cols(), false);
  ignore.topRows(5).setConstant(true);
  const auto all = mean_average_precision_by_definition(scores, labels, ignore);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto one = mean_average_precision(scores, labels, kApDefinitions[i], ignore);
    CHECK(all[i].definition == kApDefinitions[i]);
    CHECK(all[i].mAP == one.mAP);
    CHECK(all[i].per_class == one.per_class);
    CHECK(all[i].evaluated == one.evaluated);
  }
}

TEST_CASE("float and double, blocks and maps are read alike") {
  const ScoreMatrix<double> scores = reference_scores();
  const LabelMatrix labels = reference_labels(reference::kFullLabels);
  const ScoreMatrix<float> floats = scores.cast<float>();
  const double whole = mean_average_precision(floats, labels).mAP;
  CHECK(
      whole == Catch::Approx(mean_average_precision(scores, labels).mAP).margin(1e-6));
  const Eigen::Map<const ScoreMatrix<float>> map(
      floats.data(), floats.rows(), floats.cols());
  CHECK(mean_average_precision(map, labels).mAP == whole);
  const auto block =
      mean_average_precision(floats.middleCols(2, 3), labels.middleCols(2, 3));
  const auto all = mean_average_precision(floats, labels);
  REQUIRE(block.per_class.size() == 3);
  CHECK(block.per_class[0] == all.per_class[2]);
  const Eigen::MatrixXf column_major = floats;
  CHECK(mean_average_precision(column_major, labels).mAP == whole);
}

TEST_CASE("names of the definitions") {
  CHECK(to_string(kAtPositives) == "precision_at_positives");
  CHECK(to_string(kInterpolated) == "interpolated");
  CHECK(to_string(kTieGrouped) == "tie_grouped");
  for (const ApDefinition definition : kApDefinitions) {
    CHECK(parse_ap_definition(to_string(definition)) == definition);
  }
  CHECK(
      argument_error([] { parse_ap_definition("11-point"); }) ==
      "parse_ap_definition: expected precision_at_positives, interpolated or "
      "tie_grouped, got '11-point'");
}

TEST_CASE("messages name what was expected, what came, and where") {
  ScoreMatrix<double> scores = ScoreMatrix<double>::Constant(3, 2, 0.5);
  LabelMatrix labels = LabelMatrix::Constant(3, 2, 1);
  const auto call = [&] { mean_average_precision(scores, labels); };

  labels.resize(3, 1);
  labels.setOnes();
  CHECK(
      argument_error(call) ==
      "mean_average_precision: expected labels of shape [3, 2], got [3, 1]");

  labels = LabelMatrix::Constant(3, 2, 1);
  labels(2, 0) = 2;
  CHECK(
      argument_error(call) ==
      "mean_average_precision: expected labels in {-1 absent, 0 unknown, +1 present}, "
      "got 2 at row 2, column 0 (other projects code their labels differently: convert "
      "them first)");

  labels(2, 0) = 0;  // also where the label is unknown: such a model is broken
  scores(2, 0) = kNan;
  CHECK(
      argument_error(call) ==
      "mean_average_precision: expected scores that are numbers, got nan at row 2, "
      "column 0");

  scores(2, 0) = 0.5;
  CHECK(argument_error([&] {
          mean_average_precision(
              scores, labels, kAtPositives, IgnoreMask::Constant(2, 2, false));
        }) == "mean_average_precision: expected ignore of shape [3, 2], got [2, 2]");

  CHECK(argument_error([&] {
          average_precision(scores.col(0), labels.col(0).head(2));
        }) == "average_precision: expected labels of shape [3, 1], got [2, 1]");
}
