"""inspect_data and make_masks on data sets by name.

    python3 tests/examples/inspect_data_test.py INSPECT_DATA MAKE_MASKS SCRATCH

Every set of data_sets.py is counted here, too; then files are damaged in the ways that
files are. Needs nothing but Python.
"""

import base64
import itertools
import json
import os
import pathlib
import re
import shutil
import sys

import data_sets
from data_sets import SETS, TEST, TRAIN, positives
from programs import check, finish, refused, run

INSPECT, MASKS, SCRATCH = (os.path.abspath(path) for path in sys.argv[1:])


def dataset(key, *more):
    return ["--dataset", key.split()[0], *SETS[key].arguments, *more]


def rows_of(data, rows):
    sets = [positives(i) for i in rows]
    return [s for s in sets if s] if data.skips_empty else sets


def pairs_of(sets):
    counts = {}
    for present in sets:
        for pair in itertools.combinations(sorted(present), 2):
            counts[pair] = counts.get(pair, 0) + 1
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


# ---------------------------------------------------------------- what is right

def check_part(key, part, sets):
    data = SETS[key]
    n, c = len(sets), data.categories
    present = sum(map(len, sets))
    sizes = [len(s) for s in sets]
    expected = {
        "pictures": n, "present": present, "absent": n * c - present, "unknown": 0, "ignored": 0,
        "salient": sum(map(bool, sets)) if data.has_sizes else 0,
        "positives_a_picture": {"mean": present / n, "min": min(sizes), "max": max(sizes)},
        "pictures_without_positive": sizes.count(0), "decoded": n, "unreadable": []}
    for name, value in expected.items():
        check(part[name] == value, f"{key}: {name}: expected {value}, got {part[name]}")
    check(data.name in part["name"], f"{key}: expected a name with {data.name}: {part['name']}")
    counts = sorted(sum(k in s for s in sets) for k in range(4))
    got = sorted(category["present"] for category in part["categories"])
    check(len(got) == c and got[-4:] == counts, f"{key}: categories: {got}, expected {counts}")
    if c == 4 and key not in ("csv", "folder"):  # those sort their categories
        names = [category["name"] for category in part["categories"]]
        order = {name: k for k, name in enumerate(names)}
        expected = [(p, n, n / sum(p[0] in s for s in sets), n / sum(p[1] in s for s in sets))
                    for p, n in pairs_of(sets)]
        got = [((order[p["first"]], order[p["second"]]), p["pictures"], p["second_given_first"],
                p["first_given_second"]) for p in part["pairs"]]
        check(got == expected, f"{key}: pairs: {got}, expected {expected}")


def check_counts():
    for key, data in SETS.items():
        if key == "vg256":
            continue
        out = f"out/{key}"
        printed, _ = run(0, INSPECT, *dataset(key, *data.test), "--part", "both", "--decode", "all",
                         "--check-pictures" if key != "folder" else "--pairs=20", "--out", out)
        report = json.loads(pathlib.Path(out, "inspect.json").read_text())
        check(report["faults"] == [], f"{key}: {report['faults']}")
        train, test = report["parts"]
        check_part(key, train, rows_of(data, TRAIN))
        check_part(key, test, rows_of(data, TEST))
        for part in report["parts"]:
            check(f"{part['name']}\n" in printed and part["label_digest"] in printed,
                  f"{key}: expected name and digest, got: {printed}")
        check_page(key, pathlib.Path(out, "inspect.html").read_text())


def check_page(key, page):
    """Opens offline, and holds pictures of every category that has some."""
    pictures = re.findall(r'<img src="([^"]*)"', page)
    prefix = "data:image/jpeg;base64,"
    check(len(pictures) >= 4 * 4 and all(p.startswith(prefix) for p in pictures),
          f"{key}: {len(pictures)} pictures on the page")
    check(all(base64.b64decode(p[len(prefix):], validate=True)[:3] == b"\xff\xd8\xff"
              for p in pictures), f"{key}: pictures that are no JPEG")
    check(not re.search(r"https?://|<script|url\(|@import", page)
          and re.findall('href="([^"]*)"', page) == ["data:,"], f"{key}: the page needs files")


def report_of(*arguments):
    run(0, INSPECT, *arguments, "--out", "out/one", "--thumbnails", "0")
    return json.loads(pathlib.Path("out/one/inspect.json").read_text())["parts"]


def check_options():
    parts = report_of(*dataset("vg256"), "--part", "both")
    sizes = [part["pictures"] for part in parts]
    total = sum(part["present"] for part in parts)
    check(sizes == [11, 4], f"vg256: expected 11 and 4 pictures, got {sizes}")
    check(total == sum(len(positives(i)) for i in range(18)), f"vg256: {total} present")
    (part,) = report_of(*dataset("coco2014", "--images", "all"))
    check(part["pictures"] == 12 and part["pictures_without_positive"] == 2, f"all: {part}")
    (skipped,) = report_of(*dataset("voc2007"))
    (present,) = report_of(*dataset("voc2007", "--difficult", "present"))
    (ignored,) = report_of(*dataset("voc2007", "--difficult", "ignored"))
    check(present["present"] == skipped["present"] + 1 == ignored["present"], "difficult present")
    check((skipped["ignored"], ignored["ignored"]) == (0, 1), "difficult ignored")
    check(len({p["name"] for p in (skipped, present, ignored)}) == 3, "difficult in the name")
    (part,) = report_of(*dataset("cub", "--min-certainty", "3"))
    check(part["unknown"] == 24, f"cub: expected 24 unknown labels, got {part['unknown']}")
    (part,) = report_of(*dataset("csv", "--pairs", "1"))
    check(len(part["pairs"]) == 1, "one pair")
    (part,) = report_of(*dataset("csv", "--decode", "5"))
    check(part["decoded"] == 5, "5 decoded")
    for key, words in (("nus-wide", "official list"), ("nus-wide republished", "re-published list"),
                       ("nus-wide recrawled", "list of the re-crawl")):
        (part,) = report_of(*dataset(key))
        check(words in part["name"], f"{key}: {part['name']}")


# ---------------------------------------------------------------- what is wrong

def change(path, old, new):
    file = pathlib.Path(path)
    text = file.read_bytes()
    check(old in text, f"{path}: no {old}")
    file.write_bytes(text.replace(old, new, 1))


def folder_of(key):
    return SETS[key].arguments[1].split("/")[0]


def copy_of(key):
    """The data set's folder, anew."""
    folder = folder_of(key)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(f"clean/{folder}", folder)


MAIN = {  # the file that lists the pictures; one set a reader
    "coco2014": "coco2014/annotations/instances_train2014.json",
    "voc2007": "voc/VOCdevkit/VOC2007/ImageSets/Main/trainval.txt",
    "vg200": "vg200/train_list_500.txt",
    "vg256": "vg256/objects.json",
    "nus-wide": "nus-wide/ImageList/TrainImagelist.txt",
    "nus-wide republished": "nus-wide/nus_wid_data.csv",
    "cub": "cub/CUB_200_2011/images.txt",
    "coco-json": "coco-json/train.json",
    "csv": "csv/train.csv",
    "csv columns": "csv/columns-train.csv",
}
PICTURES = {  # how it writes picture i
    "coco2014": lambda i: f"COCO_train2014_{100 + i:012}.jpg",
    "voc2007": lambda i: f"{i:06}",
    "vg200": lambda i: f"{i + 1}.jpg",
    "nus-wide": lambda i: rf"actor\{i:04}_21.jpg",
    "nus-wide republished": lambda i: f"images/0_{i}_m.jpg",
    "cub": lambda i: f"001.Black_footed_Albatross/Black_{i:04}.jpg",
    "coco-json": lambda i: f"street/{i}.jpg",
    "csv": lambda i: f"street/{i}.jpg",
    "csv columns": lambda i: f"street/{i}.jpg",
}


def check_faults():
    for key, main in MAIN.items():
        copy_of(key)
        name = re.escape(os.path.basename(main))
        original = pathlib.Path(main).read_bytes()
        pathlib.Path(main).write_bytes(b"")
        refused(3, name, INSPECT, *dataset(key))
        pathlib.Path(main).write_bytes(original.decode().encode("utf-16"))
        refused(3, "UTF-16", INSPECT, *dataset(key))
        os.remove(main)
        refused(3, f"{name}|which is not there", INSPECT, *dataset(key))
        if key in PICTURES:  # a picture twice, one beside the folder, one anywhere: all are told
            pathlib.Path(main).write_bytes(original)
            first, second, third, fourth = (PICTURES[key](i).encode() for i in (0, 1, 2, 3))
            for old, new in ((second, first), (third, b"../" + third), (fourth, b"/etc/passwd")):
                change(main, old, new)
            _, errors = run(3, INSPECT, *dataset(key))
            told = [line for line in errors.splitlines() if os.path.basename(main) in line]
            check(len(told) >= 3 and "../" in errors and "/etc/passwd" in errors,
                  f"{key}: expected three faults, got: {errors}")
        copy_of(key)


def check_texts_of_windows():
    """Byte order marks and CR LF change nothing."""
    for key in SETS:
        if key == "vg256":
            continue
        copy_of(key)
        for file in pathlib.Path(folder_of(key)).rglob("*"):
            if file.suffix in (".txt", ".json", ".csv", ".xml"):
                file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
        (got,) = report_of(*dataset(key), "--decode", "all")
        before = json.loads(pathlib.Path("out", key, "inspect.json").read_text())["parts"][0]
        check(got == before, f"{key}: files of Windows read otherwise")
        copy_of(key)


def check_pictures():
    shutil.copytree("clean/csv", "many")
    rows = ["image,labels"] + [f"{i}.jpg,cat" for i in range(25)]
    data_sets.lines(pathlib.Path("many/train.csv"), rows)
    many = ["--dataset", "csv", "--data", "many/train.csv"]
    _, errors = run(3, INSPECT, *many, "--check-pictures")
    check(errors.count("\n  ") == 21 and "25 faults" in errors and "and 5 more" in errors,
          f"25 missing pictures: {errors}")
    printed, errors = run(3, INSPECT, *many, "--decode", "all")
    check("25 of 25 pictures cannot be read" in errors and errors.count("\n  ") == 21
          and "and 5 more" in errors, f"25 missing pictures: {errors}")
    check("pictures: 25" in printed, f"counted in spite of that: {printed}")

    copy_of("csv")
    whole = pathlib.Path("csv/street/3.jpg").read_bytes()
    pathlib.Path("csv/street/3.jpg").write_bytes(whole[:len(whole) // 2])
    os.remove("csv/street/7.jpg")
    for workers in (1, 4):
        _, errors = run(3, INSPECT, *dataset("csv"), "--decode", "all", "--workers", workers,
                        "--out", "out/bad")
        where = [line.split(":")[0].strip() for line in errors.splitlines()
                 if line.startswith("  ")]
        check("2 of 12 pictures cannot be read" in errors
              and where == ["csv/street/3.jpg", "csv/street/7.jpg"], f"two bad: {errors}")
    report = json.loads(pathlib.Path("out/bad/inspect.json").read_text())
    check(len(report["parts"][0]["unreadable"]) == 2 and len(report["faults"]) == 1,
          f"two bad in the report: {report['faults']}")
    check("cannot be read" in pathlib.Path("out/bad/inspect.html").read_text(), "bad on the page")
    copy_of("csv")

    # Both parts are read, whatever the first one is like.
    copy_of("voc2007")
    for part in ("trainval", "test"):
        change(f"voc/VOCdevkit/VOC2007/ImageSets/Main/{part}.txt", b"0000", b"x000")
    _, errors = run(3, INSPECT, *dataset("voc2007"), "--part", "both")
    check("trainval" in errors and "VOC2007 test" in errors, f"faults of both parts: {errors}")
    copy_of("voc2007")


def check_usage():
    refused(2, "--dataset", INSPECT)
    refused(2, "--data", INSPECT, "--dataset", "cub")
    refused(2, "imagenet", INSPECT, "--dataset", "imagenet", "--data", "cub")
    refused(3, '--data: expected the folder of cub, got "none", which is not there', INSPECT,
            "--dataset", "cub", "--data", "none")
    refused(3, "which is no folder", INSPECT, "--dataset", "cub", "--data", "csv/train.csv")
    refused(3, "which is no file", INSPECT, "--dataset", "csv", "--data", "csv")
    refused(2, "--test-data", INSPECT, *dataset("csv"), "--part", "both")
    refused(3, "--test-data: expected the file", INSPECT, *dataset("csv"), "--part", "test",
            "--test-data", "none.csv")
    refused(2, "--values|CsvValues|values", INSPECT, "--dataset", "csv", "--data",
            "csv/columns-train.csv")
    refused(2, "--thumbnails: expected --out ", INSPECT, *dataset("csv"), "--thumbnails", "9")
    refused(2, "--workers: expected --decode, or --out with --thumbnails ", INSPECT,
            *dataset("csv"), "--workers", "3")
    refused(2, "--test-data: expected --part test or both ", INSPECT,
            *dataset("csv", *SETS["csv"].test))
    data_sets.lines(pathlib.Path("other.csv"), ["image,labels", "1.jpg,zebra"])
    refused(3, r"others \(one list for both parts: --category-names \(csv\), ", INSPECT,
            *dataset("csv", "--test-data", "other.csv"), "--part", "both")
    for value in ("-1", "1.5", "some"):
        refused(2, "--decode", INSPECT, *dataset("csv"), "--decode", value)
    foreign = [("coco2014", "--difficult", "present"), ("voc2007", "--images", "all"),
               ("vg256", "--label-lists", "x"), ("cub", "--list", "recrawled"),
               ("folder", "--check-pictures"), ("csv", "--synonyms"),
               ("coco-json", "--values", "cole-complete"), ("nus-wide", "--test-data", "x"),
               ("vg200", "--min-certainty", "2"), ("voc2012", "--separator", "|")]
    for key, *option in foreign:
        refused(2, f"{option[0]}: {key.split()[0]} does not have it", INSPECT,
                *dataset(key, *option))


# ---------------------------------------------------------------- make_masks

def check_salient(key, sets):
    """The side of a box grows with the category in data_sets.py: the last one is the largest."""
    printed, _ = run(0, MASKS, *dataset(key), "--protocol", "salient-positive", "--out", "s.csv")
    check(f"present {sum(map(bool, sets))}, absent 0" in printed, f"{key}: {printed}")
    header, *rows = pathlib.Path("s.csv").read_text().splitlines()
    names = header.split(",")[1:]
    for row, present in zip(rows, sets):
        known = [name for name, state in zip(names, row.split(",")[1:]) if state != "0"]
        expected = [data_sets.NAMES[max(present)]] if present else []
        check(known == expected, f"{key}: salient: expected {expected}, got {row}")


def check_masks():
    for key, data in SETS.items():
        if key == "vg256":
            continue
        everything = len(rows_of(data, TRAIN)) * data.categories
        printed, _ = run(0, MASKS, *dataset(key), "--protocol", "all-labels", "--out", "all.csv")
        check(f"known {everything} of {everything}" in printed, f"{key}: {printed}")
    for key in ("coco2014", "voc2007"):
        check_salient(key, rows_of(SETS[key], TRAIN))
    refused(2, "no sizes of objects", MASKS, *dataset("cub"), "--protocol", "salient-positive",
            "--out", "s.csv")

    # The same labels from a file: the same mask.
    hide = ["--protocol", "known-label-proportion", "--out"]
    run(0, MASKS, *dataset("voc2007"), "--protocol", "all-labels", "--out", "all.csv")
    run(0, MASKS, *dataset("voc2007"), *hide, "a.csv")
    run(0, MASKS, "--labels", "all.csv", *hide, "b.csv")
    check(pathlib.Path("a.csv").read_bytes() == pathlib.Path("b.csv").read_bytes(),
          "another mask than of the same labels in a file")

    # Rows of a published kind: other order, names without folder and ending.
    data = rows_of(SETS["voc2007"], TRAIN)
    states = [f"{i:06} " + " ".join("0" for _ in range(20)) for i in reversed(TRAIN)]
    data_sets.lines(pathlib.Path("rows.txt"), states)
    printed, _ = run(0, MASKS, *dataset("voc2007"), "--import", "rows.txt", "--code", "hcp", "--out",
                     "m.csv")
    check(f"known 0 of {len(data) * 20}" in printed, f"rows by name: {printed}")
    data_sets.lines(pathlib.Path("rows.txt"), states[1:])
    refused(3, "rows.txt", MASKS, *dataset("voc2007"), "--import", "rows.txt", "--code", "hcp",
            "--out", "m.csv")
    refused(2, "either --labels or --dataset", MASKS, "--protocol", "all-labels", "--out", "m.csv")
    refused(2, "either --labels or --dataset", MASKS, *dataset("cub"), "--labels", "all.csv",
            "--protocol", "all-labels", "--out", "m.csv")
    refused(2, "--data: belongs to --dataset", MASKS, "--labels", "all.csv", "--data", "cub",
            "--protocol", "all-labels", "--out", "m.csv")
    refused(2, "--test-data: expected --data alone", MASKS, *dataset("csv", *SETS["csv"].test),
            "--protocol", "all-labels", "--out", "m.csv")
    refused(2, "--labels", MASKS, *dataset("cub"), "--names", "x", "--protocol", "all-labels",
            "--out", "m.csv")
    refused(2, "--data: expected", MASKS, "--dataset", "cub", "--protocol", "all-labels", "--out",
            "m.csv")


shutil.rmtree(SCRATCH, ignore_errors=True)
os.makedirs(SCRATCH)
os.chdir(SCRATCH)
data_sets.write_all("clean")
shutil.copytree("clean", ".", dirs_exist_ok=True)
for part_of_test in (check_counts, check_options, check_faults, check_texts_of_windows,
                     check_pictures, check_usage, check_masks):
    part_of_test()
finish()
