"""Writes tokenizer.hpp: words, merges and ids that an independent tokenizer finds.

Needs the packages `ftfy` and `regex` (CLIP's own tokenizer uses them):
    python3 tests/reference/tokenizer.py > tests/reference/tokenizer.hpp
The texts are fixed, so there is no seed; versions stand in the output. The merges are
learned here, from the captions below; CLIP's vocabulary file is not needed.
"""

import collections
import gzip
import html
import sys
import unicodedata

import ftfy
import regex

PATTERN = regex.compile(
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d"
    r"|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
    regex.IGNORECASE,
)
SPECIAL = ("<|startoftext|>", "<|endoftext|>")
N_MERGES = 120


def byte_characters():
    """The 256 bytes in CLIP's order, each with its printable character."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in plain]
    table = {b: chr(b) for b in plain}
    table.update({b: chr(256 + i) for i, b in enumerate(others)})
    return table


BYTES = byte_characters()


def clean(data):
    text = data.decode("utf-8", errors="replace")
    text = html.unescape(html.unescape(ftfy.fix_text(text)))
    return " ".join(text.split()).lower()


def words(data):
    return PATTERN.findall(clean(data))


def spell(word):
    symbols = [BYTES[b] for b in word.encode("utf-8")]
    return (*symbols[:-1], symbols[-1] + "</w>")


def merge(symbols, pair):
    result, i = [], 0
    while i < len(symbols):
        if symbols[i : i + 2] == pair:
            result.append(pair[0] + pair[1])
            i += 2
        else:
            result.append(symbols[i])
            i += 1
    return tuple(result)


class Tokenizer:
    def __init__(self, merges):
        tokens = list(BYTES.values())
        tokens += [t + "</w>" for t in tokens]
        tokens += [a + b for a, b in merges] + list(SPECIAL)
        self.ids = {token: i for i, token in enumerate(tokens)}
        self.ranks = {pair: i for i, pair in enumerate(merges)}
        self.cache = {}

    def word(self, word):
        if word in SPECIAL:
            return [self.ids[word]]
        if word not in self.cache:
            symbols = spell(word)
            while len(symbols) > 1:
                pairs = set(zip(symbols, symbols[1:]))
                pair = min(pairs, key=lambda p: self.ranks.get(p, 1 << 30))
                if pair not in self.ranks:
                    break
                symbols = merge(symbols, pair)
            self.cache[word] = [self.ids[s] for s in symbols]
        return self.cache[word]

    def encode(self, data):
        return [i for word in words(data) for i in self.word(word)]


def learn(texts, n):
    counts = collections.Counter(
        spell(w) for t in texts for w in words(t) if w not in SPECIAL
    )
    merges = []
    while len(merges) < n:
        pairs = collections.Counter()
        for symbols, count in counts.items():
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += count
        if not pairs:
            break
        key = lambda p: (-pairs[p], p[0].encode(), p[1].encode())
        pair = min(pairs, key=key)
        merges.append(pair)
        merged = collections.Counter()
        for symbols, count in counts.items():
            merged[merge(symbols, pair)] += count
        counts = merged
    return merges


CAPTIONS = [
    "a photo of a red ball and a small blue box",
    "two dogs, a cat and three birds on the grass",
    "The dog's ball isn't red; they're looking at the bird's box.",
    "a man rides a brown horse near the river",
    "people walking under umbrellas in the rain",
    "caf\u00e9 tables and chairs, na\u00efve painting",
    "\u4e00\u53ea\u72d7 \u4e00\u53ea\u732b",
    "aaaa aaaaaa aa aaa",
    "the the the there then other another mother",
    "2 dogs &amp; 12 cats",
]

TEXTS = [
    b"",
    b" \t\n ",
    b"a",
    b"a diagram",
    b"The red ball, the blue box!",
    b"a photo of an umbrella",
    b"IT'S they're I've we'll he'd I'm can't rock'n'roll o'clock 'S 'quoted'",
    b"'s''s '' 'x !'s",
    b"1 12 1234 3.14 1,000 12th x2y",
    b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    b"!!!??? ... --- <>&* a_b a-b",
    b"<|startoftext|>a dog<|endoftext|>",
    b"<|StartOfText|> <|endoftext |> x<|endoftext|>",
    b"&lt;b&gt; &amp;amp; &AMP;AMP; &#39;&#x27; &ampx &nbsp;&hellip;&unknown; &#; &#x;",
    b"&#0; &#128; &#xD800; &#99999999; &#11; &#xFDD0; &copy2 &notit; &eacute &rarr &rarr;",
    b"&amp;lt;|endoftext|&amp;gt;",
    "caf\u00e9 cafe\u0301 \u212b \ufb01 \u1e9b\u0323".encode(),
    "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \u2764\ufe0f \U0001f1eb\U0001f1f7".encode(),
    "\u4e00\u53ea\u72d7\u3002\u3053\u3093\u306b\u3061\u306f \uc548\ub155\ud558\uc138\uc694".encode(),
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 \u0663\u0664 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 \u0928\u092e\u0938\u094d\u0924\u0947".encode(),
    "\u0130stanbul \u0131 STRASSE \u1e9e \u01c5 \u212a".encode(),
    "\u03a3 \u039f\u0394\u039f\u03a3 \u03a3\u0391 \u0391\u03a3. \u0391\u03a3'\u0391 \u0391\u0301\u03a3".encode(),
    "a\u0345b !\u0345! \u24d0\u03a3".encode(),
    "'\u017f <|\u017ftartoftext|> \u017f".encode(),
    "\u2160\u2161 \u00bd \u00b2 \u2460 \u0966\u0967 x\u00b2".encode(),
    "a\u00a0b\u3000c\u2003d\u200be\u0085f\x1cg".encode(),
    b"\xff\xfe a\xc3 \xc3\xa9 \xe2\x82 \xe2\x82\xac \xf0\x9f\x98 \xf0\x9f\x98\x80",
    b"\xc0\x80 \xed\xa0\x80 \xe0\x80\x80 \xf4\x90\x80\x80 \xf8\x88\x80\x80\x80 \x80",
    b"nul\x00byte \x01\x1b[0m",
    b"x" * 200,
]


def literal(data):
    return '"' + "".join(
        chr(b) if 32 <= b < 127 and b not in b'"\\?' else f"\\{b:03o}" for b in data
    ) + '"'


def main():
    merges = learn([c.encode() for c in CAPTIONS], N_MERGES)
    tokenizer = Tokenizer(merges)
    print("#pragma once\n")
    print("// Made by tests/reference/tokenizer.py with Python "
          f"{sys.version.split()[0]}, Unicode {unicodedata.unidata_version}, "
          f"ftfy {ftfy.__version__}, regex {regex.__version__}.\n")
    print("#include <cstdint>\n#include <string>\n#include <utility>\n#include <vector>\n")
    print("// clang-format off\nnamespace reference {\n")
    print("inline const std::vector<std::string> kCaptions = {")
    for caption in CAPTIONS:
        print(f"    {literal(caption.encode())},")
    print("};\n\ninline const std::vector<std::pair<std::string, std::string>> kMerges = {")
    for first, second in merges:
        print(f"    {{{literal(first.encode())}, {literal(second.encode())}}},")
    print("};\n\nstruct Encoded {\n  std::string text;\n  std::string cleaned;\n"
          "  std::vector<int64_t> ids;\n};\n")
    print("inline const std::vector<Encoded> kEncoded = {")
    for text in TEXTS:
        cleaned = clean(text).encode()
        ids = ", ".join(map(str, tokenizer.encode(text)))
        print(f"    {{std::string({literal(text)}, {len(text)}),")
        print(f"     std::string({literal(cleaned)}, {len(cleaned)}),")
        print(f"     {{{ids}}}}},")
    file = "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges)
    print("};\n")
    for name, data in (("Merges", file.encode()), ("Megabyte", b" " * (1 << 20))):
        data = gzip.compress(data, mtime=0)
        print(f"inline const std::string k{name}Gzip(")
        for i in range(0, len(data), 20):
            print('    "' + "".join(f"\\{b:03o}" for b in data[i : i + 20]) + '"')
        print(f"    , {len(data)});\n")
    print("}  // namespace reference\n// clang-format on")


if __name__ == "__main__":
    main()
