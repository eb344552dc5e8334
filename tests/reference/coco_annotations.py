#!/usr/bin/env python3
"""Writes a file of annotations with the size and the shape of COCO's, made up from a seed.

    python3 tests/reference/coco_annotations.py instances_train2014.json        about 330 MB
    python3 tests/reference/coco_annotations.py --images 24 --annotations 48 --crowds 6 \\
      --without 4 --categories 9 --points 4 tests/data/coco/annotations/instances_train2014.json

Images, annotations, crowds and images without an annotation are by default as many as in
COCO 2014 train. Objects are polygons, crowds are run lengths; ids of images are random,
those of categories have COCO's gaps. Needs Python's own library only.
"""
import argparse
import json
import random

import category_names

MISSING_IDS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
CATEGORIES = list(zip((i for i in range(1, 91) if i not in MISSING_IDS),
                      category_names.split(category_names.COCO)))


def polygons(source, points):
    """Text of a "segmentation" of some `points` points, its area and its box."""
    parts, area, box = [], 0.0, None
    for _ in range(source.choice((1, 1, 1, 1, 2, 3))):
        x, y = source.uniform(0, 400), source.uniform(0, 300)
        width, height = source.uniform(5, 240), source.uniform(5, 180)
        n = max(3, round(source.expovariate(1 / points)))
        corners = [(round(x + width * source.random(), 2), round(y + height * source.random(), 2)) for _ in range(n)]
        parts.append("[" + ",".join(f"{a},{b}" for a, b in corners) + "]")
        area += width * height / 2
        box = box or [round(v, 2) for v in (x, y, width, height)]
    return "[" + ",".join(parts) + "]", round(area, 4), box


def run_lengths(source, points):
    counts, left = [], 640 * 480
    while left > 0 and len(counts) < 40 * points:
        counts.append(min(left, source.randint(1, 900)))
        left -= counts[-1]
    counts[-1] += left
    text = ",".join(map(str, counts))
    return f'{{"counts": [{text}],"size": [480,640]}}', sum(counts[1::2]), [0, 0, 639, 479]


def image(source, number):
    return json.dumps({
        "license": source.randint(1, 8), "file_name": f"COCO_train2014_{number:012d}.jpg",
        "coco_url": f"http://images.example/train2014/COCO_train2014_{number:012d}.jpg", "height": 480, "width": 640,
        "date_captured": f"2013-11-{source.randint(10, 30)} 16:28:13",
        "flickr_url": f"http://farm4.example/3153/{source.randint(10**9, 10**10)}_164f0c0b83_z.jpg",
        "id": number})


def annotation(source, shapes, number, image_id, category, is_crowd):
    segmentation, area, box = source.choice(shapes)
    return (f'{{"segmentation": {segmentation},"area": {area},"iscrowd": {int(is_crowd)},"image_id": {image_id},'
            f'"bbox": {json.dumps(box)},"category_id": {category},"id": {number}}}')


def write(out, options):
    source = random.Random(options.seed)
    ids = source.sample(range(1, 600_000), options.images)
    seen = ids[:]
    source.shuffle(seen)
    seen = seen[options.without:]
    categories = source.sample(CATEGORIES, options.categories)  # in no order
    objects = [polygons(source, options.points) for _ in range(4000)]
    crowds = [run_lengths(source, options.points) for _ in range(200)]
    is_crowd = [True] * options.crowds + [False] * (options.annotations - options.crowds)
    source.shuffle(is_crowd)
    images = seen + source.choices(seen, k=options.annotations - len(seen))
    source.shuffle(images)
    out.write('{"info": {"description": "made by coco_annotations.py"},"images": [')
    out.write(",".join(image(source, i) for i in ids))
    out.write('],"licenses": [],"annotations": [')
    for k in range(options.annotations):
        out.write("," if k else "")
        out.write(annotation(source, crowds if is_crowd[k] else objects, k + 1, images[k],
                             source.choice(categories)[0], is_crowd[k]))
    out.write('],"categories": ')
    json.dump([{"supercategory": "thing", "id": i, "name": name} for i, name in categories], out)
    out.write("}\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out")
    parser.add_argument("--images", type=int, default=82_783)
    parser.add_argument("--without", type=int, default=702, help="images without an annotation")
    parser.add_argument("--annotations", type=int, default=604_907)
    parser.add_argument("--crowds", type=int, default=7_000)
    parser.add_argument("--categories", type=int, default=len(CATEGORIES))
    parser.add_argument("--points", type=float, default=16.6, help="of a polygon, on average")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with open(options.out, "w") as out:
        write(out, options)


if __name__ == "__main__":
    main()
