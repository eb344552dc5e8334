#include "trmml/clip/tokenizer.hpp"

#include "trmml/core/error.hpp"

#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "byte_table.hpp"
#include "symbols.hpp"
#include "vocabulary_file.hpp"
#include "word_cache.hpp"
#include "word_merger.hpp"
#include "words.hpp"

namespace trmml::clip {

struct Tokenizer::Vocabulary {
  std::vector<Merge> merges;
  std::vector<std::string> bytes;  // by id, a blank for the end of a word
  std::vector<std::pair<int32_t, int32_t>> parts;  // by rank
  PairRanks ranks;
  std::unique_ptr<WordCache> cache;  // guards itself

  /// Throws what `fail(rank, reason)` throws for a merge that cannot be.
  template <typename Fail>
  static std::shared_ptr<const Vocabulary> make(
      std::vector<Merge> merges,
      const Fail& fail) {
    Symbols symbols;
    std::vector<std::string> bytes;
    for (int32_t id = 0; id < kFirstMerge; ++id) {
      const auto byte = byte_table().byte_of[static_cast<size_t>(id % kBytes)];
      bytes.push_back(std::string(1, static_cast<char>(byte)));
      bytes.back() += id < kBytes ? "" : " ";
    }
    std::vector<std::pair<int32_t, int32_t>> parts;
    std::vector<uint64_t> keys;
    std::set<uint64_t> seen;
    for (size_t rank = 0; rank < merges.size(); ++rank) {
      const auto& [first, second] = merges[rank];
      const std::optional<int32_t> ids[] = {symbols.find(first), symbols.find(second)};
      for (const int side : {0, 1}) {
        if (!ids[side]) {
          fail(
              rank,
              fmt::format(
                  "'{}' is neither a byte nor made by an earlier merge",
                  side == 0 ? first : second));
        }
      }
      keys.push_back(pair_key(*ids[0], *ids[1]));
      if (!seen.insert(keys.back()).second) {
        fail(rank, fmt::format("'{} {}' was there before", first, second));
      }
      if (symbols.find(first + second)) {
        fail(
            rank,
            fmt::format("'{} {}' makes a token that exists already", first, second));
      }
      symbols.add(first + second);
      parts.emplace_back(*ids[0], *ids[1]);
      bytes.push_back(
          bytes[static_cast<size_t>(*ids[0])] + bytes[static_cast<size_t>(*ids[1])]);
    }
    bytes.emplace_back(kStartToken);
    bytes.emplace_back(kEndToken);
    return std::make_shared<const Vocabulary>(Vocabulary{
        std::move(merges),
        std::move(bytes),
        std::move(parts),
        PairRanks(keys),
        std::make_unique<WordCache>()});
  }
};

Tokenizer Tokenizer::from_file(const VocabularyFile& file) {
  Tokenizer tokenizer{std::vector<Merge>()};
  tokenizer.vocabulary_ =
      Vocabulary::make(file.merges, [&file](size_t rank, const std::string& reason) {
        throw DataError(file.place(rank) + reason);
      });
  check_ids(file);
  return tokenizer;
}

Tokenizer Tokenizer::from_merges(
    const std::filesystem::path& path,
    std::optional<int64_t> max_merges) {
  TORCH_CHECK_VALUE(
      max_merges.value_or(0) >= 0,
      "Tokenizer::from_merges: expected max_merges >= 0, got ",
      max_merges.value_or(0));
  return from_file(read_merges(path, max_merges));
}

Tokenizer Tokenizer::load(const std::filesystem::path& path) {
  return from_file(read_vocabulary(path));
}

Tokenizer::Tokenizer(std::vector<Merge> merges)
    : vocabulary_(Vocabulary::make(
          std::move(merges),
          [](size_t rank, const std::string& reason) {
            TORCH_CHECK_VALUE(false, "Tokenizer: merge ", rank, ": ", reason);
          })) {}

std::vector<int64_t> Tokenizer::encode(std::string_view text) const {
  std::vector<int64_t> ids;
  WordMerger merger(vocabulary_->ranks, vocabulary_->parts);
  WordCache& cache = *vocabulary_->cache;
  for_each_word(text, [&](std::string_view word) {
    if (word == kStartToken) {
      ids.push_back(start_id());
    } else if (word == kEndToken) {
      ids.push_back(end_id());
    } else if (!cache.find(word, ids)) {
      const size_t before = ids.size();
      merger.append_ids(word, ids);
      cache.put(word, ids.data() + before, ids.size() - before);
    }
  });
  return ids;
}

std::string Tokenizer::decode(const std::vector<int64_t>& ids) const {
  std::string bytes;
  for (const int64_t id : ids) {
    TORCH_CHECK_INDEX(
        id >= 0 && id < vocab_size(),
        "Tokenizer::decode: expected ids in [0, ",
        vocab_size(),
        "), got ",
        id);
    bytes += vocabulary_->bytes[static_cast<size_t>(id)];
  }
  return bytes;
}

at::Tensor Tokenizer::tokenize(
    const std::vector<std::string>& texts,
    int64_t context_length,
    bool truncate) const {
  TORCH_CHECK_VALUE(
      context_length >= 2,
      "Tokenizer::tokenize: expected context_length >= 2 (start and end), got ",
      context_length);
  at::Tensor result =
      at::zeros({static_cast<int64_t>(texts.size()), context_length}, at::kLong);
  int64_t* row = result.data_ptr<int64_t>();
  for (size_t i = 0; i < texts.size(); ++i, row += context_length) {
    std::vector<int64_t> ids = encode(texts[i]);
    const int64_t length = static_cast<int64_t>(ids.size()) + 2;
    TORCH_CHECK_VALUE(
        truncate || length <= context_length,
        "Tokenizer::tokenize: text ",
        i,
        ", ",
        shown(texts[i]),
        ", has ",
        length,
        " tokens with start and end, the limit is ",
        context_length,
        " (truncate = true cuts it)");
    ids.resize(static_cast<size_t>(std::min(length, context_length) - 2));
    row[0] = start_id();
    std::copy(ids.begin(), ids.end(), row + 1);
    row[ids.size() + 1] = end_id();
  }
  return result;  // [n, L]
}

int64_t Tokenizer::start_id() const {
  return vocab_size() - 2;
}

int64_t Tokenizer::end_id() const {
  return vocab_size() - 1;
}

int64_t Tokenizer::vocab_size() const {
  return static_cast<int64_t>(vocabulary_->bytes.size());
}

const std::vector<Merge>& Tokenizer::merges() const {
  return vocabulary_->merges;
}

}  // namespace trmml::clip
