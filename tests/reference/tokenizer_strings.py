"""Hostile texts, and the ids that the Python reference finds for them.

    tokenizer_strings.py compare --program build/dev/examples/tokenize [--count 25000]
    tokenizer_strings.py sweep --program build/dev/examples/tokenize
    tokenizer_strings.py sample > tests/reference/tokenizer_sample.hpp

`compare` makes texts from a seed, adds every name of tests/reference/category_names.py,
and compares the program's ids with those of the reference, which is the SimpleTokenizer
of open-clip-torch with OpenAI's names of the start and the end token. `sweep` does so
with every character of Unicode between letters, digits, sigmas and marks. `sample`
writes the texts of the test that always runs; it needs no vocabulary of CLIP, because
its merges are those of tests/reference/tokenizer.hpp.

Needs open-clip-torch (`pip install --no-deps` is enough), ftfy, regex and numpy; without
them it says "SKIPPED:" and ends well. Where the package tokenizers is installed, `compare`
also counts the texts for which Hugging Face's CLIPTokenizer has other ids, and reads its
vocab.json and tokenizer.json.
"""

import argparse
import functools
import gzip
import hashlib
import importlib.metadata
import importlib.util
import pathlib
import random
import subprocess
import sys
import tempfile
import types
import unicodedata

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import category_names  # noqa: E402

START, END = "<|startoftext|>", "<|endoftext|>"


# ------------------------------------------------------------ the reference


class Missing(Exception):
    pass


@functools.cache
def load_reference():
    """The module open_clip.tokenizer, without the rest of the package."""
    for package in ("ftfy", "regex", "numpy"):
        if importlib.util.find_spec(package) is None:
            raise Missing(f"the Python package {package} is not installed")
    if importlib.util.find_spec("torch") is None:  # only named in annotations
        torch = types.ModuleType("torch")
        torch.LongTensor = torch.Tensor = object
        sys.modules["torch"] = torch
    try:
        root = importlib.metadata.distribution("open-clip-torch").locate_file("open_clip")
    except importlib.metadata.PackageNotFoundError:
        raise Missing("the Python package open-clip-torch is not installed") from None
    spec = importlib.util.spec_from_file_location("tokenizer", str(root / "tokenizer.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module, root / "bpe_simple_vocab_16e6.txt.gz"


def make_reference(vocabulary=None):
    """SimpleTokenizer with the names that OpenAI's CLIP has for start and end."""
    module, shipped = load_reference()
    tokenizer = module.SimpleTokenizer(str(vocabulary or shipped))
    for own, name in (("<start_of_text>", START), ("<end_of_text>", END)):
        number = tokenizer.encoder.pop(own)
        tokenizer.encoder[name] = number
        tokenizer.decoder[number] = name
        del tokenizer.cache[own]
        tokenizer.cache[name] = name
    pattern = tokenizer.pat.pattern
    assert pattern.startswith("<start_of_text>|<end_of_text>|")
    pattern = pattern.replace(
        "<start_of_text>|<end_of_text>", r"<\|startoftext\|>|<\|endoftext\|>")
    tokenizer.pat = module.re.compile(pattern, module.re.IGNORECASE)
    return tokenizer


def reference_ids(tokenizer, data):
    text = data.decode("utf-8", errors="replace")
    return [tokenizer.sot_token_id, *tokenizer.encode(text), tokenizer.eot_token_id]


# ------------------------------------------------------------ texts

WORDS = """a photo of the dog cat red umbrella traffic light person's don't we'll I'VE
it's bird's-eye view 3 bicycles 1,000 12th STOP hot-dog tennis_racket o'clock Naïve café
Ångström Straße İstanbul ﬁne ﬂow ΟΔΟΣ Σίσυφος πόλεις Москва Київ Zażółć gęślą jaźń
übermäßig crème brûlée smörgåsbord piñata mañana Škoda Łódź Đuro ŉ ǅ ĳ ſtart 'ſ""".split()
SCRIPTS = [
    (0x4E00, 0x9FFF), (0x3041, 0x30FF), (0xAC00, 0xD7A3), (0x1100, 0x11FF), (0x05D0, 0x05EA),
    (0x0600, 0x06FF), (0x0900, 0x097F), (0x0E00, 0x0E7F), (0x1000, 0x109F), (0x10A0, 0x10FF),
    (0x0370, 0x03FF), (0x0400, 0x04FF), (0x0530, 0x058F), (0x13A0, 0x13FF), (0x1E00, 0x1FFF),
    (0xA640, 0xA7FF), (0x10400, 0x1044F), (0x1D400, 0x1D7FF), (0x20000, 0x2A6DF), (0xFF00, 0xFFEF),
    (0x0B80, 0x0BFF), (0x1780, 0x17FF), (0x0F00, 0x0FFF), (0x1E900, 0x1E95F), (0x11100, 0x1114F),
]
MARKS = [(0x300, 0x36F), (0x483, 0x489), (0x591, 0x5C7), (0x64B, 0x65F), (0x1AB0, 0x1AC0),
         (0x20D0, 0x20F0), (0x3099, 0x309A), (0xFE20, 0xFE2F), (0x345, 0x345)]
INVISIBLE = [0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x202A, 0x202B, 0x202C, 0x202D, 0x202E,
             0x2060, 0x2066, 0x2069, 0x206A, 0x206F, 0xFEFF, 0xFFF9, 0xFFFB, 0xFFFC, 0xFFFD,
             0xFE0E, 0xFE0F, 0xAD, 0x61C, 0x180E, 0x34F, 0x115F, 0x3164]
SPACES = [9, 10, 11, 12, 13, 0x1C, 0x1D, 0x1E, 0x1F, 0x20, 0x85, 0xA0, 0x1680, 0x2000, 0x2003,
          0x2009, 0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000]
QUOTES = "'\"`´‘’‚‛“”„‟«»‹›ʼʻ＇＂"
ENCODINGS = ["latin-1", "cp1252", "cp1251", "cp1250", "cp1253", "cp1254", "cp1257",
             "iso-8859-2", "mac_roman", "cp437", "sloppy-windows-1252", "sloppy-windows-1251"]
ENTITIES = ["amp", "lt", "gt", "quot", "nbsp", "eacute", "EACUTE", "NTILDE", "SZLIG", "hellip",
            "rarr", "copy", "notit", "not", "notin", "Aacute", "ffilig", "fjlig", "bne",
            "NotEqualTilde", "CounterClockwiseContourIntegral", "semi", "num", "Tab", "NewLine",
            "ThickSpace", "zwj", "unknown", "x", "AMP", "amP", "apos", "lsquo", "ldquo",
            "HilbertSpace", "SQCAPS", "nvlt", "ZeroWidthSpace", "InvisibleTimes"]


class Maker:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.parts = [
            self.words, self.words, self.words, self.script, self.script, self.emoji,
            self.marks, self.spaces, self.invisible, self.quotes, self.entity, self.entity,
            self.mojibake, self.mojibake, self.mojibake, self.lossy, self.controls,
            self.number, self.long_word, self.special, self.latin, self.punctuation,
            self.any_point, self.escape, self.repeated, self.brackets, self.width,
        ]

    def point(self, ranges):
        while True:
            c = self.random.randint(*self.random.choice(ranges))
            if not 0xD800 <= c < 0xE000:
                return chr(c)

    def some(self, make, most):
        return "".join(make() for _ in range(self.random.randint(1, most)))

    def words(self):
        words = self.random.choices(WORDS, k=self.random.randint(1, 6))
        case = self.random.choice([str, str, str.upper, str.title, str.swapcase])
        return case(self.random.choice([" ", " ", "-", "", ", "]).join(words))

    def script(self):
        chosen = [self.random.choice(SCRIPTS)]
        return self.some(lambda: self.point(chosen), 12)

    def emoji(self):
        base = lambda: self.point([(0x1F300, 0x1F64F), (0x1F680, 0x1F6FF), (0x1F900, 0x1F9FF),
                                   (0x2600, 0x27BF)])
        kind = self.random.randrange(6)
        if kind == 0:
            return base() + self.point([(0x1F3FB, 0x1F3FF)])
        if kind == 1:
            return "\u200d".join(base() for _ in range(self.random.randint(2, 5)))
        if kind == 2:
            return self.some(lambda: self.point([(0x1F1E6, 0x1F1FF)]), 4)
        if kind == 3:
            return self.random.choice("0123456789#*") + "\ufe0f\u20e3"
        if kind == 4:
            tags = self.some(lambda: self.point([(0xE0061, 0xE007A)]), 5)
            return "\U0001f3f4" + tags + "\U000e007f"
        return self.some(lambda: base() + self.random.choice(["", "\ufe0f", "\u200d"]), 5)

    def marks(self):
        base = lambda: self.random.choice("aeiouAEIOUnsåαΣιΙ한かバ")
        return self.some(lambda: base() + self.some(lambda: self.point(MARKS), 4), 5)

    def spaces(self):
        return self.some(lambda: chr(self.random.choice(SPACES)), 5)

    def invisible(self):
        return self.some(lambda: chr(self.random.choice(INVISIBLE)) + self.random.choice(["", "a"]), 4)

    def quotes(self):
        q = self.random.choice
        return q(QUOTES) + q(WORDS) + q(QUOTES) + q(["s", "S", "t", "re", "LL", "d", "m", "ve", "", " s"])

    def entity(self):
        r = self.random
        kind = r.randrange(5)
        if kind == 0:
            body = "#" + str(r.choice([r.randrange(0x300), r.randrange(0x120000), 59, 38, 0, 128, 150]))
        elif kind == 1:
            body = r.choice(["#x", "#X"]) + format(r.choice([r.randrange(0x300), r.randrange(0x120000), 0x3B]), "x")
        elif kind == 2:
            body = r.choice(["#", "#x", "#xg", "#1a", "", "#12abc", "é", "amp;amp;amp", "amp;lt", "#38;amp"])
        else:
            body = r.choice(ENTITIES)
        return "&" + body + r.choice([";", ";", ";", "", " ", "x", ";;"])

    def clean_unicode(self):
        return self.random.choice([self.words, self.script, self.quotes, self.emoji, self.latin,
                                   self.marks, self.punctuation])()

    def mojibake(self):
        text = self.clean_unicode()
        for _ in range(self.random.choice([1, 1, 1, 2, 3])):
            encoding = self.random.choice(ENCODINGS)
            text = text.encode("utf-8", "replace").decode(encoding, self.random.choice(["replace", "ignore"]))
            if len(text) > 400:
                break
        if self.random.random() < 0.2:
            text = text.replace("\xa0", " ")
        return text

    def lossy(self):
        text = list(self.mojibake())
        for i in range(len(text)):
            if self.random.random() < 0.1:
                text[i] = self.random.choice("\ufffd?\x1a \xa0\n")
        return "".join(text)

    def controls(self):
        return self.some(lambda: chr(self.random.choice([self.random.randrange(32), 127, self.random.randrange(0x80, 0xA0)]))
                         + self.random.choice(["", "x"]), 4)

    def escape(self):
        return "\x1b[" + self.random.choice(["0m", "36;44m", ";;H", "\u0663m", "", "2", "m", "é"])

    def number(self):
        return self.some(lambda: self.point([(0x30, 0x39), (0x660, 0x669), (0x966, 0x96F), (0xB2, 0xB9),
                                             (0xBC, 0xBE), (0x2150, 0x218B), (0x2460, 0x24FF),
                                             (0xFF10, 0xFF19), (0x1D7CE, 0x1D7FF)])
                         + self.random.choice(["", "", ".", ",", "x"]), 8)

    def long_word(self):
        letters = self.random.choice(["abcdefghij", "a", "aA", "éèê", "ñ1", "x_-", "аеио", "ab'"])
        return "".join(self.random.choices(letters, k=self.random.choice([20, 60, 200, 700])))

    def special(self):
        return self.random.choice([START, END, START.upper(), "<|startoftext", "|>", "<|endoftext|>s", "<end_of_text>",
                                   "<|\u017ftartoftext|>", "&lt;|endoftext|&gt;", "<b>", "<", "< |endoftext|>"])

    def latin(self):
        return self.some(lambda: self.point([(0xA0, 0xFF), (0x100, 0x17F), (0x2010, 0x2044), (0x20A0, 0x20BF),
                                             (0x2C6, 0x2DD), (0x41, 0x7A), (0x20, 0x20)]), 10)

    def punctuation(self):
        return self.some(lambda: self.random.choice("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~§°±¶·…–—•€™№×÷√≈"), 6)

    def any_point(self):
        return self.some(lambda: self.point([(0, 0xFFFF), (0, 0x10FFFF), (0, 0x24F)]), 6)

    def repeated(self):
        return self.random.choice([self.emoji, self.entity, self.mojibake, self.marks])() * self.random.randint(2, 6)

    def brackets(self):
        return self.random.choice("([{<«") + self.words() + self.random.choice(")]}>»")

    def width(self):
        return self.some(lambda: self.point([(0xFF01, 0xFFEE), (0xFB00, 0xFB06), (0x1C4, 0x1CC), (0x1F1, 0x1F3)]), 6)

    def broken(self, data):
        """Bytes changed, cut and put in."""
        data = bytearray(data)
        for _ in range(self.random.randint(1, 4)):
            at = self.random.randrange(len(data) + 1)
            kind = self.random.randrange(4)
            if kind == 0:
                data[at:at] = bytes(self.random.choices(range(0x80, 0x100), k=self.random.randint(1, 4)))
            elif kind == 1:
                del data[at : at + 1]
            elif kind == 2:
                data[at:at] = self.random.choice([b"\xed\xa0\x80", b"\xed\xa0\xbd\xed\xb8\x80", b"\xc0\x80",
                                                  b"\xf5\x80\x80\x80", b"\xe0\x80\xaf", b"\xf0\x9f\x98"])
            else:
                data = data[:at]
        return bytes(data)

    def text(self):
        count = self.random.choice([1, 1, 2, 2, 3, 4, 6])
        glue = self.random.choice(["", " ", "", " ", "\n"])
        data = glue.join(self.random.choice(self.parts)() for _ in range(count)).encode()
        return self.broken(data) if self.random.random() < 0.12 else data

    def random_bytes(self):
        return bytes(self.random.choices(range(256), k=self.random.randint(0, 40)))


def make_texts(seed, count):
    maker = Maker(seed)
    texts = [t for name in category_names.ALL for t in phrases(name)]
    while len(texts) < count:
        texts.append(maker.random_bytes() if len(texts) % 50 == 0 else maker.text())
    return texts


def phrases(name):
    return [t.encode() for t in (name, name.upper(), f"a photo of a {name}.", name.replace(" ", "_"))]


# ------------------------------------------------------------ the program


def run_program(program, vocabulary, texts):
    """The ids of every text: those with line breaks and those with NUL apart."""
    command = [program, "--vocab", str(vocabulary)]
    results = [None] * len(texts)
    for end, option in ((b"\n", []), (b"\0", ["--null"])):
        indices = [i for i, t in enumerate(texts) if results[i] is None and end not in t]
        done = subprocess.run(command + option, input=b"".join(texts[i] + end for i in indices),
                              capture_output=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(command)}: status {done.returncode}: {done.stderr.decode()}")
        lines = done.stdout.decode().splitlines()
        assert len(lines) == len(indices), (len(lines), len(indices))
        for i, line in zip(indices, lines):
            results[i] = [int(n) for n in line.split()]
    return results


def without_both(texts):
    """Lines or NUL must tell texts apart, so none may hold both."""
    return [t.replace(b"\0", b"") if b"\n" in t and b"\0" in t else t for t in texts]


def differences(tokenizer, texts, found):
    for text, ids in zip(texts, found):
        expected = reference_ids(tokenizer, text)
        if ids != expected:
            yield text, expected, ids


def report(tokenizer, texts, found, what, show=True):
    wrong = list(differences(tokenizer, texts, found))
    for text, expected, ids in wrong[: 10 if show else 0]:
        print(f"{text!r}\n  expected {expected}\n  got      {ids}")
        print(f"  cleaned  {tokenizer.clean_fn(text.decode('utf-8', 'replace'))!a}")
    tokens = sum(map(len, found))
    print(f"{what}: {len(texts)} texts, {tokens} ids, {len(wrong)} texts differ")
    return len(wrong)


def versions():
    names = [f"{p} {importlib.metadata.version(p)}" for p in ("open-clip-torch", "ftfy", "regex")]
    return ", ".join([f"Python {sys.version.split()[0]} (Unicode {unicodedata.unidata_version})", *names])


def compare(arguments):
    tokenizer = make_reference(arguments.vocab)
    texts = without_both(make_texts(arguments.seed, arguments.count))
    digest = hashlib.sha256(b"\xff\xff".join(texts)).hexdigest()[:16]
    print(f"{versions()}; seed {arguments.seed}, sha256 of the texts {digest}")
    found = run_program(arguments.program, arguments.vocab or load_reference()[1], texts)
    names = 4 * len(category_names.ALL)
    wrong = report(tokenizer, texts[:names], found[:names], "names of categories")
    wrong += report(tokenizer, texts[names:], found[names:], "hostile texts")
    if importlib.util.find_spec("tokenizers"):
        wrong += compare_hugging_face(arguments, tokenizer, texts, found, names)
    return wrong


def make_hugging_face(reference):
    """What CLIPTokenizer of transformers 5 builds: no repair, no references of HTML."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    own = [reference.byte_encoder[b] for b in range(256)]
    merges = sorted(reference.bpe_ranks, key=reference.bpe_ranks.get)
    assert all(c in reference.encoder for c in own)
    tokenizer = Tokenizer(models.BPE(vocab=reference.encoder, merges=merges, end_of_word_suffix="</w>",
                                     continuing_subword_prefix="", unk_token=END))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    pattern = (r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d"
               r"|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), behavior="removed", invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.add_special_tokens([START, END])
    return tokenizer


def compare_hugging_face(arguments, reference, texts, found, names):
    """The vocabulary as Hugging Face's files give the same ids; its cleaning does not."""
    tokenizer = make_hugging_face(reference)
    other = [tokenizer.encode(t.decode("utf-8", "replace")).ids != ids[1:-1] for t, ids in zip(texts, found)]
    print(f"Hugging Face's CLIPTokenizer (tokenizers {importlib.metadata.version('tokenizers')}) has other ids "
          f"for {sum(other[:names])} of {names} names and {sum(other[names:])} of {len(texts) - names} hostile texts")
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save(f"{folder}/tokenizer.json")
        tokenizer.model.save(folder)
        for name in ("tokenizer.json", "vocab.json"):
            same = run_program(arguments.program, f"{folder}/{name}", texts) == found
            print(f"{name}: {'the same ids' if same else 'OTHER IDS'}")
            wrong += not same
    return wrong


def sweep(arguments):
    """Every character, in places where its class and case matter.

    Characters that Python's own tables do not know are counted apart: case, marks and
    normal form of these depend on the version of Python, and ours on that of utf8proc.
    """
    tokenizer = make_reference(arguments.vocab)
    points = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    known = [c for c in points if unicodedata.category(chr(c)) != "Cn"]
    unknown = sorted({*points} - {*known})
    wrong = 0
    for form in ("a{}b", "1{}2", "!{}?", "ΑΣ{}α", "Α{}Σ.", "{}", "'{}", "e{}\u0301", "Ã{}a©", "\u00e9 {}\u20ac"):
        for chosen, what in ((known, "every character"), (unknown, "every character unknown to Python")):
            texts = without_both([form.replace("{}", chr(c)).encode() for c in chosen])
            found = run_program(arguments.program, arguments.vocab or load_reference()[1], texts)
            count = report(tokenizer, texts, found, f"{what} in {form!a}", what == "every character")
            wrong += count if chosen is known else 0
    return wrong


def literal(data):
    return '"' + "".join(chr(b) if 32 <= b < 127 and b not in b'"\\?' else f"\\{b:03o}" for b in data) + '"'


def sample(arguments):
    """Texts with the ids of the merges of tokenizer.hpp, as a header."""
    import tokenizer as small  # the script beside this one

    merges = small.learn([c.encode() for c in small.CAPTIONS], small.N_MERGES)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "merges.gz"
        lines = "\n".join(["#version: 0.2", *(f"{a} {b}" for a, b in merges)])
        path.write_bytes(gzip.compress(lines.encode()))
        tokenizer = make_reference(path)
    maker = Maker(arguments.seed)
    names = category_names.ALL[:: len(category_names.ALL) // 40]
    texts = [n.encode() for n in names]
    size = 0
    print("#pragma once\n")
    print(f"// Made by tests/reference/tokenizer_strings.py with seed {arguments.seed} and")
    print(f"// {versions()}.\n")
    print("#include <cstdint>\n#include <string>\n#include <vector>\n")
    print("// clang-format off\nnamespace reference {\n")
    print("struct Hostile {\n  std::string text;\n  std::vector<int64_t> ids;  // with start and end\n};\n")
    print("inline const std::vector<Hostile> kHostile = {")
    while size < 150_000:
        text = texts.pop() if texts else maker.text()
        ids = reference_ids(tokenizer, text)
        if len(ids) > 80:
            continue
        line = f"    {{std::string({literal(text)}, {len(text)}), {{{', '.join(map(str, ids))}}}}},"
        size += len(line) + 1
        print(line)
    print("};\n\n}  // namespace reference\n// clang-format on")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["compare", "sweep", "sample"])
    parser.add_argument("--program", help="the program tokenize")
    parser.add_argument("--vocab", type=pathlib.Path, help="default: the file of open-clip-torch")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=25_000)
    arguments = parser.parse_args()
    try:
        wrong = {"compare": compare, "sweep": sweep, "sample": sample}[arguments.what](arguments)
    except Missing as reason:
        print(f"SKIPPED: {reason}")
        return 0
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
