#include "trmml/clip/tokenizer.hpp"

#include "trmml/core/error.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "reference/tokenizer.hpp"
#include "reference/tokenizer_sample.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/temporary_folder.hpp"

using support::error_of;
using support::read_bytes;
using support::TemporaryFolder;
using support::write_bytes;
using trmml::clip::clean_text;
using trmml::clip::find_vocabulary;
using trmml::clip::learn_merges;
using trmml::clip::Merge;
using trmml::clip::Tokenizer;
using trmml::clip::write_merges;

namespace {

using Ids = std::vector<int64_t>;

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

TEST_CASE("hostile texts have the ids of CLIP's own tokenizer") {
  const Tokenizer tokenizer(reference::kMerges);
  CHECK(reference::kHostile.size() > 300);
  for (const reference::Hostile& expected : reference::kHostile) {
    Ids ids = tokenizer.encode(expected.text);
    ids.insert(ids.begin(), tokenizer.start_id());
    ids.push_back(tokenizer.end_id());
    INFO(expected.text);
    CHECK(ids == expected.ids);
  }
}

TEST_CASE("bytes that are not UTF-8 become U+FFFD, one for each broken character") {
  const std::string mark = "\357\277\275";
  const auto cleaned = [](const char* text) { return clean_text(text); };
  CHECK(cleaned("a\xff") == "a" + mark);
  CHECK(cleaned("\xe2\x82x") == mark + "x");                    // one piece, cut off
  CHECK(cleaned("\xf0\x9f\x98x") == mark + "x");                // three bytes of four
  CHECK(cleaned("\xc0\x80x") == mark + mark + "x");             // no first byte at all
  CHECK(cleaned("\xed\xa0\x80x") == mark + mark + mark + "x");  // a surrogate
  CHECK(cleaned("\xf4\x90\x80\x80x") == mark + mark + mark + mark + "x");
  CHECK(cleaned("\xc3") == mark);
}

TEST_CASE("damaged text is repaired as ftfy does it") {
  CHECK(clean_text("\u00e2\u0153\u201d No problems") == "\u2714 no problems");
  CHECK(
      clean_text("&macr;\\_(\u00e3\u0083\u0084)_/&macr;") ==
      "\u00af\\_(\u30c4)_/\u00af");
  CHECK(
      clean_text("Broken text&hellip; it&#x2019;s \ufb02ubberi\ufb01c!") ==
      "broken text\u2026 it's flubberific!");
  CHECK(clean_text("\uff2c\uff2f\uff35\uff24\u3000\uff4e") == "loud n");
  CHECK(clean_text("voil\u00c3 le travail") == "voil\u00e0 le travail");
  CHECK(
      clean_text("\u00e2\u20ac\u0153like this\u00e2\u20ac\ufffd") ==
      "\"like this\ufffd");
  CHECK(clean_text("\033[36;44mblue\033[0m") == "blue");
  CHECK(clean_text("P&EACUTE;REZ &NTILDE; &nTILDE;") == "p\u00e9rez \u00f1 &ntilde;");
  // Behind a "<" references are those of HTML, and only HTML's rules resolve them.
  CHECK(clean_text("<b> P&EACUTE;REZ &eacute; &lt") == "<b> p&eacute;rez \u00e9 <");
  CHECK(clean_text("\uc694\u11a7") == "\uc694\u11a7");  // lost by utf8proc 2.8
}

TEST_CASE("hostile depth costs little") {
  std::string nested = "\u00e9&";
  for (int i = 0; i < 5'000; ++i) {
    nested += "amp;";
  }
  CHECK(clean_text(nested).size() < nested.size());
  std::string layers;
  for (int i = 0; i < 10'000; ++i) {
    layers += "\u00c3\u0192";
  }
  CHECK(!clean_text(layers).empty());
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
  CHECK(none.decode({188}) == std::string(1, '\0'));
  CHECK(none.encode(std::string(1, '\0')).empty());  // a control character

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
      }).find("text 0, '" + std::string(60, 'x') + "...', has 102 tokens") !=
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
        }) == missing + ": expected a file with a vocabulary, got no such file");
  CHECK(
      error_of([&] { Tokenizer::from_merges(folder.path()); }) ==
      folder.path().string() +
          ": expected a file with a vocabulary, got something else");
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
      (folder / "bomb").string() + ": expected at most 67108864 bytes, got more");
}

namespace {

/// The tokens of `merges` with their ids, as JSON.
std::string vocabulary_json(const std::vector<Merge>& merges) {
  const Tokenizer bytes({});
  std::string text = "{";
  auto add = [&text, id = 0](const std::string& token) mutable {
    text += (id == 0 ? "" : ",") + ("\"" + token + "\":") + std::to_string(id);
    ++id;
  };
  for (const char* suffix : {"", "</w>"}) {
    int others = 256;
    std::vector<std::string> names;
    for (int id = 0; id < 256; ++id) {
      const auto byte = static_cast<unsigned char>(bytes.decode({id})[0]);
      const bool prints =
          (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
      const int point = prints ? byte : others++;
      std::string name;
      if (point < 0x80) {
        name = std::string(point == '"' || point == '\\' ? "\\" : "");
        name += static_cast<char>(point);
      } else {
        name = {
            static_cast<char>(0xC0 | (point >> 6)),
            static_cast<char>(0x80 | (point & 0x3F))};
      }
      add(name + suffix);
    }
  }
  for (const auto& [first, second] : merges) {
    add(first + second);
  }
  add("<|startoftext|>");
  add("<|endoftext|>");
  return text + "}";
}

std::string tokenizer_json(const std::vector<Merge>& merges, bool pairs) {
  std::string text = R"({"version":"1.0","added_tokens":[{"id":)" +
                     std::to_string(513 + merges.size()) +
                     R"(,"content":"<|endoftext|>"}],"model":{"type":"BPE",)"
                     R"("continuing_subword_prefix":"","end_of_word_suffix":"</w>",)"
                     R"("vocab":)" +
                     vocabulary_json(merges) + R"(,"merges":[)";
  for (size_t i = 0; i < merges.size(); ++i) {
    const auto& [first, second] = merges[i];
    text += i == 0 ? "" : ",";
    text += pairs ? "[\"" + first + "\",\"" + second + "\"]"
                  : "\"" + first + " " + second + "\"";
  }
  return text + "]}}";
}

/// The message for a vocabulary with this text, without the path.
std::string error_of_vocabulary(const std::string& text) {
  const TemporaryFolder folder;
  write_bytes(folder / "merges.txt", "#version: 0.2\na b\n");
  write_bytes(folder / "file", text);
  const std::string message = error_of([&] { Tokenizer::load(folder / "file"); });
  const std::string prefix = (folder / "file").string() + ": ";
  return message.substr(0, prefix.size()) == prefix ? message.substr(prefix.size())
                                                    : message;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

/// Sets a variable of the environment until the end of the scope.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    if (const char* old = std::getenv(name)) {
      old_ = old;
    }
    setenv(name, value.c_str(), 1);
  }
  ~Variable() { old_ ? setenv(name_, old_->c_str(), 1) : unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
  std::optional<std::string> old_;
};

}  // namespace

TEST_CASE("every kind of vocabulary file gives the same tokenizer") {
  const TemporaryFolder folder;
  write_merges(folder / "merges.txt", reference::kMerges);
  write_bytes(folder / "merges.gz", reference::kMergesGzip);
  write_bytes(folder / "vocab.json", vocabulary_json(reference::kMerges));
  write_bytes(folder / "strings.json", tokenizer_json(reference::kMerges, false));
  write_bytes(folder / "pairs.json", " \n" + tokenizer_json(reference::kMerges, true));
  for (const char* name :
       {"merges.txt", "merges.gz", "vocab.json", "strings.json", "pairs.json"}) {
    INFO(name);
    const Tokenizer tokenizer = Tokenizer::load(folder / name);
    CHECK(tokenizer.merges() == reference::kMerges);
    CHECK(tokenizer.vocab_size() == 634);
  }
}

TEST_CASE("CLIP's own file is cut where CLIP cuts it") {
  const TemporaryFolder folder;
  std::string text = "\"bpe_simple_vocab_16e6.txt#version: 0.2\n";
  const Tokenizer bytes({});
  std::vector<std::string> letters;
  for (char letter = '!'; letter <= '~'; ++letter) {
    letters.push_back({letter});
  }
  int64_t lines = 0;
  for (const auto& first : letters) {
    for (const auto& second : letters) {
      text += first + " " + second + "\n";
      ++lines;
    }
  }
  for (const auto& a : letters) {
    for (const auto& b : letters) {
      for (const auto& c : letters) {
        if (lines < trmml::clip::kClipMerges) {
          text += a + b + " " + c + "\n";
          ++lines;
        }
      }
    }
  }
  write_bytes(folder / "clip", text + "not a merge\n");
  CHECK(Tokenizer::load(folder / "clip").vocab_size() == 49408);
  write_bytes(
      folder / "other", replaced(text, "bpe_simple", "simple") + "no merge at all\n");
  CHECK(error_of([&] {
          Tokenizer::load(folder / "other");
        }).find("line 48896: expected two") != std::string::npos);
}

TEST_CASE("bad vocabularies in JSON are refused with the place") {
  const std::vector<Merge> one = {{"a", "b"}};
  const std::string vocab = vocabulary_json(one), whole = tokenizer_json(one, true);
  CHECK(error_of_vocabulary(vocab) == "no error");
  CHECK(error_of_vocabulary(whole) == "no error");
  CHECK(
      error_of_vocabulary("") == "line 1: expected a comment with '#version', got ''");
  CHECK(
      error_of_vocabulary("{\n\"a\":1,\n}").substr(0, 36) ==
      "parse error at line 3, column 1: syn");
  CHECK(
      error_of_vocabulary(vocab.substr(0, vocab.size() / 2)).substr(0, 27) ==
      "parse error at line 1, colu");
  CHECK(
      error_of_vocabulary(replaced(vocab, "\"ab\":512", "\"ab\":513")) ==
      "token 'ab': expected id 512, got 513");
  CHECK(
      error_of_vocabulary(replaced(vocab, "\"ab\":512,", "")) ==
      "token 'ab': expected id 512, got no such token");
  CHECK(
      error_of_vocabulary(replaced(vocab, "\"ab\":512", "\"ab\":512,\"ab\":512")) ==
      "the key 'ab' is there twice");
  CHECK(
      error_of_vocabulary(replaced(vocab, "\"ab\":512", "\"ab\":512,\"ac\":515")) ==
      "expected 515 tokens (bytes, merges, start and end), got 516");
  CHECK(
      error_of_vocabulary(replaced(vocab, "\"ab\":512", "\"ab\":-1")) ==
      "token 'ab': expected an id, got number");
  CHECK(
      error_of_vocabulary(replaced(vocab, "\"ab\":512", "\"ab\":\"x\"")) ==
      "token 'ab': expected an id, got 'x'");
  CHECK(
      error_of_vocabulary(replaced(vocab, "512", "512.5")) ==
      "token 'ab': expected an id, got number");
  CHECK(
      error_of_vocabulary(replaced(whole, "\"BPE\"", "\"Unigram\"")) ==
      "expected \"BPE\" as type of the model, got 'Unigram'");
  CHECK(
      error_of_vocabulary(replaced(whole, "\"end_of_word_suffix\":\"</w>\",", "")) ==
      "expected \"</w>\" as end_of_word_suffix (another tokenizer than CLIP's?), got "
      "null");
  CHECK(
      error_of_vocabulary(replaced(whole, "prefix\":\"\"", "prefix\":\"##\"")) ==
      "expected no continuing_subword_prefix, got '##'");
  CHECK(
      error_of_vocabulary(R"({"model":{"type":"BPE","end_of_word_suffix":"</w>"}})") ==
      "expected an object as \"vocab\", got null");
  CHECK(
      error_of_vocabulary(R"({"model":[]})") ==
      "expected an object as \"model\", got array");
  CHECK(
      error_of_vocabulary(replaced(whole, "[\"a\",\"b\"]", "[\"a\"]")) ==
      "merge 0: expected two symbols, got array");
  CHECK(
      error_of_vocabulary(replaced(whole, "[\"a\",\"b\"]", "\"a b c\"")) ==
      "merge 0: expected two symbols, got 'a b c'");
  CHECK(
      error_of_vocabulary(replaced(whole, "[\"a\",\"b\"]", "\"xy b\"")) ==
      "merge 0: 'xy' is neither a byte nor made by an earlier merge");
  CHECK(
      error_of_vocabulary(replaced(whole, "\"id\":514", "\"id\":513")) ==
      "token '<|endoftext|>': the added tokens and the vocabulary give it two ids");
  CHECK(
      error_of_vocabulary(replaced(whole, "\"id\":514", "\"id\":\"x\"")) ==
      "expected added tokens with content and id, got object");
  std::string deep = "{\"a\":";
  for (int i = 0; i < 100'000; ++i) {
    deep += '[';
  }
  CHECK(error_of_vocabulary(deep) == "expected at most 32 levels of JSON");

  const TemporaryFolder folder;
  write_bytes(folder / "vocab.json", vocab);
  CHECK(
      error_of([&] { Tokenizer::load(folder / "vocab.json"); }) ==
      (folder / "vocab.json").string() +
          ": expected the file merges.txt beside it, got none");
  CHECK(
      error_of([&] { Tokenizer::load(folder / "none"); }) ==
      (folder / "none").string() +
          ": expected a file with a vocabulary, got no such file");
}

TEST_CASE("a vocabulary is looked for beside the checkpoint, then in the cache") {
  const TemporaryFolder given, beside, cache, empty;
  const Variable variable("TRMML_CACHE", cache.path().string());
  write_bytes(beside / "model.safetensors", "");
  const auto checkpoint = beside / "model.safetensors";
  const std::string message = error_of([&] { find_vocabulary(checkpoint); });
  CHECK(
      message.find(beside.path().string() + ", " + cache.path().string()) !=
      std::string::npos);
  CHECK(message.find("scripts/setup --clip-vocab") != std::string::npos);

  write_bytes(cache / "bpe_simple_vocab_16e6.txt.gz", "");
  CHECK(find_vocabulary(checkpoint) == cache / "bpe_simple_vocab_16e6.txt.gz");
  CHECK(find_vocabulary({}) == cache / "bpe_simple_vocab_16e6.txt.gz");
  write_bytes(beside / "merges.txt", "");
  CHECK(find_vocabulary(checkpoint) == beside / "merges.txt");
  CHECK(find_vocabulary(beside.path()) == beside / "merges.txt");
  write_bytes(beside / "vocab.json", "");
  CHECK(find_vocabulary(checkpoint) == beside / "vocab.json");
  write_bytes(beside / "tokenizer.json", "");
  CHECK(find_vocabulary(checkpoint) == beside / "tokenizer.json");
  write_bytes(given / "mine", "");
  CHECK(find_vocabulary(checkpoint, given / "mine") == given / "mine");
  CHECK(find_vocabulary(checkpoint, beside.path()) == beside / "tokenizer.json");
  CHECK(
      error_of([&] { find_vocabulary(checkpoint, empty.path()); }) ==
      empty.path().string() + ": expected a vocabulary in this folder, got none");
  CHECK(error_of([&] {
          find_vocabulary(checkpoint, given / "none");
        }) == (given / "none").string() + ": expected a vocabulary, got no such file");

  const Variable none("TRMML_CACHE", "");
  const Variable base("XDG_CACHE_HOME", empty.path().string());
  CHECK(error_of([&] {
          find_vocabulary({});
        }).find((empty / "trmml").string()) != std::string::npos);
  const Variable nothing("XDG_CACHE_HOME", "");
  const Variable home("HOME", empty.path().string());
  CHECK(error_of([&] {
          find_vocabulary({});
        }).find((empty / ".cache/trmml").string()) != std::string::npos);
}

TEST_CASE("words seen before have the ids of the first time") {
  const Tokenizer tokenizer(reference::kMerges);
  std::vector<std::string> words;
  for (int i = 0; i < 30'000; ++i) {  // more than are remembered
    std::string word;
    for (int rest = i; rest > 0; rest /= 7) {
      word += "aethodg"[rest % 7];
    }
    words.push_back(word + "x");
  }
  std::vector<Ids> first;
  for (const std::string& word : words) {
    first.push_back(Tokenizer(tokenizer).encode(word));
    if (first.size() % 3 == 0) {  // at once again
      CHECK(tokenizer.encode(word) == first.back());
    }
  }
  size_t wrong = 0;
  for (size_t i = 0; i < words.size(); ++i) {
    wrong += tokenizer.encode(words[i]) == first[i] ? 0 : 1;
    wrong += tokenizer.decode(first[i]) == words[i] + " " ? 0 : 1;
  }
  CHECK(wrong == 0);
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
      for (int round = 0; round < 20; ++round) {
        for (const reference::Encoded& expected : reference::kEncoded) {
          wrong[t] += copy.encode(expected.text) == expected.ids ? 0 : 1;
        }
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK(wrong == std::vector<int>(4, 0));
}
