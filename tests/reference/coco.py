#!/usr/bin/env python3
"""Writes coco.hpp: rows, labels and salient categories by pycocotools.

    python3 tests/reference/coco.py > tests/reference/coco.hpp
    python3 tests/reference/coco.py --check tests/reference/coco.hpp

Reads tests/data/coco/annotations/instances_train2014.json, which coco_annotations.py
made (its docstring has the command).
"""
import contextlib
import pathlib
import sys

from pycocotools.coco import COCO

from fill import Header

FILE = pathlib.Path(__file__).parent.parent / "data/coco/annotations/instances_train2014.json"


def salient(coco, image, column):
    for is_crowd in (False, True):
        objects = coco.loadAnns(coco.getAnnIds(imgIds=[image], iscrowd=is_crowd))
        if objects:
            return min((-a["area"], column[a["category_id"]]) for a in objects)[1]
    return -1


def main():
    with contextlib.redirect_stdout(sys.stderr):
        coco = COCO(str(FILE))
    categories = sorted(coco.getCatIds())
    column = {c: k for k, c in enumerate(categories)}
    every = [image["id"] for image in coco.dataset["images"]]
    mentioned = list(dict.fromkeys(a["image_id"] for a in coco.dataset["annotations"]))
    others = [i for i in every if not coco.getAnnIds(imgIds=[i])]
    assert set(mentioned) | set(others) == set(every) and others
    as_text = [int(text) for text in sorted(str(i) for i in every)]
    assert as_text != sorted(every)
    present = [set(coco.getImgIds(catIds=[c])) for c in categories]

    out = Header("coco.py", "coco")
    out.add("kCategoryIds", categories)
    out.add("kImages", every, "ids, order of the images array")
    out.add("kImagesAnnotated", [i for i in every if i not in others])
    out.add("kAnnotations", mentioned + others, "order of annotations")
    out.add("kAnnotationsAnnotated", mentioned)
    out.add("kAsText", as_text, "ids sorted as text")
    out.add("kAsTextAnnotated", [i for i in as_text if i not in others])
    out.add("kLabels", [[1 if i in ids else -1 for ids in present] for i in every], "rows as in kImages")
    out.add("kSalient", [salient(coco, i, column) for i in every])
    out.finish()


if __name__ == "__main__":
    main()
