#include "vocabulary_file.hpp"

#include "trmml/core/error.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <functional>
#include <limits>
#include <memory>
#include <set>
#include <system_error>

#include "byte_table.hpp"
#include <zlib.h>

namespace trmml::clip {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr std::string_view kClipFile = "bpe_simple_vocab_16e6.txt";

[[noreturn]] void fail(const fs::path& path, const std::string& reason) {
  throw DataError(path.string() + ": " + reason);
}

// ---- Text files ----

/// The whole of a plain or gzip file.
std::string read_text(const std::filesystem::path& path) {
  constexpr size_t kMaxSize = size_t{64} << 20;  // CLIP's have 4 MB at most
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::is_regular_file(status)) {
    throw DataError(fmt::format(
        "{}: expected a file with a vocabulary, got {}",
        path.string(),
        !std::filesystem::exists(status) ? "no such file" : "something else"));
  }
  const std::unique_ptr<gzFile_s, decltype(&gzclose)> file(
      gzopen(path.c_str(), "rb"), &gzclose);
  if (!file) {
    throw DataError(fmt::format("{}: cannot open the file", path.string()));
  }
  std::string text;
  std::array<char, 1 << 16> chunk;
  for (;;) {
    const int size =
        gzread(file.get(), chunk.data(), static_cast<unsigned>(chunk.size()));
    int code = Z_OK;
    const char* reason = gzerror(file.get(), &code);
    if (size < 0 || (code != Z_OK && code != Z_STREAM_END)) {
      throw DataError(fmt::format(
          "{}: cannot read the file: {}",
          path.string(),
          code == Z_BUF_ERROR ? "its compressed data are cut off" : reason));
    }
    if (size == 0) {
      return text;
    }
    text.append(chunk.data(), static_cast<size_t>(size));
    if (text.size() > kMaxSize) {
      throw DataError(fmt::format(
          "{}: expected at most {} bytes, got more", path.string(), kMaxSize));
    }
  }
}

/// The line at the front of `text`, which loses it; "\r\n" ends a line too.
std::string_view next_line(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  if (!line.empty() && line.back() == '\r') {
    line.remove_suffix(1);
  }
  return line;
}

std::optional<Merge> parse_merge(std::string_view line) {
  const size_t blank = line.find(' ');
  if (blank == line.npos || blank == 0 || blank + 1 == line.size() ||
      line.find(' ', blank + 1) != line.npos) {
    return std::nullopt;
  }
  return Merge(line.substr(0, blank), line.substr(blank + 1));
}

bool is_json_text(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  return first != text.npos && text[first] == '{';
}

VocabularyFile parse_merges(
    const fs::path& path,
    std::string_view text,
    std::optional<int64_t> max_merges) {
  VocabularyFile file;
  file.path = path;
  std::string_view rest = text;
  const auto fail_at = [&path](size_t line, const std::string& reason) {
    fail(path, fmt::format("line {}: {}", line, reason));
  };
  if (const std::string_view first = next_line(rest);
      first.find("#version") == first.npos) {
    fail_at(1, "expected a comment with '#version', got " + shown(first));
  } else if (!max_merges && first.find(kClipFile) != first.npos) {
    max_merges = kClipMerges;  // CLIP's own file goes on behind them
  }
  while (!rest.empty() &&
         (!max_merges || file.merges.size() < static_cast<size_t>(*max_merges))) {
    const std::string_view line = next_line(rest);
    std::optional<Merge> merge = parse_merge(line);
    if (!merge) {
      fail_at(
          file.merges.size() + 2,
          "expected two symbols with one blank between, got " + shown(line));
    }
    file.merges.push_back(std::move(*merge));
  }
  return file;
}

// ---- JSON ----

/// Refuses what a lenient reader would pass over: two equal keys, and deep nesting.
class StrictJson {
 public:
  explicit StrictJson(const fs::path& path) : path_(path) {}

  bool operator()(int depth, Json::parse_event_t event, Json& parsed) {
    constexpr int kMaxDepth = 32;
    if (depth > kMaxDepth) {
      fail(path_, fmt::format("expected at most {} levels of JSON", kMaxDepth));
    }
    if (event == Json::parse_event_t::object_start) {
      keys_.emplace_back();
    } else if (event == Json::parse_event_t::object_end) {
      keys_.pop_back();
    } else if (event == Json::parse_event_t::key) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (!keys_.back().insert(key).second) {
        fail(path_, "the key " + shown(key) + " is there twice");
      }
    }
    return true;
  }

 private:
  const fs::path& path_;
  std::vector<std::set<std::string>> keys_;
};

Json parse_json(const fs::path& path, std::string_view text) {
  StrictJson strict(path);
  try {
    return Json::parse(text.begin(), text.end(), std::ref(strict));
  } catch (const Json::parse_error& error) {
    const std::string_view reason = error.what();  // "[id] parse error at line ..."
    fail(
        path,
        std::string(reason.substr(std::min(reason.find(' ') + 1, reason.size()))));
  }
}

std::string type_of(const Json& value) {
  return value.is_string() ? shown(value.get_ref<const std::string&>())
                           : std::string(value.type_name());
}

/// The member `key` of the object `where`; null when there is none.
const Json& member(const Json& object, const char* key) {
  static const Json none;
  const auto found = object.find(key);
  return found == object.end() ? none : *found;
}

void expect(const fs::path& path, bool fits, const char* what, const Json& got) {
  if (!fits) {
    fail(path, fmt::format("expected {}, got {}", what, type_of(got)));
  }
}

std::map<std::string, int64_t> read_ids(const fs::path& path, const Json& json) {
  std::map<std::string, int64_t> ids;
  for (const auto& [token, id] : json.items()) {
    if (!id.is_number_integer() || id < 0 || id > std::numeric_limits<int32_t>::max()) {
      fail(
          path,
          fmt::format("token {}: expected an id, got {}", shown(token), type_of(id)));
    }
    ids.emplace(token, id.get<int64_t>());
  }
  return ids;
}

/// "a b", or ["a", "b"] as newer files have it.
Merge read_merge(const fs::path& path, size_t rank, const Json& json) {
  std::optional<Merge> merge;
  if (json.is_string()) {
    merge = parse_merge(json.get_ref<const std::string&>());
  } else if (
      json.is_array() && json.size() == 2 && json[0].is_string() &&
      json[1].is_string()) {
    merge.emplace(json[0].get<std::string>(), json[1].get<std::string>());
  }
  if (!merge) {
    fail(
        path,
        fmt::format("merge {}: expected two symbols, got {}", rank, type_of(json)));
  }
  return *merge;
}

VocabularyFile read_tokenizer_json(const fs::path& path, const Json& json) {
  const Json& model = json["model"];
  expect(path, model.is_object(), "an object as \"model\"", model);
  expect(
      path,
      member(model, "type") == "BPE",
      "\"BPE\" as type of the model",
      member(model, "type"));
  expect(
      path,
      member(model, "end_of_word_suffix") == kEndOfWord,
      "\"</w>\" as end_of_word_suffix (another tokenizer than CLIP's?)",
      member(model, "end_of_word_suffix"));
  const Json& prefix = member(model, "continuing_subword_prefix");
  expect(
      path, prefix.is_null() || prefix == "", "no continuing_subword_prefix", prefix);
  expect(
      path,
      member(model, "vocab").is_object(),
      "an object as \"vocab\"",
      member(model, "vocab"));
  const Json& merges = member(model, "merges");
  expect(path, merges.is_array(), "an array as \"merges\"", merges);
  VocabularyFile file;
  file.path = file.vocabulary_path = path;
  file.is_json = true;
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    file.merges.push_back(read_merge(path, rank, merges[rank]));
  }
  file.ids = read_ids(path, model["vocab"]);
  const Json& added = member(json, "added_tokens");
  expect(
      path, added.is_null() || added.is_array(), "an array as \"added_tokens\"", added);
  for (const Json& token : added) {
    const bool fits = token.is_object() && member(token, "content").is_string() &&
                      member(token, "id").is_number_integer();
    expect(path, fits, "added tokens with content and id", token);
    const auto [known, is_new] = file.ids->emplace(
        token["content"].get<std::string>(), token["id"].get<int64_t>());
    if (!is_new && known->second != token["id"].get<int64_t>()) {
      fail(
          path,
          fmt::format(
              "token {}: the added tokens and the vocabulary give it two ids",
              shown(known->first)));
    }
  }
  return file;
}

VocabularyFile read_vocabulary_json(const fs::path& path, const Json& json) {
  const fs::path merges = path.parent_path() / "merges.txt";
  std::error_code error;
  if (!fs::is_regular_file(merges, error)) {
    fail(path, "expected the file merges.txt beside it, got none");
  }
  VocabularyFile file = read_merges(merges, std::nullopt);
  file.vocabulary_path = path;
  file.ids = read_ids(path, json);
  return file;
}

}  // namespace

std::string VocabularyFile::place(size_t rank) const {
  return is_json ? fmt::format("{}: merge {}: ", path.string(), rank)
                 : fmt::format("{}: line {}: ", path.string(), rank + 2);
}

VocabularyFile read_merges(const fs::path& path, std::optional<int64_t> max_merges) {
  return parse_merges(
      path, read_text(path), max_merges.value_or(std::numeric_limits<int64_t>::max()));
}

VocabularyFile read_vocabulary(const fs::path& path) {
  const std::string text = read_text(path);
  if (!is_json_text(text)) {
    return parse_merges(path, text, std::nullopt);
  }
  const Json json = parse_json(path, text);
  return json.contains("model") && !json["model"].is_number()
             ? read_tokenizer_json(path, json)
             : read_vocabulary_json(path, json);
}

void check_ids(const VocabularyFile& file) {
  if (!file.ids) {
    return;
  }
  const fs::path& path = file.vocabulary_path;
  int64_t next = 0;
  const auto check = [&](const std::string& token) {
    const auto found = file.ids->find(token);
    if (found == file.ids->end()) {
      fail(
          path,
          fmt::format(
              "token {}: expected id {}, got no such token", shown(token), next));
    }
    if (found->second != next) {
      fail(
          path,
          fmt::format(
              "token {}: expected id {}, got {}", shown(token), next, found->second));
    }
    ++next;
  };
  for (const std::string_view suffix : {std::string_view(), kEndOfWord}) {
    for (const std::string& printable : byte_table().printable) {
      check(printable + std::string(suffix));
    }
  }
  for (const auto& [first, second] : file.merges) {
    check(first + second);
  }
  check(std::string(kStartToken));
  check(std::string(kEndToken));
  if (file.ids->size() != static_cast<size_t>(next)) {
    fail(
        path,
        fmt::format(
            "expected {} tokens (bytes, merges, start and end), got {}",
            next,
            file.ids->size()));
  }
}

/// For messages: what comes from outside, short and without control characters.
std::string shown(std::string_view text) {
  constexpr size_t kShown = 60;
  size_t size = std::min(text.size(), kShown);
  while (size > 0 && size < text.size() && (text[size] & 0xC0) == 0x80) {
    --size;  // not within a character
  }
  std::string result(text.substr(0, size));
  std::replace_if(
      result.begin(),
      result.end(),
      [](char byte) { return static_cast<unsigned char>(byte) < 0x20; },
      '?');
  return "'" + result + (size < text.size() ? "...'" : "'");
}

// ---- Where vocabularies are ----

namespace {

/// The first that is there of the files that a folder may hold a vocabulary in.
std::optional<fs::path> vocabulary_in(const fs::path& folder) {
  for (const char* name :
       {"bpe_simple_vocab_16e6.txt.gz",
        "bpe_simple_vocab_16e6.txt",
        "tokenizer.json",
        "vocab.json",
        "merges.txt"}) {
    std::error_code error;
    if (fs::is_regular_file(folder / name, error)) {
      return folder / name;
    }
  }
  return std::nullopt;
}

std::optional<fs::path> variable(const char* name) {
  const char* value = std::getenv(name);
  return value && *value ? std::optional<fs::path>(value) : std::nullopt;
}

/// Where `scripts/setup --clip-vocab` puts CLIP's vocabulary.
std::optional<fs::path> cache_folder() {
  if (const auto own = variable("TRMML_CACHE")) {
    return own;
  }
  if (const auto base = variable("XDG_CACHE_HOME")) {
    return *base / "trmml";
  }
  const auto home = variable("HOME");
  return home ? std::optional(*home / ".cache" / "trmml") : std::nullopt;
}

}  // namespace

fs::path find_vocabulary(
    const fs::path& checkpoint,
    const std::optional<fs::path>& given) {
  std::error_code error;
  if (given) {
    if (!fs::is_directory(*given, error)) {
      if (!fs::exists(*given, error)) {
        fail(*given, "expected a vocabulary, got no such file");
      }
      return *given;
    }
    if (const auto found = vocabulary_in(*given)) {
      return *found;
    }
    fail(*given, "expected a vocabulary in this folder, got none");
  }
  std::vector<fs::path> folders;
  if (!checkpoint.empty()) {
    const fs::path beside = checkpoint.parent_path();
    folders.push_back(
        fs::is_directory(checkpoint, error) ? checkpoint
        : beside.empty()                    ? fs::path(".")
                                            : beside);
  }
  if (const auto cache = cache_folder()) {
    folders.push_back(*cache);
  }
  std::string looked;
  for (const fs::path& folder : folders) {
    if (const auto found = vocabulary_in(folder)) {
      return *found;
    }
    looked += (looked.empty() ? "" : ", ") + folder.string();
  }
  throw DataError(fmt::format(
      "no vocabulary of CLIP in {} (looked for bpe_simple_vocab_16e6.txt.gz, "
      "tokenizer.json, vocab.json with merges.txt, merges.txt); "
      "scripts/setup --clip-vocab puts one into the cache; or name a file of your own",
      looked.empty() ? "any place" : looked));
}

}  // namespace trmml::clip
