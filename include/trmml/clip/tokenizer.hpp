#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trmml::clip {

/// Two neighbouring symbols that become one, each a known token in printable form:
/// bytes as CLIP's printable characters, `</w>` behind the last symbol of a word.
using Merge = std::pair<std::string, std::string>;

/// How many merges of its vocabulary file CLIP uses.
inline constexpr int64_t kClipMerges = 48894;

/// What `Tokenizer` does to a text before it cuts it into tokens; CLIP's order.
///
/// 1. Bytes that are not UTF-8 become U+FFFD, as `bytes.decode("utf-8", "replace")` of
///    Python does it.
/// 2. Damaged text is repaired, as the Python package ftfy 6.3.1 does it: text that was
///    decoded with a wrong encoding (an accented e as two letters), HTML references
///    (not behind a "<"), ligatures, wide and narrow forms, curly quotes, line breaks,
///    terminal colours, control characters, canonical composition (NFC).
/// 3. HTML references are resolved twice, by the rules of HTML 5.
/// 4. White space at the ends goes, runs of it become one blank, and all becomes lower
///    case (`str.lower` of Python: "final" sigma, dotted I).
///
/// Differs from the Python packages in texts with more than 100 layers of damage
/// (`&amp;amp;amp;...`), in numbers of references with more than 4300 digits (an error
/// in Python), and where the two know different versions of Unicode
/// (docs/tokenizer.md).
///
/// Example:
/// ```
/// clip::clean_text("  Salt &amp;amp;  PEPPER ");  // "salt & pepper"
/// ```
std::string clean_text(std::string_view text);

struct VocabularyFile;  // private to src/clip

/// CLIP's byte-pair encoding, token for token.
///
/// A text is cleaned (`clean_text`) and cut into words: `<|startoftext|>` and
/// `<|endoftext|>`, the contractions 's 't 're 've 'm 'll 'd, runs of letters, single
/// digits, and runs of anything else that is not white space. The bytes of a word, the
/// last of them marked as the end of the word, are then merged: always the pair that
/// comes first in the list of merges, everywhere in the word, until none is left.
///
/// Vocabulary: 256 bytes, the same 256 at the end of a word, one token per merge,
/// `<|startoftext|>`, `<|endoftext|>`. Both names are recognised inside of texts, as
/// CLIP does; do not encode texts of strangers if that matters.
///
/// Copies share their vocabulary and a memory of the words seen last (0.5 MiB, guarded
/// inside), so threads may share a tokenizer. No random numbers.
///
/// Example:
/// ```
/// const auto tokenizer = clip::Tokenizer::load(clip::find_vocabulary(checkpoint));
/// tokenizer.tokenize({"a diagram"}, 77);  // 49406 320 22697 49407 0 ...
/// ```
class Tokenizer {
 public:
  /// Reads a vocabulary from any of the files in use; what it holds decides, not its
  /// name:
  ///
  /// - CLIP's `bpe_simple_vocab_16e6.txt.gz` (or unpacked), cut after `kClipMerges`;
  /// - another text file with merges, as `from_merges` takes it;
  /// - `vocab.json` with `merges.txt` beside it;
  /// - `tokenizer.json`.
  ///
  /// The ids in JSON files must be those that the merges lead to. A JSON file also says
  /// how texts are to be cleaned; that is not looked at (docs/tokenizer.md).
  ///
  /// Throws `DataError` with path, line, what was expected and what was found.
  static Tokenizer load(const std::filesystem::path& path);

  /// Reads merges from a text file, plain or gzip: a first line that contains
  /// `#version`, then one merge a line, two symbols with a blank between. Keeps the
  /// first `max_merges`
  /// (>= 0; default: all). CLIP's own file, `bpe_simple_vocab_16e6.txt.gz`, has more
  /// lines than CLIP uses: pass `kClipMerges` with it.
  ///
  /// Throws `DataError` with path, line and reason: no such file, not two symbols, a
  /// merge or token that was there before, a symbol that is no token yet.
  static Tokenizer from_merges(
      const std::filesystem::path& path,
      std::optional<int64_t> max_merges = std::nullopt);

  /// Takes the merges in order of precedence. Throws `c10::ValueError` for one that was
  /// there before, that makes a token which exists, or whose parts are no tokens yet.
  explicit Tokenizer(std::vector<Merge> merges);

  /// The tokens of `text`, without start and end.
  std::vector<int64_t> encode(std::string_view text) const;

  /// The bytes that `ids` stand for; a blank follows every word, as in CLIP. May end or
  /// begin within a character when `ids` do. Throws `c10::IndexError` for an id outside
  /// of the vocabulary.
  std::string decode(const std::vector<int64_t>& ids) const;

  /// One row of int64 ids for each text: start, tokens, end, then zeros.
  ///
  /// Returns [n, L] on the CPU for n texts and L = `context_length` (>= 2; CLIP's is
  /// 77). A text that is too long is an error unless `truncate`: then its last place
  /// holds the end token. Throws `c10::ValueError` naming the text, its length and the
  /// limit.
  at::Tensor tokenize(
      const std::vector<std::string>& texts,
      int64_t context_length,
      bool truncate = false) const;

  int64_t start_id() const;
  int64_t end_id() const;
  int64_t vocab_size() const;

  /// The merges this tokenizer was made of.
  const std::vector<Merge>& merges() const;

 private:
  static Tokenizer from_file(const VocabularyFile& file);

  struct Vocabulary;
  std::shared_ptr<const Vocabulary> vocabulary_;
};

/// The file with the vocabulary for a checkpoint: `given` (a file, or a folder that
/// holds one), else what is beside `checkpoint` (a file or a folder; may be empty),
/// else what is in the cache: `$TRMML_CACHE`, `$XDG_CACHE_HOME/trmml` or
/// `~/.cache/trmml`, where `scripts/setup --clip-vocab` puts CLIP's.
///
/// In a folder the first of these counts: `bpe_simple_vocab_16e6.txt.gz`, the same
/// unpacked, `tokenizer.json`, `vocab.json`, `merges.txt`. The file is not read.
/// Throws `DataError` that says where it looked and what helps.
std::filesystem::path find_vocabulary(
    const std::filesystem::path& checkpoint,
    const std::optional<std::filesystem::path>& given = std::nullopt);

/// Learns byte-pair merges from `texts`.
///
/// Texts are cleaned and cut as `Tokenizer` does. Then, up to `n_merges` (>= 0) times,
/// the most frequent pair of neighbouring symbols within words becomes one; of several
/// the one whose symbols come first in the order of their bytes, so that equal texts
/// give equal merges in any order. Fewer come back when no pair is left.
///
/// Example:
/// ```
/// const clip::Tokenizer tokenizer(clip::learn_merges(captions, 1000));
/// ```
std::vector<Merge> learn_merges(
    const std::vector<std::string>& texts,
    int64_t n_merges);

/// Writes a file that `Tokenizer::from_merges` reads; complete or not at all.
/// Throws `trmml::WriteError` when it cannot be written.
void write_merges(const std::filesystem::path& path, const std::vector<Merge>& merges);

}  // namespace trmml::clip
