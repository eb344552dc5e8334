#pragma once

#include "trmml/clip/tokenizer.hpp"

#include <map>

// Files that hold a vocabulary, read and checked. Private to `src/clip`.

namespace trmml::clip {

struct VocabularyFile {
  std::filesystem::path path;  // of the merges
  bool is_json = false;        // merges in a JSON array, else one a line
  std::vector<Merge> merges;
  std::filesystem::path vocabulary_path;
  std::optional<std::map<std::string, int64_t>> ids;  // of the tokens, where told

  /// For messages: where the merge is, with ": " behind.
  std::string place(size_t rank) const;
};

/// One text file with merges.
VocabularyFile read_merges(
    const std::filesystem::path& path,
    std::optional<int64_t> max_merges);

/// Any of the files that `Tokenizer::load` takes.
VocabularyFile read_vocabulary(const std::filesystem::path& path);

/// Whether the ids in the file are those that the merges lead to. Throws `DataError`.
void check_ids(const VocabularyFile& file);

/// For messages: what comes from outside, short and without control characters.
std::string shown(std::string_view text);

}  // namespace trmml::clip
