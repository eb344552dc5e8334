"""Training on pictures of which some cannot be read.

    python3 tests/examples/skip_unreadable_test.py TRAIN_CSV DATA SCRATCH

DATA is examples/data, where the small CLIP is.
"""

import json
import os
import pathlib
import re
import shutil
import sys

import data_sets
from programs import check, finish, refused, run

TRAIN_CSV, DATA, SCRATCH = (os.path.abspath(path) for path in sys.argv[1:])

shutil.rmtree(SCRATCH, ignore_errors=True)
os.makedirs(SCRATCH)
os.chdir(SCRATCH)
data_sets.write_all(".")
damaged = pathlib.Path("csv/street/3.jpg")
damaged.write_bytes(damaged.read_bytes()[:200])
os.remove("csv/street/14.jpg")

train = [TRAIN_CSV, "--dataset", "csv", "--data", "csv/train.csv", "--test-data", "csv/test.csv",
         "--clip", f"{DATA}/scenes_clip.safetensors", "--vocab", f"{DATA}/scenes_merges.txt",
         "--resolution", 96, "--augmentation", "none", "--threads", 1, "--method", "text-pixel",
         "--epochs", 1, "--known-label-proportion", 0.5, "--held-out", 0.4]

# Whether features are cached or not, the path is told and nothing takes the picture's place.
refused(3, "csv/street/3.jpg: JPEG: ", *train, "--out", "all")
refused(3, "csv/street/(3.jpg: JPEG|14.jpg: )", *train, "--out", "fly", "--features", "on-the-fly")

skip = [*train, "--skip-unreadable", "--workers", 3]
printed, _ = run(0, *skip, "--out", "skip")
for words in ("left out: csv/street/3.jpg: JPEG: ", "left out: csv/street/14.jpg: ",
              "test.csv: 5 of 6 pictures can be read"):
    check(words in printed, f"expected '{words}', got: {printed}")
check(re.search("features of test pictures: 5 pictures", printed), printed)
report = json.loads(pathlib.Path("skip/report.json").read_text())
check("test.csv, 1 of 6 pictures unreadable and left out" in json.dumps(report),
      f"the report says so: {report}")
check(report["unreadable_pictures"] == {"training": 1, "held-out": 0, "test": 1}
      or report["unreadable_pictures"] == {"training": 0, "held-out": 1, "test": 1},
      f"pictures left out, by part: {report['unreadable_pictures']}")

for row in range(12, 18):
    pathlib.Path(f"csv/street/{row}.jpg").write_bytes(b"GIF89a")
refused(3, "test.csv: none of its pictures can be read", *skip, "--out", "none")
finish()
