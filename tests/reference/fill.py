"""What the reference scripts share: inputs by formula (tests/support/tensors.hpp has the same) and
arrays as C++ text.  `--check FILE` compares numbers with a committed header instead of printing."""
import math
import platform
import re
import sys
import textwrap

import torch

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


def fill(shape, seed):
    """Doubles in [-1, 1), element i = ((7919 i + (2 seed + 1) i^2 + 104729 seed) mod 1000) / 500 - 1."""
    i = torch.arange(math.prod(shape))
    return (((i * 7919 + i * i * (2 * seed + 1) + 104729 * seed) % 1000).double() / 500 - 1).reshape(shape)


def fill_labels(shape, seed):
    """Labels in {-1, 0, +1}: +1 where `fill` is below -0.5, -1 where it is below 0.1, else 0."""
    x = fill(shape, seed)
    return 2 * (x < -0.5).long() - (x < 0.1).long()


def by_name(name, shape, size=0.3):
    """The value a test gives to a parameter: seeded by the sum of its name's characters."""
    return fill(shape, sum(map(ord, name))) * size


class Header:
    def __init__(self, script, namespace):
        self.lines = ["#pragma once\n\n#include <limits>\n", f"// Written by {script}: inputs by formula (fill.py), Python "
                      f"{platform.python_version()}, torch {torch.__version__}.\n",
                      "// clang-format off", f"namespace reference::{namespace} {{\n",
                      "inline constexpr double kInfinity = std::numeric_limits<double>::infinity();"]
        self.namespace = namespace

    def add(self, name, tensor, comment=""):
        values = ", ".join(repr(float(v)) for v in torch.as_tensor(tensor).detach().reshape(-1))
        values = values.replace("-inf", "-kInfinity").replace(" inf", " kInfinity")
        body = textwrap.fill(values, 100, initial_indent="    ", subsequent_indent="    ")
        note = f"  // {comment}" if comment else ""
        self.lines.append(f"inline constexpr double {name}[] = {{{note}\n{body}}};")

    def finish(self):
        self.lines.append(f"\n}}  // namespace reference::{self.namespace}\n// clang-format on")
        text = "\n".join(self.lines)
        if len(sys.argv) < 3 or sys.argv[1] != "--check":
            print(text)
            return
        read = lambda t: {n: [float(v) for v in b.replace("kInfinity", "inf").split(",")]
                          for n, b in re.findall(r"double (\w+)\[\] = \{[^\n]*\n(.*?)\};", t, re.S)}
        old, new = read(open(sys.argv[2]).read()), read(text)
        same = lambda a, b: len(a) == len(b) and all(
            x == y or abs(x - y) <= 1e-10 * (1 + abs(y)) for x, y in zip(a, b))
        wrong = sorted(set(old) ^ set(new)) + [n for n in old if n in new and not same(old[n], new[n])]
        if wrong:
            sys.exit(f"{sys.argv[2]} differs from {sys.argv[0]}: {', '.join(wrong)}")
        print(f"{len(old)} arrays agree")
