#!/usr/bin/env python3
"""Writes visual_genome.hpp: annotations with untidy names, and what becomes of them.

    python3 tests/reference/visual_genome.py > tests/reference/visual_genome.hpp
    python3 tests/reference/visual_genome.py | cmp - tests/reference/visual_genome.hpp

NumPy draws both splits.  Needs nothing else.
"""
import collections
import json
import random

import numpy as np

SEED, CATEGORIES, TEST_SHARE = 5, 6, 0.25
WORDS = ["Man", "man ", "men", "tree", "  Tree", "trees", "wooden table", "Table", "red  table.", "dark red bus",
         "bus", "very red bus", "traffic light", "Traffic \t Light", "light.", "sky", "sky .", "grey", "café", "", "hat, red"]
ALIASES = "man,men,Guy\ntree, trees\nperson,man\nguy,person\nlamp,,light.\n"
GROUPS = {"person": ["man", "men"], "table": ["table"], "bus": ["bus", "very red bus"], "plant": ["tree", "trees"],
          "carcpet": ["sky"], "wood": ["trees"], "hue": ["grey"], "never": ["unicorn"]}
ATTRIBUTES = ("white black blue green red brown yellow small large silver wooden orange gray grey metal pink tall "
              "long dark").split()


def annotations():
    draw = random.Random(7)
    ids = draw.sample(range(1, 3000), 36)
    pictures = []
    for i in ids:
        objects = []
        for k in range(draw.randint(0, 5)):
            names = [draw.choice(WORDS) for _ in range(1 + (draw.random() < 0.2))]
            objects.append({"synsets": ["x.n.01"], "h": 10, "names": names, "object_id": 100 * i + k, "merged_object_ids": []})
        # The key stands in front of the objects in some versions and behind them in others.
        head = {"image_id": i, "image_url": 'https://x/"' + str(i) + "].jpg"}
        pictures.append({**head, "objects": objects} if draw.random() < 0.5 else {"objects": objects, **head})
    return pictures


def tidy(name):
    return " ".join(name.lower().split())


def aliases():
    table = {}
    for line in ALIASES.splitlines():
        names = [tidy(n) for n in line.split(",")]
        canonical = table.get(names[0], names[0])
        for name in names:
            if name and name not in table:
                table[name] = canonical
    return table


def build(pictures):
    table = aliases()
    names_of = {p["image_id"]: {table.get(tidy(n), tidy(n)) for o in p["objects"] for n in o["names"]} - {""} for p in pictures}
    counts = collections.Counter(n for names in names_of.values() for n in names)
    kept = sorted(counts, key=lambda n: (-counts[n], n.encode()))[:CATEGORIES]
    order = np.arange(len(names_of))
    np.random.RandomState(SEED).shuffle(order)
    ids = sorted(names_of)
    test = sorted(ids[i] for i in order[:int(np.round(TEST_SHARE * len(ids)))])
    labels = {i: sorted(kept.index(n) for n in names_of[i] if n in kept) for i in ids}
    return {"names": len(counts), "kept": [(n, counts[n]) for n in kept], "test": test,
            "train": sorted(set(ids) - set(test)), "labels": labels}


def plain(name):
    name = name.lower().strip()
    if name.endswith("."):
        name = name[:-1].strip()
    *front, last = name.split() or [""]
    return last if front and set(front) <= set(ATTRIBUTES) else name


def vg256(pictures):
    category = {name: c for c, names in enumerate(GROUPS.values()) for name in names}
    rows = {p["image_id"]: sorted({category[plain(o["names"][0])] for o in p["objects"] if plain(o["names"][0]) in category})
            for p in pictures}
    rows = {i: rows[i] for i in sorted(rows) if rows[i]}
    order = np.random.RandomState(1).permutation(len(rows))
    n_test = int(np.round(0.3 * len(rows)))
    ids = list(rows)
    return {part: [(ids[i], rows[ids[i]]) for i in np.sort(index)]
            for part, index in (("train", order[:-n_test]), ("test", order[-n_test:]))}


def lines(rows):
    return "".join(f"{i}: {' '.join(map(str, labels))}\n" for i, labels in rows)


def constant(name, text):
    return f'inline constexpr char {name}[] = R"~({text})~";\n'


data = annotations()
built, split = build(data), vg256(data)
print(f"#pragma once\n\n// Written by visual_genome.py, NumPy {np.__version__.split('.')[0]}: every text ends its lines with a line break.\n\n"
      "// clang-format off\nnamespace reference::visual_genome {\n")
print(constant("kObjects", json.dumps(data, separators=(",", ": ")).replace("}, {", "},\n{").replace("]},{", "]},\n{") + "\n"))
print(constant("kAliases", ALIASES))
print(f"// The {CATEGORIES} most frequent names, with how many pictures; of {built['names']} names.")
print(constant("kBuilt", "".join(f"{n}: {k}\n" for n, k in built["kept"])))
print(f"inline constexpr int kBuiltNames = {built['names']};\n")
print(f"// Picture: categories. Seed {SEED}, a share of {TEST_SHARE} for the test.")
print(constant("kBuiltTrain", lines((i, built["labels"][i]) for i in built["train"])))
print(constant("kBuiltTest", lines((i, built["labels"][i]) for i in built["test"])))
print(constant("kGroups", json.dumps(GROUPS) + "\n"))
print("// Picture: categories of the groups. RandomState(1).permutation, 30 % for the test.")
print(constant("kGroupsTrain", lines(split["train"])))
print(constant("kGroupsTest", lines(split["test"])))
print("// The first and last ten of RandomState(1).permutation(108077).")
order = np.random.RandomState(1).permutation(108077)
print(constant("kPermutation", " ".join(map(str, list(order[:10]) + list(order[-10:])))))
print("}  // namespace reference::visual_genome\n// clang-format on")
