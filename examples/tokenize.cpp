// Texts to ids of CLIP's vocabulary, and back.
//
//   tokenize < texts > ids            a line of ids for each line of text
//   tokenize --decode < ids > texts   the way back
//   tokenize --vocab F                another vocabulary than the one in the cache
//
// Start and end token are included, and nothing is padded. A text that is longer than
// --context-length (default: any length) is an error, or cut with --truncate: its last
// id is the end token then. With --null texts end with a NUL byte instead of a line
// break, so that they may hold line breaks (as with `xargs -0`); lines of ids stay
// lines. A \r in front of the line break is white space, which CLIP drops.
//
// Exit status: 0 done, 2 wrong options or a text that is too long, 3 a vocabulary or
// input that cannot be read, 6 an output that cannot be written.

#include "trmml/clip/tokenizer.hpp"
#include "trmml/core/error.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <iostream>
#include <limits>

#include "support/program.hpp"

namespace {

using Ids = std::vector<int64_t>;

struct Options {
  std::string vocab;
  int64_t context_length = 0;  // 0: any
  bool truncate = false;
  bool decode = false;
  bool null = false;
};

// The next record without its end; false when there is none.
bool next_record(char end, std::string& record) {
  return static_cast<bool>(std::getline(std::cin, record, end));
}

Ids encode(
    const trmml::clip::Tokenizer& tokenizer,
    const Options& options,
    const std::string& text,
    size_t number) {
  Ids ids = tokenizer.encode(text);
  ids.insert(ids.begin(), tokenizer.start_id());
  ids.push_back(tokenizer.end_id());
  const auto limit = static_cast<size_t>(options.context_length);
  if (limit > 0 && ids.size() > limit) {
    if (!options.truncate) {
      throw program::UsageError(fmt::format(
          "text {} has {} tokens with start and end, the limit is {} (--truncate cuts "
          "it)",
          number,
          ids.size(),
          limit));
    }
    ids.resize(limit);
    ids.back() = tokenizer.end_id();
  }
  return ids;
}

Ids parse_ids(const std::string& line, size_t number, int64_t vocab_size) {
  Ids ids;
  const char* next = line.data();
  const char* const end = next + line.size();
  while (next < end) {
    if (*next == ' ' || *next == '\t' || *next == '\r') {
      ++next;
      continue;
    }
    int64_t id = -1;
    const auto [stop, error] = std::from_chars(next, end, id);
    const bool ends = stop == end || *stop == ' ' || *stop == '\t' || *stop == '\r';
    if (error != std::errc() || !ends || id < 0 || id >= vocab_size) {
      throw trmml::DataError(fmt::format(
          "line {}: expected ids from 0 to {} with blanks between, got something else "
          "at byte {}",
          number,
          vocab_size - 1,
          next - line.data() + 1));
    }
    ids.push_back(id);
    next = stop;
  }
  return ids;
}

// The text of `ids` without start, end, padding and the blank behind the last word.
std::string decode(const trmml::clip::Tokenizer& tokenizer, Ids ids) {
  if (!ids.empty() && ids.front() == tokenizer.start_id()) {
    ids.erase(ids.begin());
  }
  ids.erase(std::find(ids.begin(), ids.end(), tokenizer.end_id()), ids.end());
  std::string text = tokenizer.decode(ids);
  if (!text.empty() && text.back() == ' ') {
    text.pop_back();
  }
  return text;
}

void tokenize(const CLI::App& app, const Options& options) {
  using trmml::clip::Tokenizer;
  program::expect_effect(
      app, !options.decode, {"--context-length", "--truncate"}, "no --decode");
  const auto path = program::with_flag<trmml::DataError>("--vocab", [&options] {
    return trmml::clip::find_vocabulary(
        {}, options.vocab.empty() ? std::nullopt : std::optional(options.vocab));
  });
  const Tokenizer tokenizer = Tokenizer::load(path);
  std::ios::sync_with_stdio(false);
  std::cin.tie(nullptr);
  const char text_end = options.null ? '\0' : '\n';
  std::string record;
  for (size_t number = 1; next_record(options.decode ? '\n' : text_end, record);
       ++number) {
    std::string line;
    if (options.decode) {
      line = decode(tokenizer, parse_ids(record, number, tokenizer.vocab_size()));
      line.push_back(text_end);
    } else {
      line = fmt::format(
          "{}\n", fmt::join(encode(tokenizer, options, record, number), " "));
    }
    std::cout.write(line.data(), static_cast<std::streamsize>(line.size()));
  }
  std::cout.flush();
  if (std::cin.bad()) {
    throw trmml::DataError("cannot read the standard input (is it a folder?)");
  }
  if (!std::cout) {
    throw trmml::WriteError("cannot write to the standard output (is its disk full?)");
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Texts to ids of CLIP's vocabulary, and back");
  app.add_option(
      "--vocab", options.vocab, "Vocabulary (default: the one in the cache)");
  app.add_option("--context-length", options.context_length, "Most ids of a text")
      ->check(CLI::Range(int64_t{2}, std::numeric_limits<int64_t>::max()));
  app.add_flag("--truncate", options.truncate, "Cut what is longer")
      ->needs("--context-length");
  app.add_flag("--decode", options.decode, "Ids to texts");
  app.add_flag("-0,--null", options.null, "Texts end with a NUL byte");
  program::parse(app, argc, argv);
  return program::run("tokenize", [&] { tokenize(app, options); });
}
