"""Writes src/clip/text_tables.hpp: what repairing and cutting texts needs to know.

Needs the packages `ftfy` (6.3.1 is the one whose steps src/clip/repair_text.cpp has) and
`regex`, which CLIP's tokenizer uses:
    python3 scripts/text_tables.py > src/clip/text_tables.hpp
The regular expressions of ftfy are taken apart here, so that the C++ matches what they
match: each set of characters becomes a bit, each alternative a sequence of bits.
"""

import html.entities
import re
import re._constants as op
import re._parser as parser
import sys
import unicodedata

import ftfy
import ftfy.badness
import ftfy.bad_codecs  # noqa: F401  the sloppy encodings
import regex
from ftfy import chardata

POINTS = [c for c in range(0x10000) if not 0xD800 <= c < 0xE000]


# ------------------------------------------------------------ regular expressions


def members(items, universe, is_bytes):
    """The members of one set of a parsed expression, as a frozenset."""
    found, negate = set(), False
    for kind, value in items:
        if kind is op.NEGATE:
            negate = True
        elif kind is op.LITERAL:
            found.add(value)
        elif kind is op.RANGE:
            found.update(range(value[0], value[1] + 1))
        elif kind is op.CATEGORY:
            pattern = {op.CATEGORY_SPACE: r"\s", op.CATEGORY_WORD: r"\w"}[value]
            assert not is_bytes
            found.update(c for c in universe if re.match(pattern, chr(c)))
        else:
            raise ValueError(kind)
    return frozenset(set(universe) - found if negate else found)


def sequences(items, universe, is_bytes):
    """Every way through a parsed sequence: lists of sets; None stands for ^."""
    results = [[]]
    for kind, value in items:
        if kind is op.LITERAL:
            ways = [[frozenset([value])]]
        elif kind is op.NOT_LITERAL:
            ways = [[frozenset(set(universe) - {value})]]
        elif kind is op.ANY:
            ways = [[frozenset(set(universe) - {10})]]
        elif kind is op.IN:
            ways = [[members(value, universe, is_bytes)]]
        elif kind is op.AT and value is op.AT_BEGINNING:
            ways = [[None]]
        elif kind is op.MAX_REPEAT and value[:2] == (0, 1):
            ways = [[], *sequences(value[2], universe, is_bytes)]
        else:
            raise ValueError((kind, value))
        results = [a + b for a in results for b in ways]
    return results


def alternatives(expression, universe, is_bytes=False):
    parsed = parser.parse(expression.pattern, expression.flags & re.VERBOSE)
    ((kind, (_, branches)),) = parsed
    assert kind is op.BRANCH
    return [s for b in branches for s in sequences(b, universe, is_bytes)]


class Sets:
    def __init__(self):
        self.bits = {}

    def bit(self, members):
        return self.bits.setdefault(members, len(self.bits))

    def pattern(self, sequence):
        anchored = sequence[0] is None
        bits = [self.bit(s) for s in sequence[anchored:]]
        return (anchored, bits)


# ------------------------------------------------------------ output


def rows(items, per_line=8):
    items = list(items)
    for i in range(0, len(items), per_line):
        print("    " + ", ".join(items[i : i + per_line]) + ",")


def print_patterns(name, patterns):
    print(f"inline constexpr Pattern {name}[] = {{")
    for anchored, bits in patterns:
        bits_text = ", ".join(map(str, bits))
        print(f"    {{{str(anchored).lower()}, {len(bits)}, {{{bits_text}}}}},")
    print("};\n")


def print_text(name, words):
    print(f"inline constexpr std::string_view {name} =")
    line = ""
    for word in words:
        if len(line) + len(word) > 84:
            print(f'    "{line}"')
            line = ""
        line += word + " "
    print(f'    "{line}";\n')


def hexadecimal(text):
    return "+".join(f"{ord(c):X}" for c in text)


def words_of(mask):
    """A mask of up to 128 bits as two words."""
    return f"{{0x{mask & (2**64 - 1):X}, 0x{mask >> 64:X}}}"


def print_marks():
    sets = Sets()
    space = frozenset(c for c in POINTS if chr(c).isspace())
    word = frozenset(c for c in POINTS if re.match(r"\w", chr(c)))
    clue_names = ("first_of_2", "first_of_3", "first_of_4", "continuation",
                  "continuation_strict")
    named = [("Space", space), ("Word", word)]
    for name in clue_names:
        items = parser.parse(f"[{chardata.UTF8_CLUES['utf8_' + name]}]")[0][1]
        camel = "".join(p.capitalize() for p in name.split("_"))
        named.append((camel, members(items, POINTS, False)))
    for _, s in named:
        sets.bit(s)
    bad = [sets.pattern(s) for s in alternatives(ftfy.badness.BADNESS_RE, POINTS)]
    assert len(sets.bits) <= 128, len(sets.bits)
    known = set().union({10}, *(s for s in sets.bits if len(s) < 1000 and s != space))
    others = set(POINTS) - known
    always = 0
    for s, bit in sets.bits.items():
        if s not in (space, word) and s & others:  # "." and sets with "not"
            assert not others - s
            always |= 1 << bit
    print("/// A sequence of sets; `anchored`: at the start of the text only.")
    print("struct Pattern {\n  bool anchored;\n  uint8_t size;\n  uint8_t sets[7];\n};\n")
    print("/// Which sets a character is in, one bit for each.")
    print("struct Marks {\n  uint64_t words[2];\n};\n")
    print("// Sets of the first word; the last five are ftfy.chardata.UTF8_CLUES.")
    for name, s in named:
        print(f"inline constexpr uint64_t k{name} = 0x{1 << sets.bits[s]:X};")
    print("\n// Of a character that is not listed, but for kSpace and kWord.")
    print(f"inline constexpr Marks kOtherMarks = {{{words_of(always)}}};\n")
    print("struct Marked {\n  char16_t point;\n  Marks marks;\n};\n")
    print("inline constexpr Marked kMarked[] = {")
    rows((f"{{0x{c:X}, {{{words_of(sum(1 << b for s, b in sets.bits.items() if c in s))}}}}}"
          for c in sorted(known)), 2)
    print("};\n\n// ftfy.badness.BADNESS_RE")
    print_patterns("kBadPatterns", bad)


def print_byte_patterns():
    sets = Sets()
    tables = [
        (name, [sets.pattern(s) for s in alternatives(e, range(256), True)])
        for name, e in (("kAlteredPatterns", chardata.ALTERED_UTF8_RE),
                        ("kLossyPatterns", chardata.LOSSY_UTF8_RE))
    ]
    assert len(sets.bits) <= 64
    print("// The same for bytes.\ninline constexpr uint64_t kByteMarks[256] = {")
    rows((f"0x{sum(1 << b for s, b in sets.bits.items() if c in s):X}"
          for c in range(256)), 8)
    print("};\n\n// ftfy.chardata.ALTERED_UTF8_RE, LOSSY_UTF8_RE")
    for name, patterns in tables:
        print_patterns(name, patterns)


def print_encodings():
    print("/// What the bytes from 0x80 on stand for. Sloppy: 0x1A stands for U+FFFD.")
    print("struct Encoding {\n  bool sloppy;\n  bool restores_a0;\n  char16_t upper[128];\n};\n")
    print("// ftfy.chardata.CHARMAP_ENCODINGS: " + ", ".join(chardata.CHARMAP_ENCODINGS))
    print("inline constexpr Encoding kEncodings[] = {")
    for name in chardata.CHARMAP_ENCODINGS:
        sloppy = name.startswith("sloppy")
        upper = bytes(range(128, 256)).decode(name)
        assert bytes(range(128)).decode(name) == "".join(
            "\ufffd" if sloppy and c == 0x1A else chr(c) for c in range(128))
        print(f"    {{{str(sloppy).lower()}, {str(name != 'macroman').lower()}, {{")
        rows((f"0x{ord(c):X}" for c in upper), 12)
        print("    }},")
    print("};\n")


def print_ranges(name, ranges):
    print(f"inline constexpr Range {name}[] = {{")
    rows((f"{{0x{a:X}, 0x{b:X}}}" for a, b in ranges), 4)
    print("};\n")


def new_members(pattern, category):
    """What `regex` counts and Unicode 14 does not know, as ranges."""
    ranges = []
    for c in range(0x110000):
        if 0xD800 <= c < 0xE000 or not regex.match(pattern, chr(c)):
            continue
        if unicodedata.category(chr(c))[0] != category:
            assert unicodedata.category(chr(c)) == "Cn"
            if ranges and ranges[-1][1] == c - 1:
                ranges[-1][1] = c
            else:
                ranges.append([c, c])
    return ranges


def main():
    assert unicodedata.unidata_version == "14.0.0", "run it with Python 3.11"
    print("#pragma once\n")
    print("// Made by scripts/text_tables.py with Python "
          f"{sys.version.split()[0]} (Unicode {unicodedata.unidata_version}), "
          f"ftfy {ftfy.__version__}, regex {regex.__version__}.")
    print("//\n// The tables of marks, patterns, entities in capitals and widths are those of ftfy")
    print("// (Copyright 2023 Robyn Speer, Apache License 2.0), in another form.\n")
    print("#include <cstdint>\n#include <string_view>\n")
    print("// clang-format off\nnamespace trmml::clip::tables {\n")
    print_marks()
    print_byte_patterns()
    print_encodings()
    print("// ftfy.chardata.WIDTH_MAP from U+FF01 on; 0: stays. U+FFE3 becomes two, U+3000 a blank.")
    print("inline constexpr char16_t kWidths[] = {")
    widths = {k: v for k, v in chardata.WIDTH_MAP.items() if k >= 0xFF01}
    assert widths.pop(0xFFE3) == " \u0304" and all(len(v) == 1 for v in widths.values())
    rows((f"0x{ord(widths.get(c, chr(0))):X}" for c in range(0xFF01, 0xFFF0)), 10)
    print("};\n")
    entities = html.entities.html5
    closed = {k[:-1]: v for k, v in entities.items() if k.endswith(";")}
    bare = sorted(k for k in entities if not k.endswith(";"))
    assert all(entities[k] == closed[k] for k in bare)
    shouted = {k[1:-1]: v for k, v in chardata.HTML_ENTITIES.items() if k[1:-1] not in closed}
    print("// Names of HTML 5 and their characters.")
    print_text("kEntities", (f"{k} {hexadecimal(v)}" for k, v in sorted(closed.items())))
    print("// Those that HTML knows without a semicolon too.")
    print_text("kBareEntities", bare)
    print("// Names that ftfy knows in capitals.")
    print_text("kShoutedEntities", (f"{k} {hexadecimal(v)}" for k, v in sorted(shouted.items())))
    print("struct Range {\n  char32_t first, last;\n};\n")
    print("// Letters and numbers that Unicode has after version 14.")
    print_ranges("kNewLetters", new_members(r"\p{L}", "L"))
    print_ranges("kNewNumbers", new_members(r"\p{N}", "N"))
    print("}  // namespace trmml::clip::tables\n// clang-format on")


if __name__ == "__main__":
    main()
