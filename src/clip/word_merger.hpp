#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include "symbols.hpp"

// Byte-pair encoding of one word; private to src/clip.

namespace trmml::clip {

/// Pair of ids -> rank, with open addressing; at most half full.
class PairRanks {
 public:
  static constexpr int32_t kNone = std::numeric_limits<int32_t>::max();

  explicit PairRanks(const std::vector<uint64_t>& keys) {
    int bits = 1;
    while ((size_t{1} << bits) < 2 * keys.size()) {
      ++bits;
    }
    shift_ = 64 - bits;
    slots_.resize(size_t{1} << bits);
    for (size_t rank = 0; rank < keys.size(); ++rank) {
      size_t slot = slot_of(keys[rank]);
      while (slots_[slot].rank != kNone) {
        slot = (slot + 1) & (slots_.size() - 1);
      }
      slots_[slot] = {keys[rank], static_cast<int32_t>(rank)};
    }
  }

  int32_t find(int32_t first, int32_t second) const {
    const uint64_t key = pair_key(first, second);
    size_t slot = slot_of(key);
    while (slots_[slot].rank != kNone && slots_[slot].key != key) {
      slot = (slot + 1) & (slots_.size() - 1);
    }
    return slots_[slot].rank;
  }

 private:
  struct Slot {
    uint64_t key = 0;
    int32_t rank = kNone;
  };

  size_t slot_of(uint64_t key) const {
    return static_cast<size_t>((key * 0x9E3779B97F4A7C15ULL) >> shift_);
  }

  int shift_ = 0;
  std::vector<Slot> slots_;
};

/// Merges the symbols of one word after the other; keeps its memory between words.
///
/// Candidates wait in a heap, lowest rank first, then leftmost. A merge can only lead
/// to candidates of higher rank (its result was unknown before), so this order equals
/// "best pair everywhere, then the next", in n log n.
class WordMerger {
 public:
  WordMerger(
      const PairRanks& ranks,
      const std::vector<std::pair<int32_t, int32_t>>& parts)
      : ranks_(ranks), parts_(parts) {}

  void append_ids(std::string_view word, std::vector<int64_t>& ids) {
    symbols_.clear();
    append_symbols(symbols_, word);
    const size_t n = symbols_.size();
    next_.resize(n);
    previous_.resize(n);
    for (size_t i = 0; i < n; ++i) {
      next_[i] = i + 1;
      previous_[i] = i - 1;  // of the first: never read
    }
    heap_.clear();
    for (size_t i = 0; i + 1 < n; ++i) {
      push(i);
    }
    while (!heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
      const auto [rank, i] = heap_.back();
      heap_.pop_back();
      merge(rank, i);
    }
    for (size_t i = 0; i < n; i = next_[i]) {
      ids.push_back(symbols_[i]);
    }
  }

 private:
  static constexpr int32_t kMerged = -1;

  void push(size_t i) {
    const int32_t rank = ranks_.find(symbols_[i], symbols_[next_[i]]);
    if (rank != PairRanks::kNone) {
      heap_.emplace_back(rank, i);
      std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
    }
  }

  void merge(int32_t rank, size_t i) {
    const size_t right = next_[i];
    const auto [first, second] = parts_[static_cast<size_t>(rank)];
    if (right >= symbols_.size() || symbols_[i] != first || symbols_[right] != second) {
      return;  // one of the two was merged meanwhile
    }
    symbols_[i] = kFirstMerge + rank;
    symbols_[right] = kMerged;
    next_[i] = next_[right];
    if (next_[i] < symbols_.size()) {
      previous_[next_[i]] = i;
      push(i);
    }
    if (i > 0) {
      push(previous_[i]);
    }
  }

  const PairRanks& ranks_;
  const std::vector<std::pair<int32_t, int32_t>>& parts_;
  std::vector<int32_t> symbols_;
  std::vector<size_t> next_;
  std::vector<size_t> previous_;
  std::vector<std::pair<int32_t, size_t>> heap_;
};

}  // namespace trmml::clip
