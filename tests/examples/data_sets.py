"""Small data sets in the true formats of every reader.

    python3 tests/examples/data_sets.py OUT

writes OUT/coco2014, OUT/coco2017, OUT/voc, OUT/vg200, OUT/vg256, OUT/nus-wide, OUT/cub,
OUT/coco-json, OUT/csv and OUT/folder. Each has 12 training and 6 test pictures (true
JPEG files of tests/data/pictures) with the labels of `positives`. `SETS` says how
programs are told to read them, and what is in them.
"""

import dataclasses
import itertools
import json
import pathlib
import shutil
import sys

PICTURES = pathlib.Path(__file__).resolve().parents[1] / "data" / "pictures"
JPEGS = ["rgb-444-baseline", "rgb-420-progressive", "grey-444-baseline", "optimised", "restart"]
TRAIN = range(12)
TEST = range(12, 18)


def positives(i):
    """Categories, of four, that are present in picture i; none in every sixth."""
    return set() if i % 6 == 5 else {i % 4, i % 3}


@dataclasses.dataclass
class DataSet:
    name: str  # in Split::name
    arguments: list  # of a program, to read it; paths are relative to OUT
    test: list = dataclasses.field(default_factory=list)  # arguments of the test part
    categories: int = 4
    skips_empty: bool = False  # whether pictures without a positive are no rows
    has_sizes: bool = False  # of objects, so that there are salient categories


def own(name, data, test, *more):
    return DataSet(name, ["--data", data, *more], ["--test-data", test])


SETS = {
    "coco2014": DataSet("COCO 2014", ["--data", "coco2014"], skips_empty=True, has_sizes=True),
    "coco2017": DataSet("COCO 2017", ["--data", "coco2017"], skips_empty=True, has_sizes=True),
    "voc2007": DataSet("VOC2007", ["--data", "voc"], categories=20, has_sizes=True),
    "voc2012": DataSet("VOC2012", ["--data", "voc/VOCdevkit"], categories=20, has_sizes=True),
    "vg200": DataSet("VG-200", ["--data", "vg200"], categories=200),
    "vg256": DataSet("VG-256", ["--data", "vg256"], skips_empty=True),
    "nus-wide": DataSet("NUS-WIDE", ["--data", "nus-wide"]),
    "nus-wide republished": DataSet(
        "NUS-WIDE", ["--data", "nus-wide", "--list", "republished"], categories=81),
    "nus-wide recrawled": DataSet(
        "NUS-WIDE",
        ["--data", "nus-wide", "--list", "recrawled", "--label-lists", "nus-wide/recrawl"]),
    "cub": DataSet("CUB", ["--data", "cub"]),
    "coco-json": own(".json", "coco-json/train.json", "coco-json/test.json"),
    "csv": own(".csv", "csv/train.csv", "csv/test.csv"),
    "csv columns": own(
        "columns", "csv/columns-train.csv", "csv/columns-test.csv", "--values", "cole-complete"),
    "folder": own("", "folder/train", "folder/test"),
}
NAMES = ["person", "dog", "cat", "chair"]


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())


def lines(path, items):
    write(path, "".join(f"{item}\n" for item in items))


def picture(path, i):
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(PICTURES / f"{JPEGS[i % len(JPEGS)]}.jpg", path)


def coco_json(path, rows, name_of, has_area=True):
    """Ids of categories have gaps, as COCO's have; a crowd and a second object, too."""
    ids = [1, 17, 18, 62]
    annotations = []
    for i in rows:
        for c in sorted(positives(i)):
            box = [1, 2, 10 + c, 8]
            area = {"area": box[2] * box[3]} if has_area else {}
            annotations.append({
                "id": 1000 + len(annotations), "image_id": 100 + i, "category_id": ids[c],
                "bbox": box, "iscrowd": 0, "segmentation": [[1, 2, 11, 2, 11, 10]], **area})
    if has_area:
        annotations.append(dict(annotations[0], id=9999, iscrowd=1,
                                segmentation={"counts": [3, 4], "size": [1, 7]}))
    write(path, json.dumps({
        "info": {"year": 2014},
        "images": [{"id": 100 + i, "file_name": name_of(i), "height": 21, "width": 37}
                   for i in rows],
        "annotations": annotations,
        "categories": [{"id": k, "name": n, "supercategory": "any"} for k, n in zip(ids, NAMES)]}))


def coco(out, year):
    for part, rows in (("train", TRAIN), ("val", TEST)):
        prefix = f"COCO_{part}2014_" if year == 2014 else ""
        name_of = lambda i, prefix=prefix: f"{prefix}{100 + i:012}.jpg"
        coco_json(out / f"annotations/instances_{part}{year}.json", rows, name_of)
        for i in rows:
            picture(out / f"{part}{year}" / name_of(i), i)


def voc_object(name, side, difficult):
    return (f"  <object><name>{name}</name><pose>Left</pose><truncated>0</truncated>"
            f"<difficult>{difficult}</difficult><bndbox><xmin>1</xmin><ymin>1</ymin>"
            f"<xmax>{side}</xmax><ymax>{side}</ymax></bndbox></object>\n")


def voc(out, year, parts):
    """Picture 0 has a difficult bird beside its categories."""
    root = out / "VOCdevkit" / f"VOC{year}"
    for part, rows in parts:
        ids = {i: f"{i:06}" if year == 2007 else f"2008_{i:06}" for i in rows}
        lines(root / "ImageSets/Main" / f"{part}.txt", ids.values())
        for i, name in ids.items():
            objects = [voc_object(NAMES[c], 5 + c, 0) for c in sorted(positives(i))]
            objects += [voc_object("bird", 20, 1)] if i == 0 else []
            write(root / "Annotations" / f"{name}.xml",
                  f"<annotation>\n  <folder>VOC{year}</folder><filename>{name}.jpg</filename>\n"
                  "  <size><width>37</width><height>21</height><depth>3</depth></size>\n"
                  + "".join(objects) + "</annotation>\n")
            picture(root / "JPEGImages" / f"{name}.jpg", i)


def vg_picture(out, i):
    picture(out / ("VG_100K" if i % 2 else "VG_100K_2") / f"{i + 1}.jpg", i)


def vg200(out):
    for i in itertools.chain(TRAIN, TEST):
        vg_picture(out, i)
    lines(out / "train_list_500.txt", [f"{i + 1}.jpg" for i in TRAIN])
    lines(out / "test_list_500.txt", [f"{i + 1}.jpg" for i in TEST])
    write(out / "vg_category_200_labels_index.json", json.dumps(
        {f"{i + 1}.jpg": sorted(positives(i)) for i in itertools.chain(TRAIN, TEST)}))
    lines(out / "vg_category_200.txt", NAMES + [f"thing {c}" for c in range(4, 200)])


def vg256(out):
    """The reader splits it: 11 of the 15 pictures with a category, and 4."""
    for i in itertools.chain(TRAIN, TEST):
        vg_picture(out, i)
    write(out / "vg256.json", json.dumps({n: [n, f"young {n}"] for n in NAMES}))
    write(out / "objects.json", json.dumps([
        {"image_id": i + 1, "image_url": "",
         "objects": [{"object_id": 9 * i + c, "names": [NAMES[c]], "x": 1, "y": 1, "w": 5,
                      "h": 5, "synsets": []} for c in sorted(positives(i))]}
        for i in itertools.chain(TRAIN, TEST)]))


def nus_wide(out):
    concepts = ["person", "dog", "cat", "sky"]
    path = lambda i: f"actor/{i:04}_21.jpg"
    lines(out / "Concepts81.txt", concepts)
    csv = ["filepath,label,split_name"]
    for folder, separator in ((out, "\\"), (out / "recrawl", "/")):
        for part, rows in (("Train", TRAIN), ("Test", TEST)):
            lines(folder / "ImageList" / f"{part}Imagelist.txt",
                  [path(i).replace("/", separator) for i in rows])
            for c, concept in enumerate(concepts):
                lines(folder / "TrainTestLabels" / f"Labels_{concept}_{part}.txt",
                      [int(c in positives(i)) for i in rows])
    for i in itertools.chain(TRAIN, TEST):
        picture(out / "Flickr" / path(i), i)
        picture(out / "images" / f"0_{i}_m.jpg", i)
        labels = ", ".join(f"'{concepts[c]}'" for c in sorted(positives(i)))
        csv.append(f'images/0_{i}_m.jpg,"[{labels}]",{"train" if i in TRAIN else "val"}')
    lines(out / "nus_wid_data.csv", csv)


def cub(out):
    root = out / "CUB_200_2011"
    attributes = ["has_bill_shape::dagger", "has_wing_color::blue", "has_size::small_(5_-_9_in)",
                  "has_tail_pattern::solid"]
    names = {i + 1: f"001.Black_footed_Albatross/Black_{i:04}.jpg"
             for i in itertools.chain(TRAIN, TEST)}
    lines(out / "attributes.txt", [f"{c + 1} {name}" for c, name in enumerate(attributes)])
    lines(root / "images.txt", [f"{k} {name}" for k, name in names.items()])
    lines(root / "train_test_split.txt", [f"{k} {int(k - 1 in TRAIN)}" for k in names])
    lines(root / "attributes/image_attribute_labels.txt",
          [f"{k} {c + 1} {int(c in positives(k - 1))} {1 + c} 4.5" for k in names
           for c in range(len(attributes))])
    for k, name in names.items():
        picture(root / "images" / name, k - 1)


def own_data(out):
    for part, rows in (("train", TRAIN), ("test", TEST)):
        coco_json(out / "coco-json" / f"{part}.json", rows, lambda i: f"street/{i}.jpg", False)
        labels = {i: [NAMES[c] for c in sorted(positives(i))] for i in rows}
        lines(out / "csv" / f"{part}.csv",
              ["image,labels"] + [f"street/{i}.jpg,{';'.join(labels[i])}" for i in rows])
        lines(out / "csv" / f"columns-{part}.csv",
              ["image," + ",".join(NAMES)]
              + [f"street/{i}.jpg," + ",".join(str(int(c in positives(i))) for c in range(4))
                 for i in rows])
        for i in rows:
            lines(out / "folder" / part / f"street/{i}.txt", labels[i])
            for folder in ("coco-json", "csv", f"folder/{part}"):
                picture(out / folder / f"street/{i}.jpg", i)


def write_all(out):
    out = pathlib.Path(out)
    coco(out / "coco2014", 2014)
    coco(out / "coco2017", 2017)
    voc(out / "voc", 2007, (("trainval", TRAIN), ("test", TEST)))
    voc(out / "voc", 2012, (("train", TRAIN), ("val", TEST)))
    vg200(out / "vg200")
    vg256(out / "vg256")
    nus_wide(out / "nus-wide")
    cub(out / "cub")
    own_data(out)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write_all(sys.argv[1])
