#!/usr/bin/env python3
"""Writes own_data.hpp: a CSV as people write them, and what Python's csv module finds in it.

    python3 tests/reference/own_data.py > tests/reference/own_data.hpp
"""
import csv
import io
import platform

TEXT = (
    'image,labels\r\n'
    'a.jpg,cat;dog\r\n'
    '"b, c.jpg","dog; ""big"" dog"\r\n'
    'sub/d.jpg,\r\n'
    ' e.jpg ,\tZebra ; cat\r\n'
    '\r\n'
    '"f ""1"".jpg","two\nlines;caf\u00e9"\r\n'
    '\u00fc.jpg,\u732b;\U0001f415;cat\r\n'
    'g.jpg,""\r\n'
    '"h.jpg",semi'
)


def text_literal(text):
    """C++ text with everything but plain ASCII in octal."""
    plain = lambda b: 32 <= b < 127 and chr(b) not in '"\\?'
    return '"' + "".join(chr(b) if plain(b) else f"\\{b:03o}" for b in text.encode()) + '"'


def main():
    records = [[field.strip(" \t") for field in record]
               for record in csv.reader(io.StringIO(TEXT, newline=""), strict=True) if record]
    assert records[0] == ["image", "labels"]
    labels = [[name.strip(" \t") for name in record[1].split(";") if name.strip(" \t")] for record in records[1:]]
    names = sorted({name for row in labels for name in row}, key=str.encode)
    print(f"#pragma once\n\n// Written by own_data.py: Python {platform.python_version()}.\n")
    print("#include <string>\n#include <vector>\n\n// clang-format off\nnamespace reference::own_data {\n")
    print("inline const std::string kCsv =\n    " + "\n    ".join(map(text_literal, TEXT.splitlines(True))) + ";\n")
    for name, values in (("kNames", names), ("kImages", [record[0] for record in records[1:]]),
                         ("kRows", ["".join("+" if name in row else "-" for name in names) for row in labels])):
        print(f"inline const std::vector<std::string> {name} = {{")
        print("\n".join(f"    {text_literal(value)}," for value in values) + "\n};")
    print("\n}  // namespace reference::own_data\n// clang-format on")


main()
