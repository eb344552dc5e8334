#!/usr/bin/env python3
"""Writes voc.hpp: annotations in the form of PASCAL VOC, and what xml.etree finds in them.

    python3 tests/reference/voc.py > tests/reference/voc.hpp

Pictures are drawn by `random.Random(7)`; their XML has what the real files have: parts with boxes
and names of their own, fractions of pixels, elements in any order, blanks, missing flags.
"""
import platform
import random
import xml.etree.ElementTree as ElementTree

CATEGORIES = ("aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike "
              "person pottedplant sheep sofa train tvmonitor").split()


def box(draw, fractions):
    left, top = draw.randint(1, 300), draw.randint(1, 300)
    sides = {"xmin": left, "ymin": top, "xmax": left + draw.randint(0, 199), "ymax": top + draw.randint(0, 199)}
    if fractions:
        sides = {name: value + draw.choice((0, 0.25, 0.5)) * name.startswith("xm") for name, value in sides.items()}
        sides["xmax"] = max(sides["xmin"], sides["xmax"])
    names = list(sides)
    draw.shuffle(names)
    return "<bndbox>" + "".join(f"<{name}>{sides[name]}</{name}>" for name in names) + "</bndbox>"


def annotation(draw, number):
    few = draw.sample(CATEGORIES, 3)
    text = f"<annotation>\n  <folder>VOC2007</folder><filename>{number:06}.jpg</filename>\n"
    text += "  <!-- one of ours -->\n  <size><width>500</width><height>500</height><depth>3</depth></size>\n"
    for _ in range(draw.randint(0 if number % 5 == 0 else 1, 5)):
        name = draw.choice(few)
        parts = [f"<name>{draw.choice((name, f' {name} ', chr(10) + name))}</name>", box(draw, number % 3 == 0),
                 draw.choice(("<difficult>1</difficult>", "<difficult>0</difficult>", "<difficult> 1 </difficult>", "")),
                 "<pose>Left</pose>", "<truncated>1</truncated>"]
        draw.shuffle(parts)
        if name == "person":
            parts.append("<part><name>head</name>" + box(draw, False) + "</part>")
        text += "  <object>" + "".join(parts) + "</object>\n"
    return text + "</annotation>\n"


def row(objects, rule):
    """Labels as "+-", the mask as "x.", and the salient category."""
    counts = [o for o in objects if rule == "present" or not o[1]]
    there = {o[0] for o in objects} if rule == "ignored" else {o[0] for o in counts}
    masked = there - {o[0] for o in counts}
    largest = max(counts, key=lambda o: o[2])[0] if counts else None
    return ("".join("+" if name in there else "-" for name in CATEGORIES),
            "".join("x" if name in masked else "." for name in CATEGORIES),
            CATEGORIES.index(largest) if counts else -1)


def objects_of(text):
    found = []
    for node in ElementTree.fromstring(text).findall("object"):
        corner = {side.tag: float(side.text) for side in node.find("bndbox")}
        area = (corner["xmax"] - corner["xmin"] + 1) * (corner["ymax"] - corner["ymin"] + 1)
        found.append((node.findtext("name").strip(), node.findtext("difficult", "0").strip() == "1", area))
    return found


def main():
    draw = random.Random(7)
    print(f"#pragma once\n\n// Written by voc.py: Python {platform.python_version()}.\n\n#include <vector>\n")
    print("// clang-format off\nnamespace reference::voc {\n")
    print("struct Row {\n  const char* labels;\n  const char* ignore;\n  int salient;\n};")
    print("struct Picture {\n  const char* id;\n  const char* xml;\n  Row skipped, present, ignored;\n};\n")
    print("inline const std::vector<Picture> kPictures = {")
    for number in draw.sample(range(1, 10000), 16):
        text = annotation(draw, number)
        rows = ", ".join('{"%s", "%s", %d}' % row(objects_of(text), rule) for rule in ("skipped", "present", "ignored"))
        print(f'{{"{number:06}", R"xml({text})xml",\n {rows}}},')
    print("};\n\n}  // namespace reference::voc\n// clang-format on")


main()
