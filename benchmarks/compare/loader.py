"""The loader side by side with one in Python: Pillow, NumPy and PyTorch, the same transforms.

    python3 benchmarks/compare/loader.py --program build/release/benchmarks/benchmark_loader

Needs Pillow, NumPy and torch. Makes JPEG files of 640 x 480 pixels (quality 90; noise with the
spectrum of photographs, so that they are as long as photographs are), or takes --images FOLDER.
Both sides run on one thread, in turn. Prints milliseconds of the core's time a picture, the median
of the runs and their spread, and the ratio of pictures a second; then a line of JSON for each kind
of transform with the numbers of a picture, "loader" being the training one without RandAugment.
"""

import argparse
import json
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import PIL
import torch
from PIL import Image, features

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "tests/reference"))
import transforms as reference  # noqa: E402

MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)[:, None, None]
STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)[:, None, None]
BATCH = 16


def photograph(rng, width=640, height=480):
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = 1
    planes = []
    for _ in range(3):
        spectrum = (rng.normal(size=frequency.shape) + 1j * rng.normal(size=frequency.shape)) / frequency**1.1
        plane = np.fft.irfft2(spectrum, (height, width))
        planes.append((plane - plane.mean()) / plane.std())
    light, red, blue = planes
    rgb = np.stack([light + 0.3 * red, light, light + 0.3 * blue], -1)
    return Image.fromarray((128 + 45 * rgb).clip(0, 255).astype(np.uint8))


def uniform(low=0.0, high=1.0):
    return random.uniform(low, high)


def squash(image, side):
    return image.resize((side, side), Image.Resampling.BICUBIC)


def train(image, side, operations=0):
    if random.random() < 0.5:
        left, top, w, h = reference.crop_box(*image.size, uniform, random.randrange)
        image = squash(image.crop((left, top, left + w, top + h)), side)
    else:
        image = squash(image, side)
        y, x, half = random.randrange(side), random.randrange(side), side // 4
        box = max(x - half, 0), max(y - half, 0), min(x + half, side), min(y + half, side)
        image.paste((123, 117, 104), box)
    for _ in range(operations):
        name = random.choice(reference.OPERATIONS)
        image = reference.operate(image, name, 9, random.random() < 0.5)
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else image


KINDS = {
    "test": squash,
    "train": train,
    "train-randaugment": lambda image, side: train(image, side, 2),
}


def epoch(paths, side, transform):
    """Milliseconds a picture."""
    start = time.process_time()
    for first in range(0, len(paths), BATCH):
        pictures = []
        for path in paths[first:first + BATCH]:
            image = transform(Image.open(path).convert("RGB"), side)
            x = np.asarray(image).transpose(2, 0, 1).astype(np.float32)
            x /= 255
            x -= MEAN
            x /= STD
            pictures.append(torch.from_numpy(x))
        torch.stack(pictures)
    return (time.process_time() - start) * 1e3 / len(paths)


def spread(times):
    return f"{statistics.median(times):6.2f} ({min(times):5.2f} to {max(times):5.2f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--images", type=pathlib.Path, help="a folder of JPEG files (not set: made here)")
    parser.add_argument("--count", type=int, default=64, help="pictures to make")
    parser.add_argument("--side", type=int, default=448)
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    random.seed(0)
    print(f"Pillow {PIL.__version__}, libjpeg-turbo {features.version('libjpeg_turbo')}, NumPy {np.__version__}, "
          f"torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        if arguments.images is None:
            rng = np.random.default_rng(1)
            for i in range(arguments.count):
                photograph(rng).save(f"{folder}/{i:04}.jpg", quality=90)
        images = arguments.images or pathlib.Path(folder)
        paths = sorted(p for p in images.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg"))
        print(f"{len(paths)} pictures of {sum(p.stat().st_size for p in paths) // len(paths) // 1000} kB, "
              f"{arguments.side} x {arguments.side}, {arguments.runs} runs in turn, one thread, ms of the core a picture")
        theirs, ours, steps = {}, {}, {}
        for run in range(-1, arguments.runs):
            done = subprocess.run([arguments.program, str(images), str(arguments.side), "1"],
                                  capture_output=True, text=True, check=True)
            now = {kind: epoch(paths, arguments.side, transform) for kind, transform in KINDS.items()}
            if run < 0:  # the first fills the cache of files
                continue
            for kind, milliseconds in now.items():
                theirs.setdefault(kind, []).append(milliseconds)
            for line in done.stdout.splitlines():
                what, kind, milliseconds = line.split()
                (ours if what == "run" else steps).setdefault(kind, []).append(float(milliseconds))
    for kind, times in theirs.items():
        print(f"{kind:<18} Python, floats        {spread(times)}")
        for form in ("floats", "bytes-to-floats", "bytes"):
            mine = ours[f"{kind}-{form}"]
            ratio = statistics.median(b / a for a, b in zip(mine, times))
            print(f"{kind:<18} trmml, {form:<15}{spread(mine)}  {ratio:.2f} times as many pictures a second")
    for kind, times in theirs.items():
        mine = [milliseconds / 1e3 for milliseconds in ours[f"{kind}-floats"]]
        peers = [milliseconds / 1e3 for milliseconds in times]
        print(json.dumps({
            "name": "loader" if kind == "train" else f"loader_{kind.replace('-', '_')}",
            "ours_seconds": statistics.median(mine),
            "peer_seconds": statistics.median(peers),
            "ratio": statistics.median(b / a for a, b in zip(mine, peers)),
            "spread": (max(mine) - min(mine)) / statistics.median(mine),
            "peer": f"Pillow {PIL.__version__}, NumPy and torch {torch.__version__}"}))
    print("of trmml's:", ", ".join(f"{step} {statistics.median(times):.2f}" for step, times in steps.items()))


if __name__ == "__main__":
    main()
