"""The tokenizer side by side with the Python reference, on the same texts, in turn.

    python3 benchmarks/tokenizer.py --program build/release/benchmarks/benchmark_tokenizer

Needs open-clip-torch, ftfy and regex (tests/reference/tokenizer_strings.py says more).
Prints million tokens a second of the core's time, the median of the runs and their spread, and the ratio.
"""

import argparse
import pathlib
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests/reference"))
import category_names  # noqa: E402
import tokenizer_strings as strings  # noqa: E402


def captions(source, count):
    names = category_names.ALL
    pick = source.choice
    return [f"A {pick(['photo', 'picture', 'painting'])} of a {pick(names)} and two {pick(names)}s "
            f"{pick(['near', 'on', 'under'])} the {pick(names)}." for _ in range(count)]


def hostile(count):
    texts = strings.make_texts(3, count + 4 * len(category_names.ALL))[-count:]
    return [t.decode("utf-8", "replace").replace("\n", " ").replace("\r", " ") for t in texts]


def spread(rates):
    return f"median {statistics.median(rates):.3f}  ({min(rates):.3f} to {max(rates):.3f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--count", type=int, default=4000)
    arguments = parser.parse_args()
    try:
        reference, vocabulary = strings.make_reference(), strings.load_reference()[1]
    except strings.Missing as reason:
        print(f"SKIPPED: {reason}")
        return
    print(strings.versions())
    kinds = {"captions": captions(random.Random(1), arguments.count), "hostile": hostile(arguments.count)}
    with tempfile.TemporaryDirectory() as folder:
        for name, texts in kinds.items():
            path = pathlib.Path(folder) / name
            path.write_text("".join(t + "\n" for t in texts))
            ours, theirs = [], []
            for _ in range(arguments.runs):
                # The program's second pass, as the reference keeps its words too.
                done = subprocess.run([arguments.program, str(vocabulary), "3", str(path)],
                                      capture_output=True, text=True, check=True)
                ours.append(float(re.search(r"median ([\d.]+)", done.stdout).group(1)))
                start = time.process_time()
                tokens = sum(len(reference.encode(t)) for t in texts)
                theirs.append(tokens / (time.process_time() - start) / 1e6)
            print(f"{name:<10} trmml     {spread(ours)}")
            print(f"{name:<10} reference {spread(theirs)}")
            print(f"{name:<10} ratio     {statistics.median(a / b for a, b in zip(ours, theirs)):.0f}")


if __name__ == "__main__":
    main()
