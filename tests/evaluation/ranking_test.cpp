#include "trmml/evaluation/ranking.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "support/catch.hpp"

using trmml::evaluation::IgnoreMask;
using trmml::evaluation::LabelMatrix;
using trmml::evaluation::ScoreMatrix;
using trmml::evaluation::detail::descending_bits;
using trmml::evaluation::detail::for_each_ranking;
using trmml::evaluation::detail::Ranking;
using trmml::evaluation::detail::sort_ranking;
using trmml::evaluation::detail::sort_ranking_by_comparison;

namespace {

template <typename T>
std::vector<std::uint32_t> codes(const Ranking<T>& ranking) {
  std::vector<std::uint32_t> all;
  for (const auto& entry : ranking) {
    all.push_back(entry.code);
  }
  return all;
}

// Scores of every kind: probabilities, logits, few values, both zeros, extremes.
template <typename T>
T draw(std::mt19937_64& engine, int kind) {
  std::normal_distribution<T> normal;
  const T extremes[] = {
      0,
      -T(0),
      std::numeric_limits<T>::infinity(),
      -std::numeric_limits<T>::infinity(),
      std::numeric_limits<T>::denorm_min(),
      -std::numeric_limits<T>::denorm_min(),
      std::numeric_limits<T>::max(),
      std::numeric_limits<T>::lowest()};
  switch (kind) {
    case 0:
      return std::uniform_real_distribution<T>()(engine);
    case 1:
      return 10 * normal(engine);
    case 2:
      return static_cast<T>(static_cast<int>(engine() % 7)) - 3;
    case 3:
      return extremes[engine() % 8];
    default:
      return T(0.5);
  }
}

template <typename T>
void check_sorts() {
  std::mt19937_64 engine(11);
  Ranking<T> spare;
  for (const int size : {0, 1, 2, 511, 512, 513, 3000}) {
    for (int kind = 0; kind < 5; ++kind) {
      Ranking<T> ranking;
      for (int n = 0; n < size; ++n) {
        ranking.emplace_back(draw<T>(engine, kind), n, engine() % 4 == 0);
      }
      Ranking<T> expected = ranking;
      sort_ranking_by_comparison(expected);
      sort_ranking(ranking, spare);
      CHECK(codes(ranking) == codes(expected));
    }
  }
}

}  // namespace

TEST_CASE("counting sorts as comparing does, equal scores in the order of their rows") {
  check_sorts<float>();
  check_sorts<double>();
}

TEST_CASE("bits descend with the scores") {
  CHECK(descending_bits(2.0F) < descending_bits(1.0F));
  CHECK(descending_bits(1.0F) < descending_bits(0.0F));
  CHECK(descending_bits(0.0F) == descending_bits(-0.0F));
  CHECK(descending_bits(-0.0) == descending_bits(0.0));
  CHECK(descending_bits(-1.0) < descending_bits(-2.0));
  CHECK(
      descending_bits(std::numeric_limits<double>::infinity()) <
      descending_bits(1e308));
}

TEST_CASE("rankings come column by column, without unknown and ignored entries") {
  constexpr int kColumns = 37;  // more than are gathered at a time
  ScoreMatrix<float> scores(3, kColumns);
  LabelMatrix labels = LabelMatrix::Constant(3, kColumns, -1);
  IgnoreMask ignore = IgnoreMask::Constant(3, kColumns, false);
  for (int c = 0; c < kColumns; ++c) {
    scores.col(c) << static_cast<float>(c), static_cast<float>(c) + 2,
        static_cast<float>(c) + 1;
    labels(c % 3, c) = 1;
  }
  labels(1, 20) = 0;
  ignore(2, 36) = true;
  int calls = 0;
  const auto use = [&](Eigen::Index c, const Ranking<float>& ranking) {
    CHECK(c == calls++);
    std::vector<std::size_t> rows;
    for (const auto& entry : ranking) {
      rows.push_back(entry.row());
      CHECK(entry.is_positive() == (static_cast<Eigen::Index>(entry.row()) == c % 3));
      CHECK(entry.score == scores(static_cast<Eigen::Index>(entry.row()), c));
    }
    const std::vector<std::size_t> expected = c == 20 ? std::vector<std::size_t>{2, 0}
                                              : c == 36
                                                  ? std::vector<std::size_t>{1, 0}
                                                  : std::vector<std::size_t>{1, 2, 0};
    CHECK(rows == expected);
  };
  for_each_ranking<float>(scores, labels, ignore, "test", use);
  CHECK(calls == kColumns);
}
