#include "trmml/evaluation/bootstrap.hpp"

#include <Eigen/Core>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "reference/metrics.hpp"
#include "support/arguments.hpp"
#include "support/catch.hpp"

using support::argument_error;
using trmml::evaluation::ApDefinition;
using trmml::evaluation::bootstrap_mean_average_precision;
using trmml::evaluation::BootstrapInterval;
using trmml::evaluation::BootstrapOptions;
using trmml::evaluation::IgnoreMask;
using trmml::evaluation::kApDefinitions;
using trmml::evaluation::LabelMatrix;
using trmml::evaluation::mean_average_precision;
using trmml::evaluation::ScoreMatrix;
using trmml::evaluation::detail::draw_weights;
using trmml::evaluation::detail::kLanes;
using trmml::evaluation::detail::Lanes;
using trmml::evaluation::detail::quantile;
using trmml::evaluation::detail::Ranking;
using trmml::evaluation::detail::ResampledAp;
using trmml::evaluation::detail::standard_deviation;

namespace {

BootstrapOptions options_of(std::int64_t replicates, std::uint64_t seed = 0) {
  BootstrapOptions options;
  options.replicates = replicates;
  options.seed = seed;
  return options;
}

struct Example {
  ScoreMatrix<double> scores;
  LabelMatrix labels;
  IgnoreMask ignore;
};

// Some ties, unknown and ignored entries; a rare category that many resamples lose.
Example example(int rows) {
  std::mt19937_64 engine(3);
  Example made{
      ScoreMatrix<double>(rows, 5),
      LabelMatrix(rows, 5),
      IgnoreMask::Constant(rows, 5, false)};
  for (int n = 0; n < rows; ++n) {
    for (int c = 0; c < 5; ++c) {
      const double noise = static_cast<double>(engine() >> 40) / (1 << 24);
      const bool is_present = c == 4 ? n == 3 : engine() % 5 == 0;
      const double score = noise + (is_present ? 0.3 : 0.0);
      made.scores(n, c) = c % 2 == 0 ? std::round(8 * score) / 8 : score;
      made.labels(n, c) = engine() % 6 == 0 ? 0 : is_present ? 1 : -1;
      made.ignore(n, c) = engine() % 10 == 0;
    }
  }
  made.labels(3, 4) = 1;
  made.ignore(3, 4) = false;
  return made;
}

// The rows of a resample one after the other, each as often as it was drawn.
template <typename Matrix, typename Weights>
Matrix repeat(const Matrix& matrix, const Weights& weights, std::size_t lane) {
  Matrix rows(matrix.rows(), matrix.cols());
  Eigen::Index end = 0;
  for (Eigen::Index n = 0; n < matrix.rows(); ++n) {
    for (int i = 0; i < weights[static_cast<std::size_t>(n)][lane]; ++i) {
      rows.row(end++) = matrix.row(n);
    }
  }
  REQUIRE(end == matrix.rows());
  return rows;
}

template <typename T>
void check_exact(const Example& given, ApDefinition definition) {
  constexpr std::int64_t kReplicates = 70;  // more than are computed side by side
  const ScoreMatrix<T> scores = given.scores.cast<T>();
  const BootstrapInterval interval = bootstrap_mean_average_precision(
      scores, given.labels, definition, options_of(kReplicates, 9), given.ignore);
  REQUIRE(interval.replicates.size() == kReplicates);
  std::mt19937_64 engine(9);
  double worst = 0.0;
  for (std::size_t first = 0; first < kReplicates; first += kLanes) {
    const std::size_t count = std::min(kLanes, kReplicates - first);
    const auto weights = draw_weights(engine, scores.rows(), count);
    for (std::size_t lane = 0; lane < count; ++lane) {
      const double naive = mean_average_precision(
                               repeat(scores, weights, lane),
                               repeat(given.labels, weights, lane),
                               definition,
                               repeat(given.ignore, weights, lane))
                               .mAP;
      worst = std::max(worst, std::abs(interval.replicates[first + lane] - naive));
    }
  }
  CHECK(worst <= 1e-12);
}

}  // namespace

TEST_CASE("every replicate is the mAP of the resampled matrices") {
  for (const int rows : {40, 700}) {  // 700: weights of more than 257 entries at once
    const Example given = example(rows);
    for (const ApDefinition definition : kApDefinitions) {
      check_exact<double>(given, definition);
      check_exact<float>(given, definition);
    }
  }
}

TEST_CASE("weights of any size add up: equal ones change nothing in (c)") {
  Ranking<double> ranking;
  for (int n = 0; n < 700; ++n) {
    ranking.emplace_back(700.0 - n, n, n > 600);
  }
  std::vector<Lanes<std::uint8_t>> weights(700);
  for (auto& row : weights) {
    row.fill(255);  // 600 of them are more than 16 bits hold
  }
  double expected = 0.0;
  for (int hits = 1; hits < 100; ++hits) {
    expected += hits / (601.0 + hits) / 99.0;
  }
  const auto ap = ResampledAp<double>(ranking, weights)(ApDefinition::kTieGrouped);
  CHECK(ap.front() == Catch::Approx(expected).epsilon(1e-12));
  CHECK(ap.back() == ap.front());
}

TEST_CASE("resamples are drawn as written, on every machine") {
  std::mt19937_64 engine(7);
  const auto weights = draw_weights(engine, 10, 4);
  REQUIRE(weights.size() == 10);
  for (std::size_t lane = 0; lane < 4; ++lane) {
    for (std::size_t n = 0; n < 10; ++n) {
      CHECK(weights[n][lane] == reference::kDrawCounts[10 * lane + n]);
    }
  }
  CHECK(weights[0][4] == 0);
}

TEST_CASE("intervals agree with resampling in NumPy and scikit-learn") {
  const Eigen::Map<const ScoreMatrix<double>> scores(
      reference::kScores, reference::kRows, reference::kColumns);
  const auto compare = [&](const signed char* values, const double* expected) {
    const Eigen::Map<const LabelMatrix> labels(
        values, reference::kRows, reference::kColumns);
    const auto interval = bootstrap_mean_average_precision(
        scores, labels, ApDefinition::kTieGrouped, options_of(4000, 1));
    // Other random numbers: an end of an interval of 2000 has an error of 0.06 standard
    // errors, the standard error one of 2 %.
    const double error = expected[2];
    CHECK(interval.low == Catch::Approx(expected[0]).margin(0.25 * error));
    CHECK(interval.high == Catch::Approx(expected[1]).margin(0.25 * error));
    CHECK(interval.standard_error == Catch::Approx(error).epsilon(0.08));
  };
  compare(reference::kFullLabels, reference::kFullInterval);
  compare(reference::kPartialLabels, reference::kPartialInterval);
}

TEST_CASE("seed, confidence and number of replicates") {
  const Example given = example(40);
  const auto run = [&](std::int64_t replicates, std::uint64_t seed) {
    return bootstrap_mean_average_precision(
        given.scores,
        given.labels,
        ApDefinition::kInterpolated,
        options_of(replicates, seed));
  };
  const BootstrapInterval one = run(100, 1);
  CHECK(one.definition == ApDefinition::kInterpolated);
  CHECK(one.replicates == run(100, 1).replicates);
  CHECK(one.replicates != run(100, 2).replicates);
  // The first replicates are the same however many follow.
  const BootstrapInterval more = run(130, 1);
  CHECK(std::equal(
      one.replicates.begin(), one.replicates.end(), more.replicates.begin()));

  BootstrapOptions narrow = options_of(100, 1);
  narrow.confidence = 0.5;
  const BootstrapInterval half = bootstrap_mean_average_precision(
      given.scores, given.labels, ApDefinition::kInterpolated, narrow);
  CHECK(half.low > one.low);
  CHECK(half.high < one.high);
  CHECK(half.standard_error == one.standard_error);
}

TEST_CASE("without a category there is no replicate, with a perfect one no spread") {
  const ScoreMatrix<double> scores = ScoreMatrix<double>::Random(20, 2);
  const auto none = bootstrap_mean_average_precision(scores, LabelMatrix::Ones(20, 2));
  CHECK(none.replicates.empty());
  CHECK(std::isnan(none.low));
  CHECK(std::isnan(none.standard_error));

  LabelMatrix labels(20, 2);
  for (int n = 0; n < 20; ++n) {
    for (int c = 0; c < 2; ++c) {
      labels(n, c) = scores(n, c) > 0 ? 1 : -1;
    }
  }
  const auto perfect = bootstrap_mean_average_precision(
      scores, labels, ApDefinition::kTieGrouped, options_of(50));
  CHECK(perfect.low == 1.0);
  CHECK(perfect.high == 1.0);
  CHECK(perfect.standard_error == 0.0);
}

TEST_CASE("quantiles and standard deviation by hand") {
  const std::vector<double> values = {1.0, 2.0, 4.0, 8.0};
  CHECK(quantile(values, 0.0) == 1.0);
  CHECK(quantile(values, 1.0) == 8.0);
  CHECK(quantile(values, 0.5) == 3.0);
  CHECK(quantile(values, 0.25) == 1.75);  // numpy.percentile([1, 2, 4, 8], 25)
  CHECK(standard_deviation({2.0, 4.0}) == Catch::Approx(std::sqrt(2.0)));
  CHECK(std::isnan(standard_deviation({2.0})));
}

TEST_CASE("the bootstrap refuses what it cannot do") {
  const ScoreMatrix<double> scores = ScoreMatrix<double>::Constant(3, 2, 0.5);
  const LabelMatrix labels = LabelMatrix::Ones(3, 2);
  const auto call = [&](std::int64_t replicates, double confidence) {
    BootstrapOptions options = options_of(replicates);
    options.confidence = confidence;
    bootstrap_mean_average_precision(
        scores, labels, ApDefinition::kTieGrouped, options);
  };
  CHECK(argument_error([&] {
          call(0, 0.95);
        }) == "bootstrap_mean_average_precision: expected 1 replicate or more, got 0");
  CHECK(
      argument_error([&] { call(10, 1.0); }) ==
      "bootstrap_mean_average_precision: expected a confidence between 0 and 1, got 1");
  CHECK(
      argument_error(
          [&] { bootstrap_mean_average_precision(scores, LabelMatrix::Ones(2, 2)); }) ==
      "bootstrap_mean_average_precision: expected labels of shape [3, 2], got "
      "[2, 2]");
}
