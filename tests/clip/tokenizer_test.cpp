#include "trmml/clip/tokenizer.hpp"

#include "trmml/core/error.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "reference/tokenizer.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using support::read_bytes;
using support::TemporaryFolder;
using support::write_bytes;
using trmml::clip::clean_text;
using trmml::clip::learn_merges;
using trmml::clip::Merge;
using trmml::clip::Tokenizer;
using trmml::clip::write_merges;

namespace {

using Ids = std::vector<int64_t>;

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const trmml::DataError& error) {
    return error.what();
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  }
  return "no error";
}

/// The message for a file of merges with this text, without its path.
std::string error_of_merges(const std::string& text) {
  const TemporaryFolder folder;
  write_bytes(folder / "merges", text);
  const std::string message =
      error_of([&] { Tokenizer::from_merges(folder / "merges"); });
  const std::string prefix = (folder / "merges").string() + ": ";
  return message.substr(0, prefix.size()) == prefix ? message.substr(prefix.size())
                                                    : message;
}

std::string file_of(const std::vector<Merge>& merges) {
  std::string text = "#version: 0.2\n";
  for (const auto& [first, second] : merges) {
    text += first + " " + second + "\n";
  }
  return text;
}

}  // namespace

TEST_CASE("ids and cleaned texts equal those of the Python reference") {
  const Tokenizer tokenizer(reference::kMerges);
  for (const reference::Encoded& expected : reference::kEncoded) {
    INFO(expected.text);
    CHECK(clean_text(expected.text) == expected.cleaned);
    CHECK(tokenizer.encode(expected.text) == expected.ids);
  }
}

TEST_CASE("the vocabulary has CLIP's order") {
  const Tokenizer none({});
  CHECK(none.vocab_size() == 514);
  CHECK(none.start_id() == 512);
  CHECK(none.end_id() == 513);
  // '!' is the first byte that prints, 'a' the 65th; the end of a word adds 256.
  CHECK(none.encode("!") == Ids{256});
  CHECK(none.encode("aa") == Ids{64, 64 + 256});
  CHECK(none.encode("~") == Ids{93 + 256});
  CHECK(
      none.encode("\xC2\xA1") == Ids{126, 94 + 256});  // 0xC2 prints, 0xA1 is the 95th
  CHECK(none.encode("\xC2\xAD") == Ids{126, 255 + 256});  // 0xAD comes last
  CHECK(none.encode(std::string(1, '\0')) == Ids{188 + 256});

  const Tokenizer one(std::vector<Merge>{{"a", "a</w>"}});
  CHECK(one.vocab_size() == 515);
  CHECK(one.encode("aa a baa") == Ids{512, 320, 65, 512});
}

TEST_CASE("merges apply by rank, leftmost first, and not across words") {
  const Tokenizer tokenizer({{"a", "a"}, {"b", "c</w>"}, {"a", "b"}, {"aa", "a</w>"}});
  CHECK(tokenizer.encode("aaa") == Ids{515});            // aa + a</w>
  CHECK(tokenizer.encode("aaaa") == Ids{512, 64, 320});  // the last a is another symbol
  CHECK(tokenizer.encode("abc") == Ids{64, 513});        // "b c</w>" comes before "a b"
  CHECK(tokenizer.encode("abcd") == Ids{514, 66, 323});
  CHECK(tokenizer.encode("a a") == Ids{320, 320});
}

TEST_CASE("every byte is decoded, and texts come back with a blank after each word") {
  const Tokenizer tokenizer(reference::kMerges);
  std::string all;
  for (int id = 0; id < 256; ++id) {
    const std::string byte = tokenizer.decode({id});
    CHECK(byte.size() == 1);
    CHECK(tokenizer.decode({id + 256}) == byte + " ");
    all += byte;
  }
  std::sort(
      all.begin(), all.end(), [](unsigned char a, unsigned char b) { return a < b; });
  for (size_t i = 0; i < 256; ++i) {
    CHECK(static_cast<unsigned char>(all[i]) == i);
  }
  CHECK(
      tokenizer.decode(tokenizer.encode("A dog's caf\303\251, 42!")) ==
      "a dog 's caf\303\251 , 4 2 ! ");
  CHECK(
      tokenizer.decode({tokenizer.start_id(), 320, tokenizer.end_id()}) ==
      "<|startoftext|>a <|endoftext|>");
  CHECK(tokenizer.decode({}).empty());
  CHECK(error_of([&] {
          tokenizer.decode({1, 634});
        }) == "Tokenizer::decode: expected ids in [0, 634), got 634");
  CHECK(error_of([&] {
          tokenizer.decode({-1});
        }) == "Tokenizer::decode: expected ids in [0, 634), got -1");
}

TEST_CASE("texts of any length are encoded in reasonable time") {
  const Tokenizer tokenizer(reference::kMerges);
  const std::string word(1 << 20, 'a');
  const Ids ids = tokenizer.encode(word);
  CHECK((tokenizer.decode(ids) == word + " "));  // too long to be printed
  CHECK(tokenizer.encode(std::string(1 << 20, ' ')).empty());
  std::string references;
  for (int i = 0; i < 100'000; ++i) {
    references += "&amp;";
  }
  CHECK((clean_text(references) == std::string(100'000, '&')));
}

TEST_CASE("tokenize pads, truncates on request, and says which text is too long") {
  const Tokenizer tokenizer({});
  const int64_t start = tokenizer.start_id(), end = tokenizer.end_id();
  const at::Tensor ids = tokenizer.tokenize({"ab", "", "abc"}, 5);
  CHECK(ids.scalar_type() == at::kLong);
  const Ids expected = {
      start, 64, 65 + 256, end, 0, start, end, 0, 0, 0, start, 64, 65, 66 + 256, end};
  CHECK(ids.equal(at::tensor(expected, at::kLong).view({3, 5})));
  CHECK(tokenizer.tokenize({}, 5).sizes() == at::IntArrayRef({0, 5}));

  CHECK(
      error_of([&] {
        tokenizer.tokenize({"ab", "abcd"}, 5);
      }) ==
      "Tokenizer::tokenize: text 1, 'abcd', has 6 tokens with start and end, the limit "
      "is 5 (truncate = true cuts it)");
  const Ids cut = {start, 64, 65, 66, end};
  CHECK(tokenizer.tokenize({"abcd"}, 5, true)
            .equal(at::tensor(cut, at::kLong).view({1, 5})));
  CHECK(tokenizer.tokenize({"abcd"}, 2, true)[0][1].item<int64_t>() == end);
  CHECK(
      error_of([&] { tokenizer.tokenize({"a"}, 1); }) ==
      "Tokenizer::tokenize: expected context_length >= 2 (start and end), got 1");
  CHECK(
      error_of([&] {
        tokenizer.tokenize({std::string(100, 'x') + "\x1b"}, 9);
      }).find("text 0, '" + std::string(60, 'x') + "...', has 103 tokens") !=
      std::string::npos);
  const std::string accents = std::string(59, 'x') + "\303\251 and more";
  CHECK(error_of([&] {
          tokenizer.tokenize({accents}, 9);
        }).find("'" + std::string(59, 'x') + "...'") != std::string::npos);
}

TEST_CASE(
    "merges are learned as by the Python reference, whatever the order of texts") {
  std::vector<std::string> captions = reference::kCaptions;
  const auto count = static_cast<int64_t>(reference::kMerges.size());
  CHECK(learn_merges(captions, count) == reference::kMerges);
  std::reverse(captions.begin(), captions.end());
  CHECK(learn_merges(captions, count) == reference::kMerges);
  const std::vector<Merge> first(
      reference::kMerges.begin(), reference::kMerges.begin() + 7);
  CHECK(learn_merges(captions, 7) == first);
}

TEST_CASE("learning by hand: counts, ties, and the end") {
  // ab</w> twice, cb</w> twice: a tie, and "a" comes before "c".
  const std::vector<Merge> expected = {{"a", "b</w>"}, {"c", "b</w>"}};
  CHECK(learn_merges({"ab cb", "CB ab"}, 10) == expected);
  CHECK(learn_merges({"cb cb ab"}, 1) == std::vector<Merge>{{"c", "b</w>"}});
  CHECK(learn_merges({}, 10).empty());
  CHECK(learn_merges({"a b <|endoftext|>"}, 10).empty());
  CHECK(learn_merges({"ab"}, 0).empty());
  CHECK(error_of([] {
          learn_merges({}, -1);
        }) == "learn_merges: expected n_merges >= 0, got -1");
}

TEST_CASE("what was learned is always a vocabulary") {
  std::string text;
  uint32_t state = 1;
  for (int i = 0; i < 4000; ++i) {  // few letters, so that merges meet often
    state = state * 1664525u + 1013904223u;
    text += "aaaab  "[(state >> 16) % 7];
  }
  const std::vector<Merge> merges = learn_merges({text}, 2000);
  CHECK(merges.size() > 150);
  const Tokenizer tokenizer(merges);
  const std::string cleaned = clean_text(text);
  CHECK(tokenizer.decode(tokenizer.encode(text)) == cleaned + " ");
}

TEST_CASE("merges survive their file, plain and compressed") {
  const TemporaryFolder folder;
  write_merges(folder / "merges.txt", reference::kMerges);
  CHECK(read_bytes(folder / "merges.txt").substr(0, 23) == "#version: trmml 1\nt h\nt");
  CHECK(Tokenizer::from_merges(folder / "merges.txt").merges() == reference::kMerges);

  write_bytes(folder / "merges.gz", reference::kMergesGzip);
  CHECK(Tokenizer::from_merges(folder / "merges.gz").merges() == reference::kMerges);

  std::string windows = "#version: 0.2\r\nt h\r\nth e</w>";  // no newline at the end
  write_bytes(folder / "windows", windows);
  CHECK(
      Tokenizer::from_merges(folder / "windows").merges() ==
      std::vector<Merge>{{"t", "h"}, {"th", "e</w>"}});
  write_bytes(folder / "none", "#version: 0.2\n");
  CHECK(Tokenizer::from_merges(folder / "none").vocab_size() == 514);
}

TEST_CASE("as many merges are kept as asked for") {
  const TemporaryFolder folder;
  write_bytes(folder / "merges", file_of(reference::kMerges) + "not a merge\n");
  CHECK(Tokenizer::from_merges(folder / "merges", 120).merges() == reference::kMerges);
  CHECK(Tokenizer::from_merges(folder / "merges", 3).vocab_size() == 517);
  CHECK(Tokenizer::from_merges(folder / "merges", 0).vocab_size() == 514);
  CHECK(error_of([&] {
          Tokenizer::from_merges(folder / "merges", -1);
        }) == "Tokenizer::from_merges: expected max_merges >= 0, got -1");
}

TEST_CASE("bad files of merges are refused with the line") {
  CHECK(error_of_merges("") == "line 1: expected a comment with '#version', got ''");
  CHECK(
      error_of_merges("a b\n") ==
      "line 1: expected a comment with '#version', got 'a b'");
  const std::string head = "#version: 0.2\na b\n";
  const std::string two = "line 3: expected two symbols with one blank between, got ";
  CHECK(error_of_merges(head + "a\n") == two + "'a'");
  CHECK(error_of_merges(head + "\nc d\n") == two + "''");
  CHECK(error_of_merges(head + "a b c\n") == two + "'a b c'");
  CHECK(error_of_merges(head + " a\n") == two + "' a'");
  CHECK(error_of_merges(head + "a \n") == two + "'a '");
  CHECK(error_of_merges(head + "a  b\n") == two + "'a  b'");
  CHECK(error_of_merges(head + "a\x1b[2J\n") == two + "'a?[2J'");
  CHECK(error_of_merges(head + "c d\na b\n") == "line 4: 'a b' was there before");
  CHECK(
      error_of_merges(head + "c xy\n") ==
      "line 3: 'xy' is neither a byte nor made by an earlier merge");
  CHECK(
      error_of_merges(head + "ba c\nb a\n") ==
      "line 3: 'ba' is neither a byte nor made by an earlier merge");
  CHECK(
      error_of_merges(head + "ab c\nb c\na bc\n") ==
      "line 5: 'a bc' makes a token that exists already");

  const TemporaryFolder folder;
  const std::string missing = (folder / "missing").string();
  CHECK(error_of([&] {
          Tokenizer::from_merges(missing);
        }) == missing + ": expected a file with merges, got no such file");
  CHECK(
      error_of([&] { Tokenizer::from_merges(folder.path()); }) ==
      folder.path().string() + ": expected a file with merges, got something else");
  const std::string& whole = reference::kMergesGzip;
  write_bytes(folder / "cut", whole.substr(0, whole.size() / 2));
  CHECK(
      error_of([&] { Tokenizer::from_merges(folder / "cut"); }) ==
      (folder / "cut").string() +
          ": cannot read the file: its compressed data are cut off");
  std::string broken = whole;
  broken[whole.size() - 6] ^= 1;  // the checksum
  write_bytes(folder / "broken", broken);
  CHECK(error_of([&] {
          Tokenizer::from_merges(folder / "broken");
        }).find("broken: cannot read the file: ") != std::string::npos);
  std::string bomb;
  for (int megabyte = 0; megabyte < 65; ++megabyte) {
    bomb += reference::kMegabyteGzip;
  }
  write_bytes(folder / "bomb", bomb);
  CHECK(
      error_of([&] { Tokenizer::from_merges(folder / "bomb"); }) ==
      (folder / "bomb").string() +
          ": expected at most 67108864 bytes of merges, got more");
}

TEST_CASE("merges that cannot be are the caller's mistake") {
  CHECK(
      error_of([] {
        Tokenizer({{"a", "b"}, {"ab", "xy"}});
      }) == "Tokenizer: merge 1: 'xy' is neither a byte nor made by an earlier merge");
  CHECK_THROWS_AS(Tokenizer({{"a", "b"}, {"a", "b"}}), c10::ValueError);
}

TEST_CASE("threads may share a tokenizer") {
  const Tokenizer tokenizer(reference::kMerges);
  const Tokenizer copy = tokenizer;
  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (const reference::Encoded& expected : reference::kEncoded) {
        wrong[t] += copy.encode(expected.text) == expected.ids ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK(wrong == std::vector<int>(4, 0));
}
