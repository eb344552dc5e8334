// Byte-pair encoding learned from texts: the vocabulary of a small CLIP.

#include "trmml/clip/tokenizer.hpp"
#include "trmml/io/atomic_file.hpp"

#include <c10/util/Exception.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "symbols.hpp"
#include "words.hpp"

namespace trmml::clip {

namespace {

/// Words with their counts, and how often each pair of neighbours stands in them.
class PairCounter {
 public:
  struct Pair {
    int32_t first, second;
    int64_t count;
  };

  explicit PairCounter(const std::vector<std::string>& texts) {
    std::map<std::string, int64_t> counts;
    for (const std::string& text : texts) {
      for_each_word(text, [&counts](std::string_view word) {
        if (word != kStartToken && word != kEndToken) {
          ++counts[std::string(word)];
        }
      });
    }
    for (const auto& [word, count] : counts) {
      words_.emplace_back();
      append_symbols(words_.back(), word);
      word_counts_.push_back(count);
      add_pairs(words_.size() - 1, 1);
    }
  }

  /// The most frequent pair; count 0 when there is none.
  Pair best(const Symbols& symbols) const {
    Pair best{0, 0, 0};
    const auto names = [&symbols](const Pair& pair) {
      return std::tie(symbols.name(pair.first), symbols.name(pair.second));
    };
    for (const auto& [key, entry] : pairs_) {
      const Pair pair{
          static_cast<int32_t>(key >> 32), static_cast<int32_t>(key), entry.count};
      if (pair.count > best.count ||
          (pair.count == best.count && names(pair) < names(best))) {
        best = pair;
      }
    }
    return best;
  }

  void merge(const Pair& pair, int32_t merged) {
    const std::set<size_t> where = pairs_[pair_key(pair.first, pair.second)].words;
    for (const size_t index : where) {
      add_pairs(index, -1);
      std::vector<int32_t>& word = words_[index];
      size_t size = 0;
      for (size_t i = 0; i < word.size(); ++i) {
        const bool here =
            i + 1 < word.size() && word[i] == pair.first && word[i + 1] == pair.second;
        word[size++] = here ? merged : word[i];
        i += here ? 1 : 0;
      }
      word.resize(size);
      add_pairs(index, 1);
    }
  }

 private:
  struct Entry {
    int64_t count = 0;
    std::set<size_t> words;
  };

  void add_pairs(size_t index, int64_t sign) {
    const std::vector<int32_t>& word = words_[index];
    for (size_t i = 0; i + 1 < word.size(); ++i) {
      const uint64_t key = pair_key(word[i], word[i + 1]);
      Entry& entry = pairs_[key];
      entry.count += sign * word_counts_[index];
      if (sign > 0) {
        entry.words.insert(index);
      } else {
        entry.words.erase(index);
      }
      if (entry.count == 0) {
        pairs_.erase(key);
      }
    }
  }

  std::vector<std::vector<int32_t>> words_;
  std::vector<int64_t> word_counts_;
  std::unordered_map<uint64_t, Entry> pairs_;
};

}  // namespace

std::vector<Merge> learn_merges(
    const std::vector<std::string>& texts,
    int64_t n_merges) {
  TORCH_CHECK_VALUE(
      n_merges >= 0, "learn_merges: expected n_merges >= 0, got ", n_merges);
  Symbols symbols;
  PairCounter counter(texts);
  std::vector<Merge> merges;
  while (static_cast<int64_t>(merges.size()) < n_merges) {
    const PairCounter::Pair pair = counter.best(symbols);
    if (pair.count == 0) {
      break;
    }
    merges.emplace_back(symbols.name(pair.first), symbols.name(pair.second));
    counter.merge(pair, static_cast<int32_t>(symbols.size()));
    symbols.add(merges.back().first + merges.back().second);
  }
  return merges;
}

void write_merges(const std::filesystem::path& path, const std::vector<Merge>& merges) {
  io::AtomicFile file(path);
  file.write("#version: trmml 1\n");
  for (const auto& [first, second] : merges) {
    file.write(first + " " + second + "\n");
  }
  file.commit();
}

}  // namespace trmml::clip
