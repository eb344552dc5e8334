"""The metrics side by side with scikit-learn and plain NumPy, on the same data, in turn.

    python3 benchmarks/compare/metrics.py --program build/release/benchmarks/benchmark_metrics

AP in three definitions (scikit-learn: its one), precision, recall and F1 at 0.5 and top-3, and
the calibration error. NumPy is written as the projects of the field do: a stable sort a
category, cumulative sums, vectors over pictures. Prints seconds of the core's time, the median
of the runs and their spread, and stops if values differ by more than 1e-9. With --resamples it
also times one resample of the bootstrap, as scikit-learn would do it (every category sorted
anew), against one of the program's. At last a line of JSON for each part and peer, "metrics" being
all of what scikit-learn has.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import time

import numpy as np
import sklearn
from sklearn.metrics import average_precision_score, precision_recall_fscore_support


def make_data(rows, columns):
    """The data of benchmarks/metrics.cpp."""
    z = (np.arange(rows * columns, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    present = (z % np.uint64(256)) < np.uint64(8)
    scores = (0.7 * ((z >> np.uint64(40)).astype(float) / 2**24) + 0.3 * present).astype(np.float32)
    return scores.reshape(rows, columns), present.reshape(rows, columns)


def numpy_aps(scores, present):
    values = []
    for c in range(scores.shape[1]):
        order = np.argsort(-scores[:, c], kind="stable")
        hit, ranked = present[order, c], scores[order, c]
        hits = np.cumsum(hit)
        precision = hits / np.arange(1, len(hit) + 1)
        best = np.maximum.accumulate(precision[::-1])[::-1]
        end = np.append(np.nonzero(np.diff(ranked))[0], len(hit) - 1)
        steps = np.diff(hits[end], prepend=0)
        values.append([precision[hit].sum() / (hits[-1] + 1e-8), best[hit].sum() / hits[-1],
                       (steps * precision[end]).sum() / hits[-1]])
    return np.mean(values, axis=0)[2]


def sklearn_aps(scores, present):
    return average_precision_score(present, scores, average="macro")


def counts_f1(predicted, present):
    right, chosen, there = (predicted & present).sum(0), predicted.sum(0), present.sum(0)
    cp, cr = np.mean(right / np.maximum(chosen, 1)), np.mean(right / there)
    op, orr = right.sum() / chosen.sum(), right.sum() / there.sum()
    _ = 2 * cp * cr / (cp + cr), np.mean(2 * right / (chosen + there))
    return 2 * op * orr / (op + orr)


def sklearn_f1(predicted, present):
    precision_recall_fscore_support(present, predicted, average="macro", zero_division=0)
    return precision_recall_fscore_support(present, predicted, average="micro", zero_division=0)[2]


def top_3(scores):
    predicted = np.zeros(scores.shape, bool)
    np.put_along_axis(predicted, np.argsort(-scores, axis=1, kind="stable")[:, :3], True, axis=1)
    return predicted


def calibration_error(scores, present):
    p, y = scores.ravel().astype(float), present.ravel()
    bins = np.clip(np.digitize(p, np.arange(16) / 15) - 1, 0, 14)
    gaps = np.bincount(bins, weights=y, minlength=15) - np.bincount(bins, weights=p, minlength=15)
    return np.abs(gaps).sum() / len(p)


PARTS = {
    "AP": (sklearn_aps, numpy_aps),
    "threshold": (lambda s, y: sklearn_f1(s > 0.5, y), lambda s, y: counts_f1(s > 0.5, y)),
    "top 3": (lambda s, y: sklearn_f1(top_3(s), y), lambda s, y: counts_f1(top_3(s), y)),
    "ECE": (None, calibration_error),
}


def timed(body, *arguments):
    start = time.process_time()
    value = body(*arguments)
    return time.process_time() - start, value


def run_program(arguments, replicates):
    done = subprocess.run(
        [arguments.program, str(arguments.rows), str(arguments.columns), "1", str(replicates)],
        capture_output=True, text=True, check=True).stdout
    found = re.findall(r"^(.+?) +median ([\d.]+) s .*?(?:value (\S+))?$", done, re.M)
    return {name: (float(seconds), float(value or 0)) for name, seconds, value in found}


def spread(seconds):
    return f"median {statistics.median(seconds):.3f} s  ({min(seconds):.3f} to {max(seconds):.3f})"


def print_record(name, ours, peers, who):
    version = sklearn.__version__ if who == "scikit-learn" else np.__version__
    print(json.dumps({
        "name": name,
        "ours_seconds": statistics.median(ours),
        "peer_seconds": statistics.median(peers),
        "ratio": statistics.median(b / max(a, 1e-4) for a, b in zip(ours, peers)),
        "spread": (max(ours) - min(ours)) / max(statistics.median(ours), 1e-4),
        "peer": f"{who} {version}"}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--rows", type=int, default=40000)
    parser.add_argument("--columns", type=int, default=80)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--resamples", type=int, default=0)
    arguments = parser.parse_args()
    scores, present = make_data(arguments.rows, arguments.columns)
    times = {}
    for _ in range(arguments.runs):
        ours = run_program(arguments, arguments.resamples)
        for name, (by_sklearn, by_numpy) in PARTS.items():
            times.setdefault((name, "trmml"), []).append(ours[name][0])
            for who, body in (("scikit-learn", by_sklearn), ("NumPy", by_numpy)):
                if body is not None:
                    seconds, value = timed(body, scores, present)
                    times.setdefault((name, who), []).append(seconds)
                    if abs(value - ours[name][1]) > 1e-9:
                        sys.exit(f"{name}: {who} has {value!r}, trmml {ours[name][1]!r}")
        if arguments.resamples:
            rows = np.random.RandomState(0).randint(arguments.rows, size=arguments.rows)
            times.setdefault(("one resample", "trmml"), []).append(
                ours["bootstrap"][0] / arguments.resamples)
            times.setdefault(("one resample", "scikit-learn"), []).append(
                timed(lambda: sklearn_aps(scores[rows], present[rows]))[0])
    print(f"{arguments.rows} x {arguments.columns}, scikit-learn {sklearn.__version__}, "
          f"NumPy {np.__version__}")
    for (name, who), seconds in times.items():
        ratio = statistics.median(b / max(a, 1e-4) for a, b in zip(times[name, "trmml"], seconds))
        print(f"{name:<12} {who:<12} {spread(seconds)}  {ratio:.1f} times ours")
    for (name, who), seconds in times.items():
        if who != "trmml":
            print_record(f"metrics_{name}_{who}".lower().replace(" ", "_").replace("-", "_"), times[name, "trmml"], seconds, who)
    shared = [name for name, who in times if who == "scikit-learn" and name in PARTS]
    print_record("metrics", *(
        [sum(run) for run in zip(*(times[name, who] for name in shared))] for who in ("trmml", "scikit-learn")), "scikit-learn")


if __name__ == "__main__":
    main()
