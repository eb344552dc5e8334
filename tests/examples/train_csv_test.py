"""What a training program makes of its options, before, during and after the training.

    python3 tests/examples/train_csv_test.py PROGRAMS EXAMPLES_DATA SCRATCH

Needs nothing but Python.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import sys
import time

import data_sets
from programs import check, finish, refused, run

PROGRAMS, DATA, SCRATCH = (os.path.abspath(path) for path in sys.argv[1:])
TRAIN_CSV = f"{PROGRAMS}/train_csv"
SET = ["--dataset", "csv", "--data", "sets/csv/train.csv", "--test-data", "sets/csv/test.csv"]
CLIP = ["--clip", "clip.safetensors", "--vocab", f"{DATA}/scenes_merges.txt", "--resolution", "96",
        "--workers", "1", "--threads", "1", "--held-out", "0.3"]
PLAIN = [TRAIN_CSV, *SET, *CLIP, "--known-label-proportion", "0.5"]
TRAIN = [*PLAIN, "--views", "1"]
SHORT = [*TRAIN, "--method", "text-image", "--epochs", "1", "--n-ctx", "2"]


def with_value(words, flag, value):
    """The words with another value of the flag."""
    return [value if before == flag else word for before, word in zip(["", *words], words)]


def report(folder):
    return json.loads(pathlib.Path(folder, "report.json").read_text())


# ---------------------------------------------------------------- options in a file

def check_bad_config():
    for text, complaint in (
            ("# ours\nepoch=3\n", 'line 2: expected the name of an option .*, got "epoch"'),
            ("dry-run=true", 'line 1: expected the name of an option .*, got "dry-run"'),
            ("epochs", 'line 1: expected name=value, got "epochs"'),
            ("[training]\nepochs=3\n", r"line 1: expected name=value, got the section \[training\]"),
            ("epochs=3\nseed=1\nepochs=4\n", "line 3: epochs stands there twice"),
            ("out=my run\n", "line 1: expected a value in quotes, or without blanks, got my run"),
            ('out="run\n', 'line 1: expected a text that ends with " on its line'),
            ('out="\\x"\n', r"line 1: expected an escape of TOML, got \\x"),
            ("out=[a, b\n", r"line 1: expected a list that ends with \] on its line"),
            ("out=\n", 'line 1: expected a value, got ""')):
        pathlib.Path("bad.toml").write_text(text)
        refused(2, f"--config, {complaint}", *TRAIN, "--config", "bad.toml", "--print-config")


def check_round_trip():
    """Every option is there, also those not given, and any text survives."""
    path = "r#1 \"a\" 'b' \\c, [d]=\t"
    printed, _ = run(0, *TRAIN, "--print-config", "--out", path, "--unknown-labels", "assume-absent")
    values = dict(line.split("=", 1) for line in printed.splitlines())
    for name, value in {
            "known-label-proportion": "0.5", "epochs": "30", "prompt-learning-rate": "0.001",
            "matcher-learning-rate": "0.0001", "weight-decay": "0.005", "ema-memory": "0.82",
            "patience": "8", "n-ctx": "16", "distillation-weight": "1", "contrastive-weight": "0.1",
            "policy": '"relations"', "positive-share": "0.6", "negative-share": "0.6",
            "evidence-visual": "1", "score": '"mean"', "absent-weight": "0.3",
            "unknown-labels": '"assume-absent"'}.items():
        check(values.get(name) == value, f"{name}: expected {value}, got {values.get(name)}")
    check("pseudo-weight" not in values and "pseudo-from-epoch" not in values,
          f"what the data or other options decide: {printed}")
    pathlib.Path("all.toml").write_text(printed)
    again, _ = run(0, TRAIN_CSV, "--config", "all.toml", "--print-config")
    check(again == printed, f"round trip: expected {printed}, got {again}")
    for method in ("zero-shot", "linear-pooled", "text-pixel"):
        printed, _ = run(0, *PLAIN, "--method", method, "--print-config")
        pathlib.Path("all.toml").write_text(printed)
        again, _ = run(0, TRAIN_CSV, "--config", "all.toml", "--print-config")
        check(again == printed, f"round trip of {method}: expected {printed}, got {again}")


# ---------------------------------------------------------------- before anything is encoded

def write_positives(path, names):
    """One positive of each training picture that has one, as SPLC's lists have it."""
    pathlib.Path(path).write_text("".join(
        f"street/{i}.jpg,{names.index(data_sets.NAMES[min(data_sets.positives(i))])}\n"
        for i in data_sets.TRAIN if data_sets.positives(i)))


def check_positives_only():
    """Where no absence is known, absences are assumed and the prior is given."""
    columns = [TRAIN_CSV, "--dataset", "csv", "--data", "sets/csv/columns-train.csv", "--test-data",
               "sets/csv/columns-test.csv", "--values", "cole-complete", *CLIP, "--views", "1", "--cache",
               "cache", "--epochs", "3", "--pseudo-from-epoch", "1", "--n-ctx", "2", "--positives-per-image",
               "1.5"]
    write_positives("positives.txt", data_sets.NAMES)
    for out, *protocol in (("left", "--positives-left", "0.4"),
                           ("listed", "--mask", "positives.txt", "--mask-code", "splc")):
        said, _ = run(0, *columns, *protocol, "--out", out)
        check(re.search(r"[1-9]\d* known, [1-9]\d* present and 0 absent$", said, re.M), f"{out}: {said}")
        check("pseudo-from-epoch" not in report(out)["settings"], f"{out}: {report(out)['settings']}")
    refused(2, "--unknown-labels: expected assume-absent or splc where no absence is known, got ignored",
            *columns, "--positives-left", "0.4", "--unknown-labels", "ignored", "--dry-run")
    said, _ = run(0, TRAIN_CSV, *SET, *CLIP, "--print-config")
    check("known-label-proportion=1\n" in said, f"own data hide nothing: {said}")


def check_early():
    """With and without --dry-run, and before the cache is touched."""
    pathlib.Path("mask.csv").write_text("image,category,state\nnone.jpg,dog,present\n")
    pathlib.Path("other.csv").write_text("image,labels\nstreet/0.jpg,lion;dog\n")
    write_positives("positives.txt", sorted(data_sets.NAMES))
    for status, complaint, *options in (
            (3, "none.csv: .*--mask", "--mask", "none.csv", "--mask-code", "hcp"),
            (3, "mask.csv: .*none.jpg", "--mask", "mask.csv", "--mask-code", "hcp"),
            (2, "--mask-code: nonsense not in", "--mask", "mask.csv", "--mask-code", "nonsense"),
            (2, "--heads: expected a divisor of 128", "--heads", "3"),
            (2, "--n-ctx: expected at most [0-9]+ context tokens, as the prompt of \"[a-z]+\" has",
             "--n-ctx", "60"),
            (2, "--attn-dim: expected 128", "--attention-init", "identity", "--attn-dim", "64"),
            (3, "expected known labels to train on, got none in 8 training pictures",
             "--removal-rate", "0.9999999"),
            (3, "expected known absences.* got [0-9]+ present and 0 absent .*--positives-per-image",
             "--mask", "positives.txt", "--mask-code", "splc"),
            (2, "--positives-per-image: expected the number of positives of a picture",
             "--positives-left", "0.4"),
            (2, "--positives-per-image: expected --single-positive, --positives-left, --mask or all labels",
             "--positives-per-image", "1.5", "--known-label-proportion", "0.5")):
        words = [TRAIN_CSV, *SET, *CLIP, "--cache", "untouched", *options]
        refused(status, complaint, *words, "--dry-run")
        refused(status, complaint, *words, "--out", "refused")
    for protocol in (["--single-positive", "salient"], ["--known-label-proportion", "1"]):
        refused(2, "--mask-seed: expected labels that are hidden by a draw, got ", TRAIN_CSV, *SET, *CLIP,
                *protocol, "--method", "region", "--mask-seed", "3", "--dry-run")
    for protocol, largest in ((["--known-label-proportion", "0.5"], 2**32 - 1), (["--positives-left", "0.4"], 2**32 - 1),
                              (["--single-positive", "random"], 2**32 - 1 - 1200)):
        words = [TRAIN_CSV, *SET, *CLIP, *protocol, "--method", "linear-pooled", "--dry-run", "--seed"]
        refused(2, f"--seed: expected at most {largest}, .*, got {largest + 1}", *words, str(largest + 1))
        run(0, *words, str(largest + 1), "--mask-seed", "0")
    refused(3, 'other.csv: expected the categories of train.csv, got them without .*"cat".* and with '
            '"lion"', TRAIN_CSV, *SET[:-1], "other.csv", *CLIP, "--dry-run")
    refused(2, '--method: expected a method of zero-shot, .*, got "trmml"', *TRAIN, "--method", "trmml")
    check(not os.path.exists("untouched"), "something was encoded")


def check_no_effect():
    words = [TRAIN_CSV, *SET, *CLIP, "--known-label-proportion", "0.5", "--print-config"]
    for complaint, *options in (
            ("--negative-share: expected --policy relations .it would", "--policy", "relations-soft",
             "--negative-share", "0.4"),
            ("--positive-share: expected --policy relations, or a contrastive loss", "--policy",
             "relations-soft", "--contrastive-weight", "0", "--positive-share", "0.4"),
            ("--negative-share: expected another --unknown-labels than splc .it would", "--unknown-labels",
             "splc", "--negative-share", "0.4"),
            ("--policy: expected another --unknown-labels than splc .it would", "--unknown-labels", "splc",
             "--policy", "relations-soft"),
            ("--dense: expected a method that looks at regions, got text-image", "--method", "text-image",
             "--dense", "plain"),
            ("--dense: expected a method that looks at regions, got linear ", "--method", "linear",
             "--dense", "plain"),
            ("--dense: expected a method that looks at regions, got zero-shot", "--method", "zero-shot",
             "--dense", "plain"),
            ("--evidence-text, --evidence-zero-shot: expected one above 0", "--epochs", "1",
             "--evidence-text", "0", "--evidence-zero-shot", "0")):
        refused(2, complaint, *words, *options)
    for options in (["--policy", "relations-soft", "--positive-share", "0.4"],
                    ["--unknown-labels", "splc", "--positive-share", "0.4"],
                    ["--method", "linear-pooled", "--dense", "plain"]):
        run(0, *words, *options)


# ---------------------------------------------------------------- the cache of features

def files_there(printed):
    """Of the three parts: files that were there, and files in all."""
    return [tuple(map(int, pair)) for pair in re.findall(r"\((\d+) of (\d+) files there\)", printed)]


def check_cache():
    run_of = lambda out, *more: run(0, *SHORT, "--cache", "cache", "--out", out, *more)
    printed, _ = run(0, *SHORT, "--cache", "cache", "--dry-run")
    check(re.search(r"^training: 1 epochs of 1 steps, \d+\.\d{3} s a step .*: about \d+\.\d h; \d+\.\d\d GB",
                    printed, re.M), f"--dry-run: {printed}")
    check("0 of 26 views are there" in printed
          and re.search(r"^memory: at least 0\.\d\d GB, .* the features of 8 pictures at a time$", printed, re.M),
          f"--dry-run: {printed}")
    printed, shown = run_of("first")
    check(files_there(printed) == [(0, 2), (0, 1), (0, 1)], f"a new cache: {printed}")
    check(re.search(r"^features of training pictures: .*16.* in all", shown, re.M), f"shown: {shown}")
    printed, _ = run(0, *SHORT, "--cache", "cache", "--dry-run")
    check("26 of 26 views are there" in printed, f"--dry-run: {printed}")
    all_there = [(2, 2), (1, 1), (1, 1)]

    # Neither where things are nor when the weights were written matters.
    os.utime("clip.safetensors")
    printed, _ = run_of("second")
    check(files_there(printed) == all_there, f"touched weights: {printed}")
    os.rename("sets", "moved")
    os.rename("clip.safetensors", "moved/clip.safetensors")
    os.symlink("moved", "sets")
    os.symlink("moved/clip.safetensors", "clip.safetensors")
    printed, _ = run_of("third")
    check(files_there(printed) == all_there, f"moved data: {printed}")

    # A picture that is replaced in place is another one.
    shutil.copy("moved/csv/street/13.jpg", "moved/csv/street/12.jpg")
    printed, _ = run_of("fourth")
    check(files_there(printed) == [(2, 2), (1, 1), (0, 1)], f"another test picture: {printed}")


def check_cache_of_others():
    """Methods that look at less fill less, and what they fill serves the others."""
    printed, _ = run(0, *PLAIN, "--method", "zero-shot", "--cache", "less", "--dry-run")
    check("0 of 10 views are there" in printed, f"--dry-run of zero-shot: {printed}")
    printed, _ = run(0, *PLAIN, "--method", "zero-shot", "--cache", "less", "--out", "zero-shot")
    check(files_there(printed) == [(0, 1), (0, 1)], f"zero-shot: {printed}")
    printed, _ = run(0, *PLAIN, "--method", "linear", "--cache", "less", "--out", "linear")
    check(files_there(printed) == [(0, 1), (1, 1), (1, 1)], f"linear: {printed}")
    printed, _ = run(0, *SHORT, "--cache", "less", "--dry-run")
    check("18 of 26 views are there" in printed, f"--dry-run after a linear probe: {printed}")


def check_passes():
    """Pictures that are encoded on the fly: 8 to train on, 4 held out, 6 of the test."""
    words = [*PLAIN, "--features", "on-the-fly", "--dry-run", "--method"]
    for pictures, *options in (
            (4 + 6, "zero-shot"),
            (8 + 4 + 6, "linear"),
            (2 * 8 + (2 * 2 + 1) * 4 + 6, "region", "--epochs", "2"),
            (2 * 8 + (2 * 2 + 1) * 4 + (2 + 1) * 6, "region", "--epochs", "2", "--score-test-every-epoch"),
            # The zero-shot scores, and in two of the epochs the evidence.
            ((3 + 1 + 2) * 8 + (2 * 3 + 1) * 4 + 6, "trm-ml", "--epochs", "3")):
        printed, _ = run(0, *words, *options)
        check(f"features on the fly: {pictures} pictures to encode in all, " in printed,
              f"{options}: expected {pictures} pictures, got: {printed}")


def changed_clip(path, change):
    """The small CLIP with another header or other bytes: `change(header, data)`."""
    content = pathlib.Path("clip.safetensors").read_bytes()
    (size,) = struct.unpack_from("<Q", content)
    header, data = json.loads(content[8:8 + size]), bytearray(content[8 + size:])
    header = change(header, data) or header
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + data)


def check_fingerprint():
    """Weights are the same when all their numbers are, whatever the file looks like."""
    def last_number_of(name):
        def change(header, data):
            data[header[name]["data_offsets"][1] - 2] ^= 1
        return change

    def renamed(header, _):
        return {"state_dict." * (name != "__metadata__") + name: it for name, it in header.items()}

    for name, change, is_same in (
            ("renamed", renamed, True),
            ("other text", last_number_of("text.ln_final.weight"), True),
            ("other matrix", last_number_of("visual.attnpool.k_proj.weight"), False),
            ("other buffer", last_number_of("visual.layer1.0.bn1.running_var"), False),
            ("other heads", lambda header, _: header["__metadata__"].update({"clip.image.heads": "4"}),
             False)):
        changed_clip("changed.safetensors", change)
        printed, _ = run(0, *with_value(SHORT, "--clip", "changed.safetensors"), "--cache", "cache",
                         "--dry-run")
        there = int(re.search(r"(\d+) of 26 views are there", printed)[1])
        check((there > 0) == is_same, f"{name}: {printed}")
        status = 0 if is_same else 4
        _, errors = run(status, f"{PROGRAMS}/predict", "--checkpoint", "first/best.safetensors", "--clip",
                        "changed.safetensors", "--images", "sets/csv/street/0.jpg", "--threads", "1")
        check(is_same or "expected the CLIP of the training, whose image tower" in errors,
              f"predict with {name}: {errors}")


# ---------------------------------------------------------------- what a run leaves

def check_few_categories():
    for count in (1, 2):
        kept = data_sets.NAMES[1:1 + count]
        for part, rows in (("train", data_sets.TRAIN), ("test", data_sets.TEST)):
            labels = [[name for c, name in enumerate(data_sets.NAMES)
                       if c in data_sets.positives(i) and name in kept] for i in rows]
            pathlib.Path(f"sets/csv/few-{part}.csv").write_text(
                "image," + ",".join(kept) + "\n" + "".join(
                    f"street/{i}.jpg," + ",".join(str(int(name in present)) for name in kept) + "\n"
                    for i, present in zip(rows, labels)))
        run(0, TRAIN_CSV, "--dataset", "csv", "--data", "sets/csv/few-train.csv", "--test-data",
            "sets/csv/few-test.csv", "--values", "cole-complete", *CLIP, "--known-label-proportion", "0.8",
            "--views", "1", "--cache", "cache", "--epochs", "1", "--n-ctx", "2", "--out", f"few-{count}")
        for name in ("best.safetensors", "report.html", "report.json"):
            check(os.path.exists(f"few-{count}/{name}"), f"{count} categories: no {name}")


def check_one_epoch():
    """The only epoch has pseudo-labels."""
    run(0, *TRAIN, "--n-ctx", "2", "--cache", "cache", "--epochs", "1", "--out", "one")
    check(report("one")["settings"]["pseudo-from-epoch"] == 0
          and [epoch["epoch"] for epoch in report("one").get("pseudo_labels", [])] == [0],
          f"one epoch: {report('one')}")


def check_other_bytes():
    """Paths that are no UTF-8, which JSON and safetensors must be, cost no run its result."""
    folder = os.fsdecode(b"gr\xfcn")
    shutil.copytree("sets/csv", folder)
    data = ["--dataset", "csv", "--data", f"{folder}/train.csv", "--test-data", f"{folder}/test.csv"]
    run(0, *with_value(with_value(SHORT, "--data", data[3]), "--test-data", data[5]), "--cache", "cache", "--out",
        "bytes")
    check(report("bytes")["mAP"] > 0 and "gr\ufffdn/train.csv" in pathlib.Path(
        "bytes/best.safetensors").read_bytes().decode(errors="ignore"), f"bytes: {os.listdir('bytes')}")
    shutil.copy("bytes/best.safetensors", folder)
    run(0, f"{PROGRAMS}/evaluate", "--checkpoint", f"{folder}/best.safetensors", *data, "--threads", "1",
        "--bootstrap", "0", "--quiet", "--save-scores", "scores.safetensors", "--out", "scores.json")
    content = pathlib.Path("scores.safetensors").read_bytes()
    (size,) = struct.unpack_from("<Q", content)
    check(json.loads(content[8:8 + size])["__metadata__"]["checkpoint"] == "gr\ufffdn/best.safetensors",
          "the checkpoint in scores.safetensors")
    json.loads(pathlib.Path("scores.json").read_text())


def check_stop():
    """SIGTERM while pictures are scored that nobody has encoded before."""
    many = pathlib.Path("sets/csv/many.csv")
    labels = pathlib.Path("sets/csv/test.csv").read_text().splitlines()
    lines = [labels[0]]
    for i in range(200):
        name, present = labels[1 + i % 6].split(",", 1)
        os.link(f"sets/csv/{name}", f"sets/csv/street/many-{i}.jpg")
        lines.append(f"street/many-{i}.jpg,{present}")
    many.write_text("\n".join(lines) + "\n")
    for method in ("zero-shot", "linear"):
        command = [*with_value(with_value(PLAIN, "--resolution", "448"), "--test-data", str(many)),
                   "--features", "on-the-fly", "--method", method, "--out", "stopped"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True) as process:
            for line in process.stdout:
                if line.startswith("training pictures:"):
                    break
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=120)
        check(process.returncode == 5
              and errors.endswith("train_csv: stopped while pictures were being scored\n"),
              f"{method}, stopped: {process.returncode}, {errors}")



def check_state():
    """A state that is damaged, or that began with other labels or another CLIP, is refused."""
    resume = [*TRAIN, "--n-ctx", "2", "--cache", "cache", "--epochs", "2", "--seed", "3", "--resume", "--out"]
    shutil.copytree("full", "cut")
    os.truncate("cut/last.safetensors", 5000)
    said, errors = run(4, *resume, "cut")
    check(said == "" and re.fullmatch(
        r"train_csv: cut/last.safetensors: .* \(the state before it is cut/previous.safetensors: copy it "
        r"over the damaged one to continue from there\)\n", errors), f"cut off: {said}{errors}")
    shutil.copy("cut/previous.safetensors", "cut/last.safetensors")
    run(0, *resume, "cut")
    check(pathlib.Path("cut/best.safetensors").read_bytes() == pathlib.Path("full/best.safetensors").read_bytes(),
          "from the state before the last one: other weights")

    record = json.loads(pathlib.Path("cut/trained_on.json").read_text())
    check(record["mask_digest"] == report("cut")["mask_digest"], f"trained_on.json: {record}")
    for key, what in (("mask_digest", "known labels"), ("clip_fingerprint", "CLIP")):
        pathlib.Path("cut/trained_on.json").write_text(json.dumps({**record, key: "another"}))
        refused(4, f'cut/trained_on.json: expected the {what} that the run began with, of {key} "another", '
                f'got "{record[key]}"', *resume, "cut")
    os.remove("cut/trained_on.json")
    run(0, *resume, "cut")


def check_resumed_on_the_fly():
    """Views of every epoch, steps in parts and bfloat16: stopped and resumed, byte for byte the same."""
    words = [*PLAIN, "--features", "on-the-fly", "--method", "region", "--n-ctx", "2", "--epochs", "3",
             "--batch-size", "4", "--accumulate", "2", "--training-precision", "bf16", "--checkpoint-every",
             "1", "--out", "resumed"]
    run(0, *words)
    os.rename("resumed", "whole")
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not os.path.exists("resumed/last.safetensors"):
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=120)
    check(process.returncode == 5 and "resume to continue" in errors, f"{process.returncode}, {errors}")
    run(0, *words, "--resume")
    whole, resumed = (pathlib.Path(out, "best.safetensors").read_bytes() for out in ("whole", "resumed"))
    check(whole == resumed, "best.safetensors of a run on the fly that was stopped and resumed")


def check_results():
    said, _ = run(0, *TRAIN, "--method", "text-image", "--n-ctx", "2", "--cache", "cache", "--out",
                  "early", "--epochs", "30", "--patience", "2", "--logit-scale", "20")
    early = report("early")
    line = re.search(r"^stopped early, after (\d+) of 30 epochs, 2 of them without gain; epoch (\d+) is "
                     r"chosen, with held-out mAP (\d+\.\d\d)$", said, re.M)
    check(line is not None, f"the end of the training: {said}")
    if line:
        check([early["stopped_early"], early["epochs"], early["best_epoch"],
               f"{100 * early['held_out_mAP']:.2f}"]
              == [True, int(line[1]), int(line[2]), line[3]], f"{line[0]}: report {early}")
    check("Epoch chosen" in pathlib.Path("early/report.html").read_text(), "report.html")
    check(re.search(r"^training pictures: 8; of 32 labels \d+ known, \d+ present and \d+ absent$", said,
                    re.M), f"what the mask left: {said}")
    run(0, *TRAIN, "--n-ctx", "2", "--cache", "cache", "--out", "full", "--epochs", "2", "--seed", "3")
    full = report("full")
    check(full["stopped_early"] is False and set(full["settings"]) == {
        "mask-seed", "attn-dim", "mlp-hidden", "pseudo-from-epoch", "pseudo-weight"}
        and full["settings"]["mask-seed"] == 3 and full["settings"]["pseudo-from-epoch"] == 1,
        f"settings: {full.get('settings')}")

    # A finished run that is resumed is as it was.
    left = sorted(os.listdir("full"))
    check(sum(name.startswith("events.out.tfevents") for name in left) == 1, f"full: {left}")
    run(0, *TRAIN, "--n-ctx", "2", "--cache", "cache", "--out", "full", "--epochs", "2", "--seed", "3",
        "--resume")
    check(sorted(os.listdir("full")) == left, f"after --resume: {os.listdir('full')}, before {left}")
    check({**report("full"), "seconds": full["seconds"]} == full,
          f"after --resume: {report('full')}, before {full}")
    check(len(pathlib.Path("full/metrics.jsonl").read_text().splitlines()) == 2, "full/metrics.jsonl")

    check_state()

    # The seed of the mask is that of the run.
    for more, expected in (
            (["--single-positive", "random", "--seed", "2"], "single positive (random), mask seed 1202"),
            (["--single-positive", "random", "--mask-seed", "7"], "single positive (random), mask seed 7"),
            (["--removal-rate", "0.4"], "40 % hidden labels, mask seed 0")):
        run(0, TRAIN_CSV, *SET, *CLIP, "--method", "zero-shot", "--cache", "cache", "--out", "seeded",
            *more)
        check(report("seeded")["protocol"] == expected, f"protocol: {report('seeded')['protocol']}")
        shutil.rmtree("seeded")

    # A run without training has no state, and is not overwritten either.
    untrained = [*PLAIN, "--features", "on-the-fly", "--out", "zero", "--method"]
    run(0, *untrained, "zero-shot")
    check(sorted(os.listdir("zero")) == ["config.toml", "report.html", "report.json"],
          f"zero-shot: {os.listdir('zero')}")
    before = pathlib.Path("zero/report.json").read_bytes()
    for more in ([], ["--resume"]):
        refused(2, "--out: zero holds a finished run", *untrained, "linear-pooled", *more)
    refused(2, "--out: full holds a finished run .name another folder", *TRAIN, "--out", "full")
    refused(2, "--out: full holds the run of a training program, by its config.toml", f"{PROGRAMS}/quickstart",
            "--out", "full")
    check(pathlib.Path("zero/report.json").read_bytes() == before, "zero/report.json was touched")
    check("best_epoch" not in report("zero") and report("zero")["held_out_mAP"] > 0, "zero-shot")


shutil.rmtree(SCRATCH, ignore_errors=True)
os.makedirs(SCRATCH)
os.chdir(SCRATCH)
data_sets.write_all("sets")
shutil.copy(f"{DATA}/scenes_clip.safetensors", "clip.safetensors")
check_bad_config()
check_round_trip()
check_early()
check_no_effect()
check_cache()
check_positives_only()
check_cache_of_others()
check_fingerprint()
check_passes()
check_few_categories()
check_results()
check_one_epoch()
check_other_bytes()
check_resumed_on_the_fly()
check_stop()
finish()
