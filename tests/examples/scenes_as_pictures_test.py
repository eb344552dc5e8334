"""The programs for pictures in files learn what the embedded default teaches.

    python3 tests/examples/scenes_as_pictures_test.py PROGRAMS EXAMPLES_DATA SCRATCH WRITE_SCENES

FashionScenes as PNG files and a CSV file go through reading, transform, frozen tower, cache and trainer;
train_scenes, which composes the same scenes in memory, says what must come out. Needs Fashion-MNIST;
nothing of Python's.
"""

import json
import os
import pathlib
import shutil
import sys

from programs import check, finish, run

PROGRAMS, DATA, SCRATCH, WRITE_SCENES = (os.path.abspath(path) for path in sys.argv[1:])
FASHION_MNIST = "/usr/share/datasets/fashion-mnist"
SCENES = 500
SIDE = 192  # of quickstart and train_scenes: each pixel of a scene twice
# The settings of train_scenes that differ from those for photos.
SETTINGS = ["--method", "region", "--batch-size", "64", "--epochs", "12", "--patience", "0", "--n-ctx", "4",
            "--class-specific", "true", "--logit-scale", "20", "--prompt-learning-rate", "0.005",
            "--matcher-learning-rate", "0.001", "--weight-decay", "0.001",
            "--known-label-proportion", "1", "--threads", "1"]
PICTURES = [f"{PROGRAMS}/train_csv", "--dataset", "csv", "--data", "scenes/train.csv", "--test-data",
            "scenes/test.csv", "--values", "cole-complete", "--clip", f"{DATA}/scenes_clip.safetensors", "--vocab",
            f"{DATA}/scenes_merges.txt", "--resolution", SIDE, "--workers", "1", "--cache", "cache",
            "--held-out", "0.2"]
COMPOSED = [f"{PROGRAMS}/train_scenes", "--limit-scenes", SCENES]


def mAP(out, *command):
    run(0, *command, "--out", out)
    return 100 * json.loads(pathlib.Path(out, "report.json").read_text())["mAP"]


shutil.rmtree(SCRATCH, ignore_errors=True)
os.makedirs(SCRATCH)
os.chdir(SCRATCH)
if not os.path.exists(f"{FASHION_MNIST}/train-images-idx3-ubyte.gz"):
    print("SKIPPED: no Fashion-MNIST")
    sys.exit(0)
run(0, WRITE_SCENES, FASHION_MNIST, "scenes", SCENES, SIDE // 96)

# Nothing is trained: the same pictures through the same tower give the same scores.
untrained = ["--method", "zero-shot", "--threads", "1"]
composed = mAP("composed-zero-shot", *COMPOSED, *untrained)
pictures = mAP("zero-shot", *PICTURES, *untrained)
check(abs(composed - pictures) < 0.05, f"zero-shot: {composed} composed, {pictures} from files")

# Trained, on four fifths of the scenes: the others are held out here. Crops cost some of the small garments.
trained = mAP("composed-trained", *COMPOSED, *SETTINGS)
for name, margin, *views in (("plain", 4, "--augmentation", "none"),
                             ("augmented", 8, "--augmentation", "weak", "--views", "2")):
    learned = mAP(name, *PICTURES, *SETTINGS, *views)
    check(learned > composed + 4 and learned > trained - margin,
          f"{name}: mAP {learned} from files, {trained} composed, {composed} without training")
finish()
