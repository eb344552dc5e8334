// How many tokens a second one core makes of texts: captions, words that were never
// seen before, and texts of many scripts with damage in them.
//
//   benchmark_tokenizer VOCAB [RUNS]            texts made here
//   benchmark_tokenizer VOCAB RUNS TEXTS...     a file of lines each
//
// The kinds run in turn; prints the median of each in million tokens a second of the
// core's time (other programs on the machine do not count), and the spread.
// benchmarks/tokenizer.py runs it side by side with the Python reference.

#include "trmml/clip/tokenizer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "support/median.hpp"

namespace {

using Texts = std::vector<std::string>;

struct Kind {
  std::string name;
  Texts texts;
  std::vector<double> rates;  // tokens a second
};

// 1 000 different words, the frequent ones as frequent as in captions.
Texts captions(std::mt19937& engine) {
  static const char* const kFrequent[] = {
      "a",       "photo", "of",     "the",   "dog",   "on",   "with",    "red",
      "bicycle", "two",   "people", "near",  "river", "and",  "small",   "umbrella",
      "traffic", "light", "person", "horse", "table", "food", "sitting", "street"};
  Texts texts;
  for (int i = 0; i < 20'000; ++i) {
    std::string text = "A ";
    for (int word = 0; word < 10; ++word) {
      if (engine() % 4 != 0) {
        text += kFrequent[engine() % std::size(kFrequent)];
      } else {
        for (uint32_t rest = engine() % 1000 + 1000; rest > 0; rest /= 10) {
          text += "ronaldemit"[rest % 10];
        }
      }
      text += word == 9 ? "." : " ";
    }
    texts.push_back(text);
  }
  return texts;
}

Texts new_words(std::mt19937& engine) {
  Texts texts;
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    for (int letter = 0; letter < 60; ++letter) {
      text += letter % 7 == 6 ? ' ' : "etaoinshrdlucmfwypvbgkqjxz"[engine() % 26];
    }
    texts.push_back(text);
  }
  return texts;
}

Texts scripts(std::mt19937& engine) {
  static const char* const kPieces[] = {
      "caf\u00e9 ",
      "\u4e00\u53ea\u72d7",
      "\u041c\u043e\u0441\u043a\u0432\u0430 ",
      "\U0001f468\u200d\U0001f469 ",
      "\u05e9\u05dc\u05d5\u05dd ",
      "it\u2019s ",
      "\u00e2\u20ac\u0153 ",
      "&amp;eacute; ",
      "e\u0301 ",
      "a dog "};
  Texts texts;
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    for (int piece = 0; piece < 8; ++piece) {
      text += kPieces[engine() % std::size(kPieces)];
    }
    texts.push_back(text);
  }
  return texts;
}

Texts read_lines(const char* path) {
  std::ifstream file(path);
  Texts texts;
  for (std::string line; std::getline(file, line);) {
    texts.push_back(line);
  }
  return texts;
}

double tokens_a_second(const trmml::clip::Tokenizer& tokenizer, const Texts& texts) {
  const std::clock_t start = std::clock();
  size_t tokens = 0;
  for (const std::string& text : texts) {
    tokens += tokenizer.encode(text).size();
  }
  const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  return static_cast<double>(tokens) / seconds;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: benchmark_tokenizer VOCAB [RUNS [TEXTS...]]\n");
    return 2;
  }
  const auto tokenizer = trmml::clip::Tokenizer::load(argv[1]);
  const int runs = argc > 2 ? std::max(1, std::atoi(argv[2])) : 5;
  std::mt19937 engine(1);
  std::vector<Kind> kinds;
  if (argc > 3) {
    for (int i = 3; i < argc; ++i) {
      kinds.push_back({argv[i], read_lines(argv[i]), {}});
    }
  } else {
    kinds.push_back({"captions", captions(engine), {}});
    kinds.push_back({"new words", new_words(engine), {}});
    kinds.push_back({"scripts and damage", scripts(engine), {}});
  }
  for (int run = 0; run < runs; ++run) {
    for (Kind& kind : kinds) {
      kind.rates.push_back(tokens_a_second(tokenizer, kind.texts) / 1e6);
    }
  }
  fmt::print(
      "one thread, {} runs of each in turn, million tokens a second of its core\n",
      runs);
  for (const Kind& kind : kinds) {
    const auto [low, high] = std::minmax_element(kind.rates.begin(), kind.rates.end());
    fmt::print(
        "{:<20} median {:.3f}  ({:.3f} to {:.3f})\n",
        kind.name,
        benchmark::median(kind.rates),
        *low,
        *high);
  }
  return 0;
}
