#include "trmml/evaluation/thresholds.hpp"

#include <Eigen/Core>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <stdexcept>
#include <vector>

#include "support/catch.hpp"

using trmml::evaluation::choose_thresholds;
using trmml::evaluation::IgnoreMask;
using trmml::evaluation::LabelMatrix;
using trmml::evaluation::metrics_at_threshold;
using trmml::evaluation::metrics_at_thresholds;
using trmml::evaluation::ScoreMatrix;

namespace {

// Known entries whose probability is greater.
template <typename T>
int predicted(
    const ScoreMatrix<T>& p,
    const LabelMatrix& y,
    const IgnoreMask& ignore,
    Eigen::Index c,
    double threshold) {
  int count = 0;
  for (Eigen::Index n = 0; n < p.rows(); ++n) {
    count += y(n, c) != 0 && !(ignore.size() != 0 && ignore(n, c)) &&
             static_cast<double>(p(n, c)) > threshold;
  }
  return count;
}

// Every threshold that could matter is tried.
template <typename T>
void compare_with_all_thresholds(
    const ScoreMatrix<T>& p,
    const LabelMatrix& y,
    const IgnoreMask& ignore) {
  const auto chosen = choose_thresholds(p, y, 0.25, ignore);
  REQUIRE(chosen.values.size() == static_cast<size_t>(p.cols()));
  REQUIRE(chosen.F1.size() == chosen.values.size());
  for (Eigen::Index c = 0; c < p.cols(); ++c) {
    const auto F1_at = [&](double threshold) {
      return metrics_at_threshold(p, y, threshold, ignore)
          .per_class_F1[static_cast<size_t>(c)];
    };
    std::vector<double> values = {0.0, 1.0};
    for (Eigen::Index n = 0; n < p.rows(); ++n) {
      values.push_back(static_cast<double>(p(n, c)));
    }
    std::sort(values.begin(), values.end());
    const size_t n_values = values.size();
    for (size_t i = 0; i + 1 < n_values; ++i) {
      values.push_back((values[i] + values[i + 1]) / 2);
    }
    double best = 0.0;
    int fewest = std::numeric_limits<int>::max();
    for (const double threshold : values) {
      const double F1 = F1_at(threshold);
      const int count = predicted(p, y, ignore, c, threshold);
      if (F1 > best || (F1 == best && count < fewest)) {
        best = F1;
        fewest = count;
      }
    }
    const double value = chosen.values[static_cast<size_t>(c)];
    const double reached = chosen.F1[static_cast<size_t>(c)];
    CAPTURE(c, value, best);
    if (!(best > 0.0)) {
      CHECK(value == 0.25);
      CHECK(std::isnan(reached));
      continue;
    }
    CHECK((value >= 0.0 && value < 1.0));
    CHECK(reached == best);
    CHECK(F1_at(value) == best);
    CHECK(predicted(p, y, ignore, c, value) == fewest);
  }
}

}  // namespace

TEST_CASE("thresholds worked by hand") {
  ScoreMatrix<float> p(4, 3);
  LabelMatrix y(4, 3);
  p << 0.75F, 0.5F, 0.0F,  //
      0.5F, 0.5F, 0.0F,    //
      0.25F, 0.5F, 0.5F,   //
      0.125F, 0.25F, 0.0F;
  y << 1, 1, 1,   //
      -1, -1, 1,  //
      1, 1, -1,   //
      -1, -1, -1;
  // Category 0: F1 2/3, 1/2, 4/5, 2/3 from the highest score down. Category 1: three
  // equal ones make 4/5. Category 2: positives at 0 cannot be predicted.
  const auto chosen = choose_thresholds(p, y);
  CHECK(chosen.values == std::vector<double>{0.1875, 0.375, 0.5});
  CHECK(chosen.F1[0] == 0.8);
  CHECK(chosen.F1[1] == 0.8);
  CHECK(std::isnan(chosen.F1[2]));

  // right 2, 2, 0; predicted 3, 3, 0; positive 2, 2, 2
  const auto metrics = metrics_at_thresholds(p, y, chosen.values);
  CHECK(metrics.OP == 4.0 / 6.0);
  CHECK(metrics.OR == 4.0 / 6.0);
  CHECK(metrics.per_class_F1 == std::vector<double>{0.8, 0.8, 0.0});
}

TEST_CASE("no threshold is better than the one that is chosen") {
  std::mt19937 engine(7);
  std::uniform_int_distribution<int> level(0, 12);
  std::uniform_int_distribution<int> label(-1, 1);
  std::uniform_real_distribution<double> uniform(0.0, 1.0);
  for (const Eigen::Index n : {1, 2, 7, 60, 700}) {
    ScoreMatrix<float> p(n, 6);
    ScoreMatrix<double> q(n, 6);
    LabelMatrix y(n, 6);
    IgnoreMask ignore(n, 6);
    for (Eigen::Index i = 0; i < n; ++i) {
      for (Eigen::Index c = 0; c < 6; ++c) {
        y(i, c) = static_cast<std::int8_t>(c == 4 ? -1 : c == 5 ? 1 : label(engine));
        ignore(i, c) = uniform(engine) < 0.2;
        // Many equal values, exact zeros and ones among them; or hardly any.
        q(i, c) = c % 2 == 0 ? level(engine) / 12.0 : uniform(engine);
        p(i, c) = static_cast<float>(q(i, c));
      }
    }
    compare_with_all_thresholds(p, y, IgnoreMask());
    compare_with_all_thresholds(p, y, ignore);
    compare_with_all_thresholds(q, y, ignore);
  }
}

TEST_CASE("a threshold lies between neighbours in floating point") {
  const double high = 0.5;
  for (const double low : {std::nextafter(high, 0.0), std::nextafter(high, 1.0)}) {
    ScoreMatrix<double> p(2, 1);
    LabelMatrix y(2, 1);
    p << std::max(high, low), std::min(high, low);
    y << 1, -1;
    const auto chosen = choose_thresholds(p, y);
    CHECK(chosen.F1[0] == 1.0);
    CHECK(metrics_at_threshold(p, y, chosen.values[0]).OF1 == 1.0);
  }
  ScoreMatrix<double> least(1, 1);
  least << std::numeric_limits<double>::denorm_min();
  CHECK(choose_thresholds(least, LabelMatrix::Ones(1, 1)).F1[0] == 1.0);
}

TEST_CASE("thresholds refuse what they cannot divide") {
  const LabelMatrix y = LabelMatrix::Ones(2, 2);
  const ScoreMatrix<float> logits = ScoreMatrix<float>::Constant(2, 2, 1.5F);
  const ScoreMatrix<float> p = ScoreMatrix<float>::Constant(2, 2, 0.5F);
  CHECK_THROWS_AS(choose_thresholds(logits, y), std::invalid_argument);
  CHECK_THROWS_AS(choose_thresholds(p, y.topRows(1)), std::invalid_argument);
  CHECK_THROWS_AS(metrics_at_thresholds(p, y, {0.5}), std::invalid_argument);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_AS(metrics_at_thresholds(p, y, {0.5, 1.5}), std::invalid_argument);
  CHECK_THROWS_AS(metrics_at_thresholds(p, y, {nan, 0.5}), std::invalid_argument);
  CHECK_THROWS_AS(choose_thresholds(p, y, 5.0), std::invalid_argument);
}
