"""reproduce: a table that is stopped, killed and gone on with is that of a run without
a break; mean and deviation are computed here once more from the reports.

    python3 tests/examples/reproduce_test.py PROGRAMS EXAMPLES_DATA SCRATCH

Needs nothing but Python.
"""

import csv
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import time

import data_sets
import programs
from programs import check, finish, refused, run

PROGRAMS, DATA, SCRATCH = (os.path.abspath(path) for path in sys.argv[1:])
REPRODUCE = f"{PROGRAMS}/reproduce"
CLIP = ["--clip", f"{DATA}/scenes_clip.safetensors", "--vocab", f"{DATA}/scenes_merges.txt",
        "--resolution", "96", "--views", "1", "--workers", "1", "--threads", "1"]
SIZES = ["--held-out", "0.3", "--n-ctx", "2", "--logit-scale", "20"]
COCO = ["--dataset", "coco2014", "--data", "clean/coco2014", *CLIP, *SIZES]
CSV = ["--dataset", "csv", "--data", "clean/csv/train.csv", "--test-data", "clean/csv/test.csv",
       *CLIP, *SIZES]
TABLE = ["known-label-proportions", *COCO, "--proportions", "0.5,0.9", "--seeds", "2",
         "--epochs", "12", "--patience", "0", "--batch-size", "2", "--out", "tables"]
SAME = "go on with the same command"
PHOTOS = "/usr/share/datasets/fashion-mnist"


def report(folder):
    return json.loads(pathlib.Path(folder, "report.json").read_text())


def without_times(text):
    return re.sub(r'"seconds": [-+.e0-9]+', "", text)


def cells(path):
    """Of a table's .csv: (row, column) to runs, mean, deviation."""
    with open(path, newline="") as file:
        return {(line["row"], line["column"]): (int(line["runs"]), line["mAP"], line["mAP_sd"])
                for line in csv.DictReader(file)}


def folder(table, row, column, seed, out="tables"):
    return f"{out}/{table}/{row}/{column}/seed-{seed}"


# ---------------------------------------------------------------- a table without a break

def check_numbers(out):
    """Means and deviations of every cell, and of the average."""
    got = cells(f"{out}/known-label-proportions.csv")
    names = {"50 %": "50-percent", "90 %": "90-percent"}
    mAP = {column: [report(folder("known-label-proportions", "trm-ml", name, seed, out))["mAP"]
                    for seed in (0, 1)] for column, name in names.items()}
    mAP["average"] = [statistics.mean(pair) for pair in zip(mAP["50 %"], mAP["90 %"])]
    check(set(got) == {("trm-ml", column) for column in mAP}, f"cells: {set(got)}")
    for column, values in mAP.items():
        runs, mean, deviation = got["trm-ml", column]
        check(runs == 2 and abs(float(mean) - statistics.mean(values)) < 1e-12
              and abs(float(deviation) - statistics.stdev(values)) < 1e-12,
              f"{column}: expected {values}, got {got['trm-ml', column]}")
    page = pathlib.Path(out, "known-label-proportions.md").read_text()
    line = next(line for line in page.splitlines() if line.startswith("| trm-ml "))
    shown = [f"{100 * statistics.mean(v):.1f} ± {100 * statistics.stdev(v):.1f}"
             for v in mAP.values()]
    check([cell.strip() for cell in line.strip("|").split("|")] == ["trm-ml", *shown],
          f"expected {shown}, got {line}")
    check(len({report(folder("known-label-proportions", "trm-ml", name, seed, out))["mask_digest"]
               for name in names.values() for seed in (0, 1)}) == 4, "masks that are the same")
    return page


def check_whole():
    printed, _ = run(0, REPRODUCE, *TABLE, "--dry-run")
    check("4 runs: 0 done, 0 to resume, 4 to run" in printed and "no finished run" in printed
          and "COCO 2014" in printed and not os.path.exists("tables"), f"--dry-run: {printed}")
    printed, _ = run(0, REPRODUCE, *TABLE, "--print-config")
    check(printed.count("epochs=12\n") == 4 and not os.path.exists("tables"),
          f"--print-config: {printed}")
    printed, _ = run(0, REPRODUCE, *TABLE)
    page = check_numbers("tables")
    check(printed.endswith("\n" + page), f"expected the table at the end of: {printed}")
    check(printed.count(" pictures, ") == 2, f"data that is read more than once: {printed}")
    for text in ("| SCPNet ", "| 80.3 ", "| 83.2 ", "| DualCoOp++ ", "not made by this program",
                 "No number of TRM-ML itself was readable", "average of 10 to 90 %",
                 "reproduce known-label-proportions --dataset coco2014"):
        check(text in page, f"expected '{text}' in {page}")
    run_folder = folder("known-label-proportions", "trm-ml", "50-percent", 1)
    for name in ("config.toml", "last.safetensors", "best.safetensors", "metrics.jsonl",
                 "report.html", "report.json"):
        check(os.path.getsize(f"{run_folder}/{name}") > 0, f"{name} of a run")
    for name in ("csv", "json", "html"):
        check(os.path.getsize(f"tables/known-label-proportions.{name}") > 0, f"the file .{name}")

    # The folder is one of train_coco: its configuration gives the run once more.
    run(0, f"{PROGRAMS}/train_coco", "--config", f"{run_folder}/config.toml", "--out", "again")
    check(without_times(pathlib.Path("again/report.json").read_text())
          == without_times(pathlib.Path(run_folder, "report.json").read_text()),
          "train_coco --config: another report")

    # What is done is taken as it is, and nothing is loaded for it.
    before = {path: path.stat().st_mtime_ns for path in pathlib.Path("tables").glob("*/**/*")}
    printed, complaints = run(0, REPRODUCE, *TABLE)
    check("\nrun " not in printed and not complaints and printed.endswith(page), f"again: {printed}")
    check(before == {path: path.stat().st_mtime_ns for path in pathlib.Path("tables").glob("*/**/*")},
          "a finished run was touched")
    printed, _ = run(0, REPRODUCE, *TABLE, "--dry-run")
    check("4 runs: 4 done, 0 to resume, 0 to run" in printed, f"--dry-run: {printed}")


# ---------------------------------------------------------------- with breaks

def broken(sign, running, epochs, runs_are_done):
    """Starts the table, waits until the run has done some epochs, sees a second start refused, then
    sends the signal; exit status, stderr."""
    with open("err.txt", "w") as err:
        process = subprocess.Popen([REPRODUCE, *TABLE], stdout=subprocess.DEVNULL, stderr=err)
        while process.poll() is None and not has_lines(running, epochs):
            time.sleep(0.01)
        process.send_signal(signal.SIGSTOP)
        refused(2, "another program is at work in tables/known-label-proportions", REPRODUCE, *TABLE)
        refused(2, "another program is at work in tables/known-label-proportions/trm-ml/50-percent",
                f"{PROGRAMS}/train_coco", "--config", f"{running}/config.toml", "--resume")
        process.send_signal(signal.SIGCONT)
        process.send_signal(sign)
        status = process.wait(timeout=120)
    done = len(list(pathlib.Path("tables").glob("*/*/*/*/report.json")))
    check(done in runs_are_done, f"{sign}: {done} runs are done, expected {runs_are_done}")
    return status, pathlib.Path("err.txt").read_text()


def has_lines(path, n):
    try:
        return len(pathlib.Path(path, "metrics.jsonl").read_text().splitlines()) >= n
    except FileNotFoundError:
        return False


def check_breaks():
    os.rename("tables", "whole")
    first = folder("known-label-proportions", "trm-ml", "50-percent", 0)
    third = folder("known-label-proportions", "trm-ml", "50-percent", 1)
    status, said = broken(signal.SIGTERM, first, 3, (0,))
    check(status == 5 and re.search(rf"^reproduce: stopped in trm-ml, 50 %, seed 0, with 0 of 4 "
                                    rf"runs done; .*{SAME}$", said, re.M), f"SIGTERM: {status} {said}")
    printed, _ = run(0, REPRODUCE, *TABLE, "--dry-run")
    check("4 runs: 0 done, 1 to resume, 3 to run" in printed, f"--dry-run: {printed}")
    refused(2, r"got a broken-off run with others: --epochs 12 there, 13 here", REPRODUCE,
            *[("13" if word == "12" else word) for word in TABLE])
    status, _ = broken(signal.SIGKILL, third, 5, (2,))
    check(status == -signal.SIGKILL, f"SIGKILL: {status}")
    lines = len(pathlib.Path(third, "metrics.jsonl").read_text().splitlines())
    table = cells("tables/known-label-proportions.csv")
    check([table["trm-ml", column][0] for column in ("50 %", "90 %", "average")] == [1, 1, 1]
          and table["trm-ml", "50 %"][2] == "", f"the table after two runs: {table}")
    printed, _ = run(0, REPRODUCE, *TABLE)
    epochs = [int(n) for n in re.findall(r"^epoch +(\d+)", printed.split(", seed 1")[1], re.M)]
    check(epochs[0] in (lines - 1, lines), f"after {lines} epochs and a kill: again from {epochs[0]}")
    check_numbers("tables")
    for name in ("md", "csv", "json", "html"):
        one, other = (without_times(pathlib.Path(out, f"known-label-proportions.{name}").read_text())
                      for out in ("whole", "tables"))
        check(one == other, f"known-label-proportions.{name}: expected {one}, got {other}")
    for path in pathlib.Path("whole").glob("*/*/*/*/best.safetensors"):
        other = pathlib.Path("tables", *path.parts[1:])
        check(path.read_bytes() == other.read_bytes(), f"{other}: other weights")
    left = [str(path) for path in pathlib.Path("tables").rglob("*") if ".tmp" in path.name]
    check(len(left) <= 2, f"more than a kill leaves: {left}")


# ---------------------------------------------------------------- what is refused

def check_refused():
    refused(2, r"^reproduce: tables/known-label-proportions/trm-ml/50-percent/seed-0: expected a run "
            r"with the options of now, got a finished run with others: --batch-size 2 there, 3 here "
            r"\(give the same options, name another --out, or remove the folder\)\n$", REPRODUCE,
            *[("3" if word == "2" and TABLE[i - 1] == "--batch-size" else word)
              for i, word in enumerate(TABLE)])
    check(len(list(pathlib.Path("tables").glob("*/*/*/*/report.json"))) == 4, "a run was touched")
    known = ["known-label-proportions", *COCO, "--out", "x"]
    for words, expected in ((["ablation"], "reproduce TABLE --dataset S"), (["--dataset", "csv"], "TABLE"),
                            (["--dataset", "csv", "ablation"], "--methods"), (known, "--proportions")):
        printed, _ = run(0, REPRODUCE, *words, "--help")
        check(expected in printed, f"{words} --help: {printed}")
    printed, _ = run(0, REPRODUCE, *known, "--print-config")
    for words in (["--print-config", *known], [*known[1:], "--print-config", known[0]]):
        check(run(0, REPRODUCE, *words)[0] == printed, f"TABLE at another place: {words}")
    refused(2, "TABLE", REPRODUCE)
    refused(2, "TABLE", REPRODUCE, "ablations", "--dataset", "csv")
    refused(2, "--dataset is required", REPRODUCE, "ablation")
    refused(2, "imagenet", REPRODUCE, "ablation", "--dataset", "imagenet")
    refused(2, "--out is required", REPRODUCE, *known[:-2])
    refused(2, "not expected:.*--method", REPRODUCE, *known, "--method", "region")
    refused(2, "not expected:.*--seed", REPRODUCE, *known, "--seed", "3")
    refused(2, "not expected:.*--single-positive", REPRODUCE, *known, "--single-positive", "random")
    refused(2, "not expected:.*--proportions", REPRODUCE, "ablation", *known[1:], "--proportions", "0.1")
    refused(2, "--proportions: expected a number in .0, 1., got 2", REPRODUCE, *known, "--proportions", "2")
    refused(2, "--proportions: expected different ones, got 50 % twice", REPRODUCE, *known,
            "--proportions", "0.5,0.1,0.50")
    refused(2, "trm-ml, 10 %, seed 0: --heads: expected a divisor of 128", REPRODUCE, *known, "--heads",
            "3", "--dry-run")
    refused(2, "expected a method of zero-shot", REPRODUCE, *known, "--methods", "trm-ml,nonsense")
    refused(2, "--sharpness: expected a method with text-pixel prompts, got trm-ml .it would have no "
            "effect.", REPRODUCE, *known, "--sharpness", "0.4")
    refused(2, "not expected:.*--difficult", REPRODUCE, *known,
            "--difficult", "present")
    refused(2, "--positives-per-image", REPRODUCE, "single-positive", *CSV, "--out", "x")
    refused(2, "--methods: expected one", REPRODUCE, "backbones", *COCO, "--methods", "all", "--out", "x")
    check(not os.path.exists("x"), "what is refused leaves a folder")


# ---------------------------------------------------------------- the other tables

def check_ablation():
    """Every method in a row; an option goes to the rows where it has an effect."""
    table = ["ablation", *CSV, "--known-label-proportion", "0.6", "--epochs", "1",
             "--matcher-learning-rate", "0.002", "--out", "tables"]
    printed, _ = run(0, REPRODUCE, *table)
    got = cells("tables/ablation.csv")
    column = "60-percent-known-labels"
    check(len(got) == 12, f"rows: {list(got)}")
    for row, _ in got:
        values = report(folder("ablation", row, column, 0))
        runs, mean, deviation = got[row, "60 % known labels"]
        check(values["method"] == row and runs == 1 and deviation == ""
              and abs(float(mean) - values["mAP"]) < 1e-12, f"{row}: {values['mAP']}, got {mean}")
        config = pathlib.Path(folder("ablation", row, column, 0), "config.toml").read_text()
        check(("matcher-learning-rate=0.002" in config) == (row.startswith("region") or row == "trm-ml"),
              f"{row}: matcher-learning-rate in {config}")
    check("We know of no published numbers for this data set" in printed, f"ablation: {printed}")

    # The control has the weights of its base, and trains nothing.
    base, control = (pathlib.Path(folder("ablation", f"region+distillation+contrastive{more}", column, 0))
                     for more in ("", "+zero-shot"))
    check((base / "last.safetensors").read_bytes() == (control / "last.safetensors").read_bytes(),
          "the control has another state than its base")
    shutil.rmtree(base)
    shutil.rmtree(control)
    whole = pathlib.Path("tables/ablation.csv").read_bytes()
    run(0, REPRODUCE, *table, "--methods", "region+distillation+contrastive+zero-shot")
    alone = cells("tables/ablation.csv")
    check(list(alone.values()) == [got["region+distillation+contrastive+zero-shot", "60 % known labels"]],
          f"the control without its base: {alone}")
    run(0, REPRODUCE, *table)
    check(pathlib.Path("tables/ablation.csv").read_bytes() == whole, "a row that was run again differs")

    # A base with other options, or a damaged one, lends nothing.
    shutil.rmtree(control)
    run(0, REPRODUCE, *[("10" if word == "20" else word) for word in table],
        "--methods", "region+distillation+contrastive+zero-shot")
    check((base / "last.safetensors").read_bytes() != (control / "last.safetensors").read_bytes(),
          "the control has the state of a base with other options")
    shutil.rmtree(control)
    (base / "last.safetensors").write_text("no state")
    refused(4, "last.safetensors", REPRODUCE, *table)
    check(not (control / "last.safetensors").exists(), "a state that could not be used is left")


def check_others():
    run(0, REPRODUCE, "single-positive", *COCO, "--epochs", "1", "--methods", "all", "--out", "tables",
        "--dry-run")
    printed, _ = run(0, REPRODUCE, "single-positive", *COCO, "--epochs", "1", "--methods", "region",
                     "--out", "tables")
    got = cells("tables/single-positive.csv")
    check(set(got) == {("region", "random"), ("region", "salient")}, f"single-positive: {got}")
    check("| HSPNet " in printed and "75.7" in printed and "Cole et al." in printed, f"published: {printed}")
    printed, _ = run(0, REPRODUCE, "single-positive", *CSV, "--methods", "all", "--positives-per-image",
                     "2", "--out", "x", "--dry-run")
    check("11 runs:" in printed and "linear, random" not in printed and "salient" not in printed,
          f"single-positive of csv: {printed}")
    shutil.copy(f"{DATA}/scenes_clip.safetensors", "other.safetensors")
    clips = [f"{CLIP[1]},other.safetensors" if word == CLIP[1] else word for word in COCO]
    printed, _ = run(0, REPRODUCE, "backbones", *clips, "--epochs", "1", "--methods", "text-image",
                     "--out", "tables")
    got = cells("tables/backbones.csv")
    check(set(got) == {(name, "10 % known labels") for name in ("scenes_clip", "other")}
          and len(set(got.values())) == 1, f"backbones: {got}")
    check("| CLIP " in printed and re.search(r"^other: .*ResNet", printed, re.M), f"backbones: {printed}")


def check_names_of_clips():
    """A row and a folder each: by the name of a file without its ending, or of a folder."""
    for name in ("ViT-B-16.openai", "ViT-B-16.laion2b"):
        os.makedirs(f"clips/{name}")
    plan = ["backbones", *COCO[:4], *COCO[6:], "--out", "x", "--print-config", "--clip"]
    printed, _ = run(0, REPRODUCE, *plan, "clips/ViT-B-16.openai//,clips/ViT-B-16.laion2b,RN50.pt")
    check([line for line in printed.splitlines() if line.startswith("# ")]
          == [f"# x/backbones/{name}/10-percent-known-labels/seed-0"
              for name in ("ViT-B-16.openai", "ViT-B-16.laion2b", "RN50")], f"folders: {printed}")
    refused(2, r"x/backbones/RN-50/10-percent-known-labels/seed-0: expected the folder of one run, got that of "
            r'"RN 50, 10 % known labels, seed 0" and "RN-50, 10 % known labels, seed 0" .rename', REPRODUCE, *plan,
            "RN 50.pt,RN-50.pt")
    refused(2, "--clip: expected files with different names, got RN50 twice", REPRODUCE, *plan, "a/RN50.pt,b/RN50.pt")


def check_notes():
    """What the seeds vary."""
    table = ["ablation", *CSV, "--known-label-proportion", "0.6", "--methods", "text-image", "--epochs", "1",
             "--seeds", "2", "--out"]
    for out, what, *mask in (("drawn", "mask, initial weights and order"),
                             ("fixed", "initial weights and order", "--mask-seed", "3")):
        printed, _ = run(0, REPRODUCE, *table, out, *mask)
        check(f"over 2 seeds of {what};" in printed, f"{out}: {printed}")


def check_scenes():
    """FashionScenes: the run is one of train_scenes, and predict takes its weights."""
    if not os.path.isdir(PHOTOS):
        return
    options = ["--epochs", "1", "--limit-scenes", "24", "--threads", "1"]
    run(0, REPRODUCE, "ablation", "--dataset", "scenes", "--methods", "trm-ml,zero-shot", *options,
        "--out", "tables_scenes")
    best = folder("ablation", "trm-ml", "10-percent-known-labels", 0, "tables_scenes")
    _, shown = run(0, f"{PROGRAMS}/train_scenes", *options, "--known-label-proportion", "0.1", "--out",
                   "scenes")
    check(re.search(r"^training: .* in all, loss \d+\.\d{3} \(classification \d+\.\d\d\+\d+\.\d\d, "
                    r"[^()]*\)$", shown, re.M), f"train_scenes: the terms of the loss in {shown}")
    check(pathlib.Path(best, "best.safetensors").read_bytes()[-4096:]
          == pathlib.Path("scenes/best.safetensors").read_bytes()[-4096:], "train_scenes: other weights")
    run(0, f"{PROGRAMS}/train_scenes", "--config", pathlib.Path(best, "config.toml"), "--out", "once_more")
    check(report("once_more")["mAP"] == report(best)["mAP"], "train_scenes --config: another result")
    refused(2, "--limit-scenes excludes --limit-batches", f"{PROGRAMS}/train_scenes", *options,
            "--limit-batches", "1")
    pictures = next(pathlib.Path("clean/csv/street").glob("0.jpg"))
    printed, _ = run(0, f"{PROGRAMS}/predict", "--checkpoint", f"{best}/best.safetensors", "--images",
                     pictures, "--threads", "1")
    check(len(printed.splitlines()) == 2 and printed.startswith("image,"), f"predict: {printed}")
    # The scenes are those of the run: its report is over the first 24.
    run(0, f"{PROGRAMS}/evaluate", "--checkpoint", f"{best}/best.safetensors", "--dataset", "scenes",
        "--save-scores", "scores.safetensors", "--quiet", "--threads", "1")
    for name, code in (("scores", "f"), ("labels", "b")):
        rows = read_matrix("scores.safetensors", name, code)
        check((len(rows), len(rows[0])) == (2000, 18), f"evaluate: {name}")
        with open(f"{name}.csv", "w", newline="") as file:
            csv.writer(file).writerows(rows[:24])
    run(0, f"{PROGRAMS}/evaluate", "--scores", "scores.csv", "--labels", "labels.csv", "--logits",
        "--out", "scenes.json", "--quiet")
    got, expected = json.loads(pathlib.Path("scenes.json").read_text())["mAP"], report(best)["mAP"]
    check(abs(got - expected) < 1e-3, f"evaluate: mAP {got}, in training {expected}")
    refused(2, "belongs to --dataset|does not have it", f"{PROGRAMS}/evaluate", "--checkpoint",
            f"{best}/best.safetensors", "--dataset", "scenes", "--difficult", "present")


def read_matrix(path, name, code):
    """A matrix of a safetensors file, row by row."""
    data = pathlib.Path(path).read_bytes()
    (size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + size])[name]
    rows, columns = header["shape"]
    begin = 8 + size + header["data_offsets"][0]
    numbers = struct.unpack_from(f"<{rows * columns}{code}", data, begin)
    return [numbers[i * columns:(i + 1) * columns] for i in range(rows)]


shutil.rmtree(SCRATCH, ignore_errors=True)
os.makedirs(SCRATCH)
os.chdir(SCRATCH)
data_sets.write_all("clean")
for part_of_test in (check_whole, check_breaks, check_refused, check_ablation, check_others,
                     check_names_of_clips, check_notes, check_scenes):
    began = time.monotonic()
    part_of_test()
    print(f"{part_of_test.__name__}: {time.monotonic() - began:.1f} s", flush=True)
if not os.path.isdir(PHOTOS) and programs.faults == 0:  # what has failed has failed
    print(f"SKIPPED: FashionScenes, as there is no {PHOTOS}")
finish()
