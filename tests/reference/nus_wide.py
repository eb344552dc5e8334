#!/usr/bin/env python3
"""Writes nus_wide.hpp: a CSV file as Python's csv module makes it from printed lists, and what it says.

    python3 tests/reference/nus_wide.py > tests/reference/nus_wide.hpp
    python3 tests/reference/nus_wide.py | cmp - tests/reference/nus_wide.hpp
"""
import csv
import io

CONCEPTS = ["airport", "sky", "water", "person", "window", "zebra"]


def labels(i):
    return [c for c in range(len(CONCEPTS)) if (7 * i + 3 * c) % 5 == 0]


def constant(name, text):
    return f'inline constexpr char {name}[] = R"~({text})~";\n'


text = io.StringIO()
table = csv.writer(text, lineterminator="\n")
table.writerow(["filepath", "label", "split_name"])
expected = {"train": "", "val": ""}
for i in range(14):
    part = "val" if i % 3 == 1 else "train"
    picture = f'images/{i}_{97 * i}_{"a" if i % 4 else "b,b"}_m.jpg'
    table.writerow([picture, [CONCEPTS[c] for c in reversed(labels(i))], part])
    expected[part] += f"{picture}: {' '.join(map(str, labels(i)))}\n"
print("#pragma once\n\n// Written by nus_wide.py.\n\n// clang-format off\nnamespace reference::nus_wide {\n")
print(constant("kConcepts", "".join(c + "\n" for c in CONCEPTS)))
print(constant("kCsv", text.getvalue()))
print("// Picture: concepts.")
print(constant("kCsvTrain", expected["train"]))
print(constant("kCsvTest", expected["val"]))
print("}  // namespace reference::nus_wide\n// clang-format on")
