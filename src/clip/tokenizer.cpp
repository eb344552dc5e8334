#include "trmml/clip/tokenizer.hpp"

#include "trmml/core/error.hpp"
#include "trmml/io/atomic_file.hpp"

#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <map>
#include <mutex>
#include <set>
#include <tuple>
#include <unordered_map>

#include "byte_table.hpp"
#include "html_references.hpp"
#include "repair_text.hpp"
#include "unicode.hpp"
#include "vocabulary_file.hpp"

namespace trmml::clip {

namespace {

// CLIP's pattern ignores case: the long s is an s, and the iota below is lost (its
// other case is a letter, so it belongs to neither letters nor "anything else").
constexpr char32_t kLongS = 0x17F;
constexpr char32_t kIotaBelow = 0x345;

// ---- Cleaning ----

/// Text that only needs small letters and single blanks: printable ASCII that is no
/// reference of HTML. Most captions are.
bool is_plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char byte) {
    return (byte >= 0x20 && byte < 0x7F && byte != '&') || byte == '\t' || byte == '\n';
  });
}

/// No white space at the ends, single blanks elsewhere.
template <typename Text>
Text collapse_spaces(std::basic_string_view<typename Text::value_type> text) {
  Text result;
  result.reserve(text.size());
  bool pending = false;
  for (const auto point : text) {
    if (unicode::is_space(static_cast<char32_t>(point))) {
      pending = !result.empty();
      continue;
    }
    if (pending) {
      result.push_back(' ');
      pending = false;
    }
    result.push_back(point);
  }
  return result;
}

std::string clean_plain(std::string_view text) {
  std::string result = collapse_spaces<std::string>(text);
  for (char& byte : result) {
    byte = static_cast<char>(byte >= 'A' && byte <= 'Z' ? byte + 0x20 : byte);
  }
  return result;
}

std::u32string clean(std::string_view text) {
  std::u32string points = repair_text(unicode::from_utf8(text));
  if (points.find(U'&') != points.npos) {
    points = unescape_html(unescape_html(points));
  }
  return unicode::to_lower(collapse_spaces<std::u32string>(points));
}

// ---- Words ----

/// Whether `text` has `pattern` (small ASCII letters) at `begin`.
template <typename View>
bool has_at(View text, size_t begin, std::string_view pattern) {
  if (text.size() - begin < pattern.size()) {
    return false;
  }
  for (size_t i = 0; i < pattern.size(); ++i) {
    const auto point = static_cast<char32_t>(text[begin + i]);
    const auto wanted = static_cast<char32_t>(pattern[i]);
    if (point != wanted && !(wanted == 's' && point == kLongS)) {
      return false;
    }
  }
  return true;
}

bool is_between_words(char32_t point) {
  return unicode::is_space(point) || point == kIotaBelow;
}

/// The end of the word that begins at `begin`, which is not between words.
template <typename View>
size_t end_of_word(View text, size_t begin) {
  static constexpr std::array<std::string_view, 9> kFixed = {
      kStartToken, kEndToken, "'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
  const auto at = [text](size_t i) { return static_cast<char32_t>(text[i]); };
  if (at(begin) == '<' || at(begin) == '\'') {
    for (const std::string_view fixed : kFixed) {
      if (has_at(text, begin, fixed)) {
        return begin + fixed.size();
      }
    }
  }
  if (unicode::is_number(at(begin))) {
    return begin + 1;
  }
  size_t end = begin + 1;
  if (unicode::is_letter(at(begin))) {
    while (end < text.size() && unicode::is_letter(at(end))) {
      ++end;
    }
    return end;
  }
  while (end < text.size() && !is_between_words(at(end)) &&
         !unicode::is_letter(at(end)) && !unicode::is_number(at(end))) {
    ++end;
  }
  return end;
}

std::string_view as_bytes(std::string_view word, std::string&) {
  return word;
}

std::string_view as_bytes(std::u32string_view word, std::string& bytes) {
  bytes.clear();
  for (const char32_t point : word) {
    unicode::append_utf8(bytes, point);
  }
  return bytes;
}

/// Calls `visit` with the UTF-8 bytes of each word of a cleaned text.
template <typename View, typename Visit>
void for_each_word_of(View text, const Visit& visit) {
  std::string bytes;
  size_t i = 0;
  while (i < text.size()) {
    if (is_between_words(static_cast<char32_t>(text[i]))) {
      ++i;
      continue;
    }
    const size_t end = end_of_word(text, i);
    visit(as_bytes(text.substr(i, end - i), bytes));
    i = end;
  }
}

/// The same for a text as it comes.
template <typename Visit>
void for_each_word(std::string_view text, const Visit& visit) {
  if (is_plain(text)) {
    for_each_word_of<std::string_view>(clean_plain(text), visit);
  } else {
    for_each_word_of<std::u32string_view>(clean(text), visit);
  }
}

// ---- Symbols ----

/// The symbols of a word before any merge.
void append_symbols(std::vector<int32_t>& symbols, std::string_view word) {
  const ByteTable& table = byte_table();
  for (const char byte : word) {
    symbols.push_back(table.id_of[static_cast<unsigned char>(byte)]);
  }
  symbols.back() += kBytes;
}

uint64_t pair_key(int32_t first, int32_t second) {
  return (static_cast<uint64_t>(static_cast<uint32_t>(first)) << 32) |
         static_cast<uint32_t>(second);
}

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

/// Tokens by name while merges are added one by one.
class Symbols {
 public:
  Symbols() {
    for (const std::string_view suffix : {std::string_view(), kEndOfWord}) {
      for (const std::string& printable : byte_table().printable) {
        add(printable + std::string(suffix));
      }
    }
  }

  std::optional<int32_t> find(const std::string& name) const {
    const auto found = ids_.find(name);
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
  }

  const std::string& name(int32_t id) const { return names_[static_cast<size_t>(id)]; }
  size_t size() const { return names_.size(); }

  void add(std::string name) {
    ids_.emplace(name, static_cast<int32_t>(names_.size()));
    names_.push_back(std::move(name));
  }

 private:
  std::vector<std::string> names_;
  std::unordered_map<std::string, int32_t> ids_;
};

// ---- Words seen before ----

/// The ids of short words, so that a frequent word is merged once. Of fixed size: a
/// word takes the place of another. Threads may share it.
class WordCache {
 public:
  WordCache() : slots_(std::make_unique<Slot[]>(kSlots)) {}

  /// Appends the ids of `word`; false when it is not there.
  bool find(std::string_view word, std::vector<int64_t>& ids) {
    if (word.size() > kMaxBytes) {
      return false;
    }
    const size_t place = place_of(word);
    const std::lock_guard<std::mutex> lock(mutexes_[place % kMutexes]);
    const Slot& slot = slots_[place];
    if (std::string_view(slot.bytes.data(), slot.size) != word) {
      return false;
    }
    ids.insert(ids.end(), slot.ids.begin(), slot.ids.begin() + slot.n_ids);
    return true;
  }

  void put(std::string_view word, const int64_t* ids, size_t n_ids) {
    if (word.size() > kMaxBytes || n_ids > kMaxIds) {
      return;
    }
    const size_t place = place_of(word);
    const std::lock_guard<std::mutex> lock(mutexes_[place % kMutexes]);
    Slot& slot = slots_[place];
    slot.size = static_cast<uint8_t>(word.size());
    slot.n_ids = static_cast<uint8_t>(n_ids);
    std::copy(word.begin(), word.end(), slot.bytes.begin());
    std::transform(ids, ids + n_ids, slot.ids.begin(), [](int64_t id) {
      return static_cast<int32_t>(id);
    });
  }

 private:
  static constexpr size_t kSlots = 8192;  // of 64 bytes
  static constexpr size_t kMutexes = 64;
  static constexpr size_t kMaxBytes = 30;
  static constexpr size_t kMaxIds = 8;

  struct Slot {
    uint8_t size = 0;  // no word is empty
    uint8_t n_ids = 0;
    std::array<char, kMaxBytes> bytes{};
    std::array<int32_t, kMaxIds> ids{};
  };

  static size_t place_of(std::string_view word) {
    return std::hash<std::string_view>()(word) % kSlots;
  }

  std::unique_ptr<Slot[]> slots_;
  std::array<std::mutex, kMutexes> mutexes_;
};

}  // namespace

// ---- Tokenizer ----

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

namespace {

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

}  // namespace

std::string clean_text(std::string_view text) {
  return is_plain(text) ? clean_plain(text) : unicode::to_utf8(clean(text));
}

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

// ---- Learning ----

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
