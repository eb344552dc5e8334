#include "trmml/evaluation/multilabel_metrics.hpp"

#include <Eigen/Core>

#include <cmath>
#include <limits>
#include <string>

#include "reference/metrics.hpp"
#include "support/arguments.hpp"
#include "support/catch.hpp"
#include "support/metrics.hpp"

using support::argument_error;
using support::is_near;
using trmml::evaluation::IgnoreMask;
using trmml::evaluation::LabelMatrix;
using trmml::evaluation::metrics_at_threshold;
using trmml::evaluation::metrics_at_top_k;
using trmml::evaluation::MultilabelMetrics;
using trmml::evaluation::ScoreMatrix;

namespace {

// CP, CR, CF1 of means, CF1 mean of classes, OP, OR, OF1
void check_seven(const MultilabelMetrics& metrics, const double* expected) {
  CHECK(is_near(metrics.CP, expected[0]));
  CHECK(is_near(metrics.CR, expected[1]));
  CHECK(is_near(metrics.CF1_of_means, expected[2]));
  CHECK(is_near(metrics.CF1_mean_of_classes, expected[3]));
  CHECK(is_near(metrics.OP, expected[4]));
  CHECK(is_near(metrics.OR, expected[5]));
  CHECK(is_near(metrics.OF1, expected[6]));
}

// Predicted at 0.5: category 0 in rows 0, 1, 2; category 1 in row 0; category 2
// nowhere.
struct Example {
  ScoreMatrix<double> probabilities{4, 3};
  LabelMatrix labels{4, 3};

  Example() {
    probabilities << 0.9, 0.8, 0.4,  //
        0.7, 0.2, 0.3,               //
        0.6, 0.1, 0.2,               //
        0.3, 0.4, 0.1;
    labels << 1, 1, 1,  //
        1, -1, -1,      //
        -1, 1, -1,      //
        -1, 1, -1;
  }
};

}  // namespace

TEST_CASE("precision, recall and F1 worked by hand") {
  const Example example;
  const auto metrics = metrics_at_threshold(example.probabilities, example.labels, 0.5);
  // right 2, 1, 0; predicted 3, 1, 0; positive 2, 3, 1
  const double cp = (2.0 / 3.0 + 1.0 + 0.0) / 3.0;
  const double cr = (1.0 + 1.0 / 3.0 + 0.0) / 3.0;
  const double f1 = (4.0 / 5.0 + 2.0 / 4.0 + 0.0) / 3.0;
  const double op = 3.0 / 4.0;
  const double overall_recall = 3.0 / 6.0;
  const double expected[] = {
      cp,
      cr,
      2 * cp * cr / (cp + cr),
      f1,
      op,
      overall_recall,
      2 * op * 0.5 / (op + 0.5)};
  check_seven(metrics, expected);
  CHECK(metrics.evaluated == 3);
  REQUIRE(metrics.per_class_F1.size() == 3);
  CHECK(is_near(metrics.per_class_precision[0], 2.0 / 3.0));
  CHECK(is_near(metrics.per_class_recall[1], 1.0 / 3.0));
  CHECK(is_near(metrics.per_class_F1[2], 0.0));
}

TEST_CASE("top k worked by hand, equal scores by order of category") {
  ScoreMatrix<float> scores(2, 4);
  scores << 5.0F, 5.0F, 5.0F, -1.0F,  // predicted: 0, 1
      -9.0F, -2.0F, -3.0F, -2.0F;     // predicted: 1, 3
  LabelMatrix labels(2, 4);
  labels << 1, -1, 1, -1,  //
      -1, 1, -1, 1;
  const auto metrics = metrics_at_top_k(scores, labels, 2);
  CHECK(is_near(metrics.OP, 3.0 / 4.0));
  CHECK(is_near(metrics.OR, 3.0 / 4.0));
  CHECK(is_near(metrics.CP, (1.0 + 0.5 + 0.0 + 1.0) / 4.0));
  CHECK(is_near(metrics.CR, (1.0 + 1.0 + 0.0 + 1.0) / 4.0));
}

TEST_CASE("both agree with scikit-learn") {
  const Eigen::Map<const ScoreMatrix<double>> scores(
      reference::kScores, reference::kRows, reference::kColumns);
  const Eigen::Map<const LabelMatrix> full(
      reference::kFullLabels, reference::kRows, reference::kColumns);
  const Eigen::Map<const LabelMatrix> partial(
      reference::kPartialLabels, reference::kRows, reference::kColumns);
  check_seven(metrics_at_threshold(scores, full, 0.5), reference::kFullThreshold);
  check_seven(metrics_at_top_k(scores, full, 3), reference::kFullTopK);
  check_seven(metrics_at_threshold(scores, partial, 0.5), reference::kPartialThreshold);
  check_seven(metrics_at_top_k(scores, partial, 3), reference::kPartialTopK);
}

TEST_CASE("the F1 that share a definition agree with f1_score, macro and micro") {
  const Eigen::Map<const ScoreMatrix<double>> scores(
      reference::kScores, reference::kRows, reference::kColumns);
  const Eigen::Map<const LabelMatrix> labels(
      reference::kFullLabels, reference::kRows, reference::kColumns);
  const auto metrics = metrics_at_threshold(scores, labels, 0.5);
  CHECK(is_near(metrics.CF1_mean_of_classes, reference::kFullF1Score[0]));
  CHECK(is_near(metrics.OF1, reference::kFullF1Score[1]));
}

TEST_CASE("a probability must exceed the threshold") {
  const ScoreMatrix<float> probabilities = ScoreMatrix<float>::Constant(1, 1, 0.5F);
  const LabelMatrix labels = LabelMatrix::Ones(1, 1);
  CHECK(metrics_at_threshold(probabilities, labels, 0.5).OR == 0.0);
  CHECK(metrics_at_threshold(probabilities, labels, 0.49).OR == 1.0);
}

TEST_CASE("unknown and ignored entries are neither right nor wrong") {
  Example example;
  example.labels(2, 0) = 0;  // the only wrong prediction
  auto metrics = metrics_at_threshold(example.probabilities, example.labels, 0.5);
  CHECK(is_near(metrics.OP, 1.0));
  CHECK(is_near(metrics.OR, 0.5));

  example.labels(2, 0) = -1;
  IgnoreMask ignore = IgnoreMask::Constant(4, 3, false);
  ignore(2, 0) = true;
  metrics = metrics_at_threshold(example.probabilities, example.labels, 0.5, ignore);
  CHECK(is_near(metrics.OP, 1.0));
  CHECK(is_near(metrics.OR, 0.5));

  // Category 0 stands first in every row but the last, known or not.
  example.labels(0, 0) = 0;
  metrics = metrics_at_top_k(example.probabilities, example.labels, 1);
  CHECK(is_near(metrics.OP, 2.0 / 3.0));
}

TEST_CASE("a category without a known positive leaves the class-wise means only") {
  Example example;
  example.labels.col(0).setConstant(-1);
  const auto metrics = metrics_at_threshold(example.probabilities, example.labels, 0.5);
  CHECK(metrics.evaluated == 2);
  CHECK(metrics.skipped_without_positive == 1);
  CHECK(std::isnan(metrics.per_class_precision[0]));
  CHECK(std::isnan(metrics.per_class_recall[0]));
  CHECK(std::isnan(metrics.per_class_F1[0]));
  CHECK(is_near(metrics.CP, (1.0 + 0.0) / 2.0));
  CHECK(is_near(metrics.OP, 1.0 / 4.0));
}

TEST_CASE("nothing predicted is zero, nothing to find is NaN") {
  const ScoreMatrix<double> low = ScoreMatrix<double>::Constant(2, 2, 0.1);
  const auto none = metrics_at_threshold(low, LabelMatrix::Ones(2, 2), 0.5);
  const double zeros[7] = {};
  check_seven(none, zeros);

  const auto unknown = metrics_at_threshold(low, LabelMatrix::Zero(2, 2), 0.5);
  CHECK(std::isnan(unknown.CP));
  CHECK(std::isnan(unknown.CF1_of_means));
  CHECK(std::isnan(unknown.CF1_mean_of_classes));
  CHECK(std::isnan(unknown.OP));
  CHECK(std::isnan(unknown.OR));
  CHECK(std::isnan(unknown.OF1));
  CHECK(unknown.skipped_without_positive == 2);
}

TEST_CASE("logits are refused by the threshold, and other wrong arguments") {
  ScoreMatrix<float> scores = ScoreMatrix<float>::Constant(2, 2, 0.5F);
  const LabelMatrix labels = LabelMatrix::Ones(2, 2);
  scores(1, 0) = 2.5F;
  CHECK(
      argument_error([&] { metrics_at_threshold(scores, labels); }) ==
      "metrics_at_threshold: expected probabilities in [0, 1], got 2.5 at row 1, "
      "column "
      "0 (a threshold means nothing on logits: apply the sigmoid first)");
  scores(1, 0) = std::numeric_limits<float>::quiet_NaN();
  CHECK(
      argument_error([&] { metrics_at_threshold(scores, labels); }) ==
      "metrics_at_threshold: expected probabilities in [0, 1], got nan at row 1, "
      "column "
      "0 (a threshold means nothing on logits: apply the sigmoid first)");
  CHECK(
      argument_error([&] { metrics_at_top_k(scores, labels, 1); }) ==
      "metrics_at_top_k: expected scores that are numbers, got nan at row 1, column 0");
  scores(1, 0) = 0.5F;
  CHECK(argument_error([&] {
          metrics_at_threshold(scores, labels, 1.5);
        }) == "metrics_at_threshold: expected a threshold in [0, 1], got 1.5");
  CHECK(
      argument_error([&] { metrics_at_top_k(scores, labels, 3); }) ==
      "metrics_at_top_k: expected k from 1 to the number of categories (2), got 3");
  CHECK(
      argument_error([&] { metrics_at_top_k(scores, labels, 0); }) ==
      "metrics_at_top_k: expected k from 1 to the number of categories (2), got 0");
  CHECK(argument_error([&] {
          metrics_at_top_k(scores, LabelMatrix::Ones(3, 2), 1);
        }) == "metrics_at_top_k: expected labels of shape [2, 2], got [3, 2]");
}
