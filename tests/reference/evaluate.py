"""Compares the report of the program `evaluate` with scikit-learn on new random files.

    evaluate.py compare --program build/dev/examples/evaluate [--seed 1] [--cases 12]

Every case has another shape, file format, dtype, share of unknown labels and of ties, with
categories that are all absent, all present or have one score only. Compared are AP in three
definitions for each category, precision, recall and F1 at a threshold and top-k, calibration,
and the interval of the bootstrap, for which the resamples are drawn here again and ranked by
scikit-learn one by one.

Needs numpy and scikit-learn; without them it says "SKIPPED:" and ends well.
"""

import argparse
import csv
import importlib.util
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

KINDS = [("csv", "float64"), ("npy", "float32"), ("npy", "float64"), ("safetensors", "float32")]
RESAMPLES = 20


def write(path, role, values, names):
    if path.suffix == ".csv":
        with open(path, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["image"] + names)
            for row, line in enumerate(values.tolist()):
                writer.writerow([f"folder, {row}.jpg"] + line)
    elif path.suffix == ".npy":
        np.save(path, values)
    else:
        kind = {"float32": "F32", "int8": "I8", "bool": "BOOL"}[values.dtype.name]
        header = json.dumps({role: {"dtype": kind, "shape": values.shape,
                                    "data_offsets": [0, values.nbytes]}}).encode()
        path.write_bytes(struct.pack("<Q", len(header)) + header + values.tobytes())


def make_case(rng, dtype):
    rows, columns = rng.randint(30, 900), rng.randint(5, 40)
    labels = np.where(rng.rand(rows, columns) < rng.uniform(0.05, 0.5), 1, -1)
    logits = 1.2 * labels + 2 * rng.randn(rows, columns)
    scores = 1 / (1 + np.exp(-logits))
    tied = rng.rand(columns) < 0.4
    scores[:, tied] = np.round(scores[:, tied], 1)
    scores[:, 0] = 0.25
    labels[rng.rand(rows, columns) < rng.choice([0, 0.5])] = 0
    labels[:, 1], labels[:, 2] = -1, 1
    mask = rng.rand(rows, columns) < rng.choice([0, 0.2])
    return scores.astype(dtype), labels.astype(np.int8), mask


def category_aps(scores, labels):
    """[3, C]; NaN where there is no positive or no negative."""
    aps = np.full((3, scores.shape[1]), np.nan)
    for c in range(scores.shape[1]):
        known = labels[:, c] != 0
        s, y = scores[known, c].astype(float), labels[known, c]
        if (y == 1).any() and (y == -1).any():
            aps[:, c] = (metrics.at_positives(s, y), metrics.interpolated(s, y),
                         average_precision_score(y == 1, s))
    return aps


def f1_family(predicted, labels):
    columns, every_guess, every_truth = [], [], []
    for c in range(labels.shape[1]):
        known = labels[:, c] != 0
        truth, guess = labels[known, c] == 1, predicted[known, c]
        every_guess.append(guess)
        every_truth.append(truth)
        if truth.any():
            columns.append(precision_recall_fscore_support(
                truth, guess, average="binary", zero_division=0)[:3])
    cp, cr, cf1 = np.mean(columns, axis=0)
    op, orr, of1, _ = precision_recall_fscore_support(
        np.concatenate(every_truth), np.concatenate(every_guess), average="binary",
        zero_division=0)
    means = 2 * cp * cr / (cp + cr) if cp + cr else 0
    return {"CP": cp, "CR": cr, "CF1_of_means": means, "CF1_mean_of_classes": cf1, "OP": op,
            "OR": orr, "OF1": of1}


def interval(scores, labels, seed):
    values = []
    for counts in metrics.draw_counts(seed, len(scores), RESAMPLES):
        rows = np.repeat(np.arange(len(scores)), counts)
        aps = category_aps(scores[rows], labels[rows])[2]
        values.append(np.nanmean(aps))
    return {"low": np.percentile(values, 2.5), "high": np.percentile(values, 97.5),
            "standard_error": np.std(values, ddof=1)}


def check(name, got, expected, tolerance=1e-12):
    got = np.array([np.nan if v is None else v for v in np.ravel(np.array(got, object))], float)
    expected = np.ravel(expected).astype(float)
    if got.shape != expected.shape or not np.allclose(
            got, expected, rtol=0, atol=tolerance, equal_nan=True):
        sys.exit(f"{name}: expected {expected.tolist()}, got {got.tolist()}")


def compare_case(arguments, number, folder):
    rng = np.random.RandomState(1000 * arguments.seed + number)
    ending, dtype = KINDS[number % len(KINDS)]
    scores, labels, mask = make_case(rng, dtype)
    names = [f"category {c}, \"{c}\"" for c in range(scores.shape[1])]
    report_path = folder / "report.json"
    command = [arguments.program, "--quiet", "--out", str(report_path), "--seed", str(number),
               "--ap", "tie_grouped", "--bootstrap", str(RESAMPLES)]
    for role, values in (("scores", scores), ("labels", labels), ("mask", mask)):
        path = folder / f"{role}.{ending}"
        write(path, role, values.astype(np.int8) if (role, ending) == ("mask", "csv") else values,
              names)
        command += [f"--{role}", str(path)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    report = json.loads(report_path.read_text())

    known = np.where(mask, 0, labels)
    wide = scores.astype(float)
    aps = category_aps(scores, known)
    for i, name in enumerate(report["mAP_by_definition"]):
        check(f"mAP {name}", report["mAP_by_definition"][name], np.nanmean(aps[i]))
        check(f"AP {name}", [c[f"AP_{name}"] for c in report["categories"]], aps[i])
    check("per_class_AP", list(report["per_class_AP"].values()), aps[2])
    check("skipped", [report["skipped_without_positive"], report["skipped_without_negative"]],
          [(~(known == 1).any(0)).sum(), ((known == 1).any(0) & ~(known == -1).any(0)).sum()])
    top = f1_family(metrics.top_k(wide, 3), known)
    for key, value in f1_family(wide > 0.5, known).items():
        check(f"at_threshold {key}", report["at_threshold"][key], value)
        check(f"at_top_k {key}", report["at_top_k"][key], top[key])
    error, counts = metrics.calibration(wide, known)
    check("ECE", report["ECE"], error)
    check("bins", [b["entries"] for b in report["calibration_bins"]], counts)
    if len(scores) < 400:  # slow here
        for key, value in interval(scores, known, number).items():
            check(f"interval {key}", report["mAP_interval"][key], value)
    if ending == "csv" and list(report["per_class_AP"]) != names:
        sys.exit("names: expected those of the header")

    # Logits: the same ranking, and nearly the same probabilities.
    if ending == "npy" and scores.min() > 0 and scores.max() < 1:
        np.save(folder / "scores.npy", np.log(wide / (1 - wide)))
        subprocess.run(command + ["--logits"], check=True, stdout=subprocess.DEVNULL)
        logits = json.loads(report_path.read_text())
        check("mAP of logits", logits["mAP"], report["mAP"], 0.01)  # ties may part
        check("ECE of logits", logits["ECE"], error, 1e-3)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["compare"])
    parser.add_argument("--program", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=12)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(arguments.cases):
            compare_case(arguments, number, pathlib.Path(folder))
    print(f"{arguments.cases} cases agree with scikit-learn {sklearn.__version__}")


if __name__ == "__main__":
    for package in ("numpy", "sklearn"):
        if importlib.util.find_spec(package) is None:
            print(f"SKIPPED: the Python package {package} is not installed")
            sys.exit(0)
    import numpy as np
    import sklearn
    from sklearn.metrics import average_precision_score, precision_recall_fscore_support

    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    import metrics
    main()
