"""The start of `predict`: one picture with a ViT-B/16, beside reading the weights from the cache.

    python3 benchmarks/compare/startup.py --program build/release/benchmarks/benchmark_startup

Needs NumPy and Pillow. Makes weights in OpenCLIP's form (random numbers, 599 MB in fp32, or half of
that with --half), a vocabulary and pictures in --folder (not set: a temporary one), and a run of one
step with train_csv. Then each of these in turn:

    read      all bytes of the weights, read() into fresh memory
    empty     a program that is linked with LibTorch and ends: what no program here can do without
    load      load_clip in a program of its own: empty, and weights in memory
    map       the same with weights that stay in the file
    predict   one JPEG file of 640 x 480 pixels at 224

Prints seconds of the cores' time (system's included) and on the wall, medians and spread, and one line
of JSON. Its ratio is predict's time by read's: with one thread the core's, so that other programs on
the machine do not count; with more (--threads) that on the wall.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

import numpy as np
from PIL import Image

WIDTH, LAYERS, TEXT_WIDTH, TEXT_LAYERS, VOCABULARY, CONTEXT, EMBED = 768, 12, 512, 12, 49408, 77, 512
NAMES = ["cat", "dog", "horse", "sheep"]


def blocks(prefix, width, layers):
    for i in range(layers):
        at = f"{prefix}transformer.resblocks.{i}."
        yield at + "attn.in_proj_weight", (3 * width, width)
        yield at + "attn.in_proj_bias", (3 * width,)
        yield from linear(at + "attn.out_proj", width, width)
        yield from norm(at + "ln_1", width)
        yield from norm(at + "ln_2", width)
        yield from linear(at + "mlp.c_fc", width, 4 * width)
        yield from linear(at + "mlp.c_proj", 4 * width, width)


def linear(name, inner, outer):
    yield name + ".weight", (outer, inner)
    yield name + ".bias", (outer,)


def norm(name, width):
    yield name + ".weight", (width,)
    yield name + ".bias", (width,)


def shapes():
    yield "visual.class_embedding", (WIDTH,)
    yield "visual.positional_embedding", (197, WIDTH)
    yield "visual.proj", (WIDTH, EMBED)
    yield "visual.conv1.weight", (WIDTH, 3, 16, 16)
    yield from norm("visual.ln_pre", WIDTH)
    yield from norm("visual.ln_post", WIDTH)
    yield from blocks("visual.", WIDTH, LAYERS)
    yield "positional_embedding", (CONTEXT, TEXT_WIDTH)
    yield "text_projection", (TEXT_WIDTH, EMBED)
    yield "token_embedding.weight", (VOCABULARY, TEXT_WIDTH)
    yield from norm("ln_final", TEXT_WIDTH)
    yield from blocks("", TEXT_WIDTH, TEXT_LAYERS)
    yield "logit_scale", ()


def write_weights(path, dtype):
    rng = np.random.default_rng(0)
    header, at = {}, 0
    size = np.dtype(dtype).itemsize
    for name, shape in shapes():
        end = at + size * int(np.prod(shape))
        header[name] = {"dtype": "F16" if size == 2 else "F32", "shape": shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, shape in shapes():
            values = rng.standard_normal(shape, np.float32) * np.float32(0.02)
            if name.startswith("visual.ln") or ".ln_" in name or name.startswith("ln_"):
                values = values + np.float32(name.endswith("weight"))
            file.write(np.asarray(values, dtype).tobytes())


def write_vocabulary(path):
    """As many tokens as CLIP's, of pairs of bytes: which ones does not matter here."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    symbols = [chr(byte) for byte in printable] + [chr(256 + i) for i in range(256 - len(printable))]
    pairs = [f"{a} {b}" for a in symbols for b in symbols][:VOCABULARY - 2 * 256 - 2]
    path.write_text("#version: 0.2\n" + "\n".join(pairs) + "\n", encoding="utf-8")


def write_pictures(folder, count=16):
    rng = np.random.default_rng(1)
    lines = ["image,labels"]
    for i in range(count):
        small = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8))
        small.resize((640, 480), Image.Resampling.BICUBIC).save(folder / f"{i:02}.jpg", quality=90)
        lines.append(f"{i:02}.jpg,{NAMES[i % len(NAMES)]}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    (folder / "names.txt").write_text("\n".join(NAMES) + "\n")


def prepare(folder, programs, dtype, environment):
    """Weights, and a run that a training program has made of them."""
    clip = folder / "clip"
    clip.mkdir()
    write_weights(clip / "open_clip_model.safetensors", dtype)
    config = {"quick_gelu": True, "embed_dim": EMBED,
              "vision_cfg": {"width": WIDTH, "layers": LAYERS, "head_width": 64, "patch_size": 16},
              "text_cfg": {"width": TEXT_WIDTH, "layers": TEXT_LAYERS, "heads": 8}}
    (clip / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    write_vocabulary(folder / "merges.txt")
    pictures = folder / "pictures"
    pictures.mkdir()
    write_pictures(pictures)
    labels = pictures / "labels.csv"
    subprocess.run(
        [programs / "train_csv", "--dataset", "csv", "--data", labels, "--test-data", labels, "--pictures", pictures,
         "--category-names", pictures / "names.txt", "--clip", clip, "--vocab", folder / "merges.txt",
         "--resolution", "224", "--features", "on-the-fly", "--epochs", "1", "--batch-size", "8", "--limit-batches",
         "1", "--held-out", "0.5", "--known-label-proportion", "0.9", "--out", folder / "run"],
        check=True, env=environment, stdout=subprocess.DEVNULL)


def read(path):
    wall, core = time.perf_counter(), time.process_time()
    with open(path, "rb", buffering=0) as file:
        memory = np.empty(os.fstat(file.fileno()).st_size, np.uint8)
        view, at = memoryview(memory), 0
        while at < len(view):
            at += file.readinto(view[at:])
    return time.process_time() - core, time.perf_counter() - wall


def run(command, environment):
    start = time.perf_counter()
    child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"startup: {' '.join(map(str, command))} ended with {child.returncode}")
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", type=pathlib.Path, required=True)
    parser.add_argument("--examples", type=pathlib.Path, help="folder of predict (not set: beside the benchmarks)")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--half", action="store_true", help="weights in fp16, as OpenAI's files have them")
    parser.add_argument("--folder", type=pathlib.Path, help="keep what is made here, and use it again")
    arguments = parser.parse_args()
    programs = arguments.examples or arguments.program.parents[1] / "examples"
    environment = dict(os.environ, OMP_NUM_THREADS=str(arguments.threads), OMP_WAIT_POLICY="passive")
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or pathlib.Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "run/best.safetensors").exists():
            prepare(folder, programs, np.float16 if arguments.half else np.float32, environment)
        weights = folder / "clip/open_clip_model.safetensors"
        commands = {
            "empty": [arguments.program],
            "load": [arguments.program, "load", weights],
            "map": [arguments.program, "map", weights],
            "predict": [programs / "predict", "--checkpoint", folder / "run/best.safetensors", "--images",
                        folder / "pictures/00.jpg", "--out", folder / "out.csv", "--threads", str(arguments.threads)]}
        times = {}
        for i in range(-1, arguments.runs):
            now = {"read": read(weights), **{name: run(command, environment) for name, command in commands.items()}}
            if i < 0:  # the first fills the cache of files
                continue
            for name, seconds in now.items():
                times.setdefault(name, []).append(seconds)
        size = weights.stat().st_size
    clock = 0 if arguments.threads == 1 else 1
    median = {name: statistics.median(s[clock] for s in all_of) for name, all_of in times.items()}
    print(f"{size / 1e6:.0f} MB of weights, {arguments.runs} runs in turn, threads: {arguments.threads}")
    for name, all_of in times.items():
        shown = [f"{statistics.median(column):.3f} s {where} ({min(column):.3f} to {max(column):.3f})"
                 for column, where in zip(zip(*all_of), ("of the cores", "on the wall"))]
        print(f"{name:<8} {', '.join(shown)}")
    ours = [s[clock] for s in times["predict"]]
    print(json.dumps({
        "name": "predict_startup", "ours_seconds": median["predict"], "peer_seconds": median["read"],
        "ratio": median["predict"] / median["read"], "ratio_is": "ours / peer",
        "spread": (max(ours) - min(ours)) / median["predict"], "peer": "read() of the weights from the cache",
        "threads": arguments.threads, "empty_seconds": median["empty"], "load_seconds": median["load"],
        "map_seconds": median["map"], "ratio_to_load": median["predict"] / median["load"]}))


if __name__ == "__main__":
    main()
