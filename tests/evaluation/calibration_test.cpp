#include "trmml/evaluation/calibration.hpp"

#include <Eigen/Core>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "reference/metrics.hpp"
#include "support/arguments.hpp"
#include "support/catch.hpp"
#include "support/metrics.hpp"

using support::argument_error;
using support::is_near;
using trmml::evaluation::calibration;
using trmml::evaluation::IgnoreMask;
using trmml::evaluation::LabelMatrix;
using trmml::evaluation::ScoreMatrix;

TEST_CASE("calibration worked by hand") {
  ScoreMatrix<double> probabilities(2, 3);
  probabilities << 0.1, 0.3, 0.9,  //
      0.5, 0.4, 1.0;
  LabelMatrix labels(2, 3);
  labels << -1, 1, 1,  //
      1, 0, -1;
  // [0, 0.5): 0.1 absent, 0.3 present; [0.5, 1]: 0.9 and 0.5 present, 1.0 absent.
  const auto result = calibration(probabilities, labels, 2);
  CHECK(result.entries == 5);
  REQUIRE(result.bins.size() == 2);
  CHECK(result.bins[0].entries == 2);
  CHECK(is_near(result.bins[0].mean_probability, 0.2));
  CHECK(is_near(result.bins[0].fraction_present, 0.5));
  CHECK(result.bins[1].entries == 3);
  CHECK(is_near(result.bins[1].mean_probability, 0.8));
  CHECK(is_near(result.bins[1].fraction_present, 2.0 / 3.0));
  CHECK(is_near(result.ECE, 0.4 * 0.3 + 0.6 * (0.8 - 2.0 / 3.0)));

  IgnoreMask ignore = IgnoreMask::Constant(2, 3, false);
  ignore(1, 2) = true;  // the only wrong one above
  const auto without = calibration(probabilities, labels, 2, ignore);
  CHECK(without.entries == 4);
  CHECK(is_near(without.ECE, 0.5 * 0.3 + 0.5 * 0.3));
}

TEST_CASE("calibration agrees with NumPy") {
  const Eigen::Map<const ScoreMatrix<double>> scores(
      reference::kScores, reference::kRows, reference::kColumns);
  const auto compare =
      [&](const signed char* values, double expected, const int* entries) {
        const Eigen::Map<const LabelMatrix> labels(
            values, reference::kRows, reference::kColumns);
        const auto result = calibration(scores, labels);
        CHECK(is_near(result.ECE, expected));
        REQUIRE(result.bins.size() == 15);
        for (std::size_t m = 0; m < 15; ++m) {
          CHECK(result.bins[m].entries == entries[m]);
        }
      };
  compare(
      reference::kFullLabels,
      reference::kFullCalibrationError[0],
      reference::kFullCalibrationEntries);
  compare(
      reference::kPartialLabels,
      reference::kPartialCalibrationError[0],
      reference::kPartialCalibrationEntries);
}

TEST_CASE("a bin holds its lower end, the last one 1 too") {
  for (const int bins : {1, 3, 7, 10, 15, 49}) {
    ScoreMatrix<double> probabilities(1, bins + 1);
    for (int m = 0; m <= bins; ++m) {
      probabilities(0, m) = static_cast<double>(m) / bins;
    }
    const auto result =
        calibration(probabilities, LabelMatrix::Ones(1, bins + 1), bins);
    for (int m = 0; m < bins; ++m) {
      CHECK(
          result.bins[static_cast<std::size_t>(m)].entries == (m + 1 == bins ? 2 : 1));
    }
    // The number just below an edge belongs to the bin below.
    const ScoreMatrix<double> below = probabilities.unaryExpr(
        [](double p) { return p == 0.0 ? 0.0 : std::nextafter(p, 0.0); });
    const auto shifted = calibration(below, LabelMatrix::Ones(1, bins + 1), bins);
    CHECK(shifted.bins.front().entries == 2);
    CHECK(shifted.bins.back().entries == (bins == 1 ? 2 : 1));
  }
}

TEST_CASE("perfect and worst calibration, empty bins, no entry") {
  ScoreMatrix<float> probabilities(1, 2);
  probabilities << 0.0F, 1.0F;
  LabelMatrix labels(1, 2);
  labels << -1, 1;
  const auto perfect = calibration(probabilities, labels);
  CHECK(perfect.ECE == 0.0);
  CHECK(perfect.bins[7].entries == 0);
  CHECK(std::isnan(perfect.bins[7].mean_probability));
  CHECK(std::isnan(perfect.bins[7].fraction_present));
  CHECK(calibration(probabilities, -labels).ECE == 1.0);
  const auto nothing = calibration(probabilities, LabelMatrix::Zero(1, 2));
  CHECK(std::isnan(nothing.ECE));
  CHECK(nothing.entries == 0);
}

TEST_CASE("calibration refuses what is no probability") {
  ScoreMatrix<float> scores = ScoreMatrix<float>::Constant(2, 2, 0.5F);
  const LabelMatrix labels = LabelMatrix::Ones(2, 2);
  CHECK(argument_error([&] {
          calibration(scores, labels, 0);
        }) == "calibration: expected 1 bin or more, got 0");
  scores(1, 0) = -0.5F;
  CHECK(
      argument_error([&] { calibration(scores, labels); }) ==
      "calibration: expected probabilities in [0, 1], got -0.5 at row 1, column 0 (a "
      "threshold means nothing on logits: apply the sigmoid first)");
  scores(1, 0) = std::numeric_limits<float>::quiet_NaN();
  CHECK(
      argument_error([&] { calibration(scores, labels); }) ==
      "calibration: expected probabilities in [0, 1], got nan at row 1, column 0 (a "
      "threshold means nothing on logits: apply the sigmoid first)");
}
