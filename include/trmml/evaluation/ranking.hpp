#pragma once

#include "trmml/evaluation/matrix.hpp"

#include <Eigen/Core>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

// The ranking of a category, on which average precision and its bootstrap are computed.

namespace trmml::evaluation::detail {

// One known entry of a column: 8 bytes for float, 16 for double.
template <typename T>
struct RankedEntry {
  T score;
  std::uint32_t code;  // 2 * row + 1 where present

  RankedEntry() = default;
  RankedEntry(T score_, Eigen::Index row, bool is_positive)
      : score(score_), code(2 * static_cast<std::uint32_t>(row) + is_positive) {}

  std::size_t row() const { return code >> 1; }
  bool is_positive() const { return (code & 1U) != 0; }
};

template <typename T>
using Ranking = std::vector<RankedEntry<T>>;

template <typename T>
std::int64_t count_positives(const Ranking<T>& ranking) {
  return std::count_if(ranking.begin(), ranking.end(), [](const auto& entry) {
    return entry.is_positive();
  });
}

// What `sort_ranking` does, in one line: descending scores, equal ones keep their
// order.
template <typename T>
void sort_ranking_by_comparison(Ranking<T>& ranking) {
  std::stable_sort(
      ranking.begin(), ranking.end(), [](const auto& left, const auto& right) {
        return left.score > right.score;
      });
}

// Bits that ascend as scores descend. Minus and plus zero are one score.
inline std::uint32_t descending_bits(float score) {
  const auto bits = std::bit_cast<std::uint32_t>(score == 0.0F ? 0.0F : score);
  return (bits >> 31) != 0 ? bits : bits ^ 0x7fff'ffffU;
}
inline std::uint64_t descending_bits(double score) {
  const auto bits = std::bit_cast<std::uint64_t>(score == 0.0 ? 0.0 : score);
  return (bits >> 63) != 0 ? bits : bits ^ 0x7fff'ffff'ffff'ffffU;
}

// The same order as `sort_ranking_by_comparison`, by counting: a stable pass for each
// 11 bits of the scores, least significant first. `spare` is memory that is kept.
template <typename T>
void sort_ranking(Ranking<T>& ranking, Ranking<T>& spare) {
  constexpr std::size_t kFewEntries = 512;  // below, comparing is as fast
  constexpr unsigned kBits = 11;
  constexpr std::size_t kBuckets = std::size_t{1} << kBits;
  constexpr unsigned kPasses = (8 * sizeof(T) + kBits - 1) / kBits;
  if (ranking.size() < kFewEntries) {
    sort_ranking_by_comparison(ranking);
    return;
  }
  const auto bucket = [](const RankedEntry<T>& entry, unsigned pass) {
    return static_cast<std::size_t>(descending_bits(entry.score) >> (kBits * pass)) %
           kBuckets;
  };
  std::array<std::array<std::uint32_t, kBuckets>, kPasses> places{};
  for (const auto& entry : ranking) {
    for (unsigned pass = 0; pass < kPasses; ++pass) {
      ++places[pass][bucket(entry, pass)];
    }
  }
  spare.resize(ranking.size());
  for (unsigned pass = 0; pass < kPasses; ++pass) {
    auto& place = places[pass];
    if (place[bucket(ranking.front(), pass)] == ranking.size()) {
      continue;  // all in one bucket: the high bits of probabilities, for one
    }
    std::uint32_t begin = 0;
    for (std::uint32_t& count : place) {
      begin += std::exchange(count, begin);
    }
    for (const auto& entry : ranking) {
      spare[place[bucket(entry, pass)]++] = entry;
    }
    ranking.swap(spare);
  }
}

// Asks for the columns [first, end) of a later row: with many columns the next row lies
// on another page, where processors do not look ahead by themselves.
template <typename Matrix>
void prefetch_row(
    const Matrix& matrix,
    Eigen::Index n,
    Eigen::Index first,
    Eigen::Index end) {
  constexpr Eigen::Index kAhead = 16;
  constexpr Eigen::Index kLine = 64 / sizeof(typename Matrix::Scalar);
  const Eigen::Index row = std::min(n + kAhead, matrix.rows() - 1);
  for (Eigen::Index c = first; c < end; c += kLine) {
    __builtin_prefetch(&matrix.coeffRef(row, c));
  }
}

// Calls `use(c, ranking)` for each column in order, with its known entries sorted.
//
// Some columns at a time are gathered in one pass over the rows, because a column of a
// row-major matrix alone costs a cache line an entry: 16, or as many as make 2^20
// entries (8 MiB of float), which is the memory it takes; 128 at most.
template <typename T, typename Use>
void for_each_ranking(
    const ScoresRef<T>& scores,
    const LabelsRef& labels,
    const IgnoreRef& ignore,
    std::string_view where,
    Use&& use) {
  constexpr Eigen::Index kMostRows = (Eigen::Index{1} << 31) - 1;  // see `code`
  if (scores.rows() > kMostRows) {
    std::ostringstream text;
    text << where << ": expected at most " << kMostRows << " rows, got "
         << scores.rows();
    throw std::invalid_argument(text.str());
  }
  constexpr Eigen::Index kEntries = Eigen::Index{1} << 20;
  const Eigen::Index columns = std::clamp<Eigen::Index>(
      kEntries / std::max<Eigen::Index>(scores.rows(), 1), 16, 128);
  std::vector<Ranking<T>> rankings(
      static_cast<std::size_t>(std::min(columns, scores.cols())));
  Ranking<T> spare;
  for (Eigen::Index first = 0; first < scores.cols(); first += columns) {
    const Eigen::Index end = std::min(scores.cols(), first + columns);
    const auto ranking_of = [&](Eigen::Index c) -> Ranking<T>& {
      return rankings[static_cast<std::size_t>(c - first)];
    };
    for (Eigen::Index c = first; c < end; ++c) {
      ranking_of(c).clear();
    }
    for (Eigen::Index n = 0; n < scores.rows(); ++n) {
      prefetch_row(scores, n, first, end);
      prefetch_row(labels, n, first, end);
      for (Eigen::Index c = first; c < end; ++c) {
        const bool is_ignored = ignore.size() != 0 && ignore(n, c);
        if (labels(n, c) != 0 && !is_ignored) {
          ranking_of(c).emplace_back(scores(n, c), n, labels(n, c) > 0);
        }
      }
    }
    for (Eigen::Index c = first; c < end; ++c) {
      sort_ranking(ranking_of(c), spare);
      use(c, std::as_const(ranking_of(c)));
    }
  }
}

}  // namespace trmml::evaluation::detail
