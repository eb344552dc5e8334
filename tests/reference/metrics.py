#!/usr/bin/env python3
"""Writes metrics.hpp: random columns and what scikit-learn and NumPy say about them.

    pip install scikit-learn   (in a virtual environment)
    python tests/reference/metrics.py > tests/reference/metrics.hpp

Definition (c) and all precisions, recalls and F1 are scikit-learn's; (a) and (b) are
written here with cumulative sums and the precision-recall curve of the VOC development
kit, the way the projects that use them do, not the way trmml does. Scores of kHash columns
are not written down: both sides make them from SplitMix64. The intervals of the
bootstrap come from resampled matrices that scikit-learn ranks again each time.
"""
import platform
import textwrap

import numpy as np
import sklearn
from sklearn.metrics import (average_precision_score, f1_score,
                             precision_recall_fscore_support)

SEED = 20240726
ROWS, COLUMNS = 48, 6
THRESHOLD, TOP_K, BINS = 0.5, 3, 15
HASH_ROWS, RESAMPLES = 1500, 2000
MASK = (1 << 64) - 1


def at_positives(scores, truth):
    order = np.argsort(-scores, kind="stable")
    hit = truth[order] == 1
    hits = np.cumsum(hit).astype(float)
    hits[~hit] = 0
    return np.sum(hits / np.arange(1, len(hit) + 1)) / (hit.sum() + 1e-8)


def interpolated(scores, truth):
    hit = truth[np.argsort(-scores, kind="stable")] == 1
    recall = np.concatenate([[0], np.cumsum(hit) / hit.sum(), [1]])
    precision = np.concatenate([[0], np.cumsum(hit) / np.arange(1, len(hit) + 1), [0]])
    for i in range(len(precision) - 2, -1, -1):
        precision[i] = max(precision[i], precision[i + 1])
    steps = np.where(recall[1:] != recall[:-1])[0]
    return np.sum((recall[steps + 1] - recall[steps]) * precision[steps + 1])


def per_class(metric, scores, labels):
    values = []
    for c in range(labels.shape[1]):
        known = labels[:, c] != 0
        values.append(metric(scores[known, c], labels[known, c]))
    return values


def f1_family(predicted, labels):
    columns, hits, chosen, present = [], [], [], []
    for c in range(labels.shape[1]):
        known = labels[:, c] != 0
        truth, guess = labels[known, c] == 1, predicted[known, c]
        columns.append(precision_recall_fscore_support(
            truth, guess, average="binary", zero_division=0)[:3])
        chosen.append(guess)
        present.append(truth)
    cp, cr, cf1 = np.mean(columns, axis=0)
    op, orr, of1, _ = precision_recall_fscore_support(
        np.concatenate(present), np.concatenate(chosen), average="binary", zero_division=0)
    return [cp, cr, 2 * cp * cr / (cp + cr), cf1, op, orr, of1]


def top_k(scores, k):
    predicted = np.zeros(scores.shape, bool)
    for row, order in enumerate(np.argsort(-scores, axis=1, kind="stable")):
        predicted[row, order[:k]] = True
    return predicted


def calibration(scores, labels, bins=BINS):
    known = labels != 0
    p, y = scores[known], labels[known] == 1
    bin_of = np.clip(np.digitize(p, np.arange(bins + 1) / bins) - 1, 0, bins - 1)
    counts = np.bincount(bin_of, minlength=bins)
    gaps = [abs(y[bin_of == m].mean() - p[bin_of == m].mean()) if counts[m] else 0
            for m in range(bins)]
    return np.sum(counts * gaps) / len(p), counts


def splitmix64(places):
    z = (places.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def hash_columns():
    """Scores and labels [HASH_ROWS, 6]: random, many ties, constant, positive at the top
    of one tie, all absent, all present."""
    bits = splitmix64(np.arange(HASH_ROWS))
    labels = np.where(bits % np.uint64(256) < 20, 1, -1)
    fine = (bits >> np.uint64(40)).astype(float) / 2**24
    coarse = np.floor(8 * fine) / 8
    scores = [fine, coarse, np.full(HASH_ROWS, 0.25), np.where(labels == 1, 0.75, coarse),
              fine, fine]
    truth = [labels] * 4 + [np.full(HASH_ROWS, -1), np.full(HASH_ROWS, 1)]
    return np.stack(scores, 1), np.stack(truth, 1)


def mersenne_twister_64(seed):
    """std::mt19937_64, from the paper of Nishimura (2000)."""
    n, m = 312, 156
    state = [seed]
    for i in range(1, n):
        state.append((6364136223846793005 * (state[-1] ^ state[-1] >> 62) + i) & MASK)
    while True:
        for i in range(n):
            y = state[i] & (MASK ^ 0x7FFFFFFF) | state[(i + 1) % n] & 0x7FFFFFFF
            state[i] = state[(i + m) % n] ^ y >> 1 ^ (0xB5026F5AA96619E9 if y & 1 else 0)
        for x in state:
            x ^= x >> 29 & 0x5555555555555555
            x ^= x << 17 & 0x71D67FFFEDA60000
            x ^= x << 37 & 0xFFF7EEE000000000
            yield x ^ x >> 43


def draw_counts(seed, rows, resamples):
    """How often each row is drawn, of the high 32 bits by multiplication and rejection."""
    numbers = mersenne_twister_64(seed)
    counts = np.zeros((resamples, rows), int)
    for count in counts:
        for _ in range(rows):
            product = next(numbers) // 2**32 * rows
            while product % 2**32 < 2**32 % rows:
                product = next(numbers) // 2**32 * rows
            count[product // 2**32] += 1
    return counts


def bootstrap(scores, labels, rng):
    values = []
    for _ in range(RESAMPLES):
        rows = rng.randint(len(scores), size=len(scores))
        aps = []
        for c in range(scores.shape[1]):
            s, y = scores[rows, c], labels[rows, c]
            s, y = s[y != 0], y[y != 0] == 1
            if 0 < y.sum() < len(y):
                aps.append(average_precision_score(y, s))
        values.append(np.mean(aps))
    return [*np.percentile(values, [2.5, 97.5]), np.std(values, ddof=1)]


def array(kind, name, values, comment=""):
    texts = [repr(float(v)) if kind == "double" else str(int(v)) for v in values]
    body = textwrap.fill(", ".join(texts), 100, initial_indent="    ", subsequent_indent="    ")
    note = f"  // {comment}" if comment else ""
    print(f"inline constexpr {kind} {name}[] = {{{note}\n{body}}};")


def main():
    rng = np.random.RandomState(SEED)
    truth = np.where(rng.rand(ROWS, COLUMNS) < 0.3, 1, -1)
    scores = 1 / (1 + np.exp(-(0.9 * truth + 0.4 + rng.randn(ROWS, COLUMNS))))
    scores[:, :3] = np.round(scores[:, :3], 1)  # many equal scores in three columns
    partial = np.where(rng.rand(ROWS, COLUMNS) < 0.6, truth, 0)

    print("#pragma once\n")
    print(f"// Written by metrics.py: seed {SEED}, Python {platform.python_version()}, "
          f"NumPy {np.__version__}, scikit-learn {sklearn.__version__}.\n")
    print("// clang-format off\nnamespace reference {\n")
    print(f"inline constexpr int kRows = {ROWS};\ninline constexpr int kColumns = {COLUMNS};")
    array("double", "kScores", scores.ravel(), "[kRows, kColumns]")
    for name, labels in (("Full", truth), ("Partial", partial)):
        array("signed char", f"k{name}Labels", labels.ravel(), "[kRows, kColumns]")
        array("double", f"k{name}AtPositives", per_class(at_positives, scores, labels))
        array("double", f"k{name}Interpolated", per_class(interpolated, scores, labels))
        array("double", f"k{name}TieGrouped", per_class(
            lambda s, y: average_precision_score(y == 1, s), scores, labels))
        fields = "CP, CR, CF1 of means, CF1 mean of classes, OP, OR, OF1"
        array("double", f"k{name}Threshold", f1_family(scores > THRESHOLD, labels), fields)
        array("double", f"k{name}TopK", f1_family(top_k(scores, TOP_K), labels), fields)
        error, counts = calibration(scores, labels)
        array("double", f"k{name}CalibrationError", [error], f"{BINS} bins")
        array("int", f"k{name}CalibrationEntries", counts, "by bin")
        array("double", f"k{name}Interval", bootstrap(scores, labels, rng),
              f"2.5 and 97.5 %, standard error of {RESAMPLES} resamples, tie_grouped")
    array("double", "kFullF1Score", [
        f1_score(truth == 1, scores > THRESHOLD, average=kind, zero_division=0)
        for kind in ("macro", "micro")], "f1_score: macro, micro")
    values, signs = hash_columns()
    print(f"inline constexpr int kHashRows = {HASH_ROWS};")
    for name, metric in (("AtPositives", at_positives), ("Interpolated", interpolated),
                         ("TieGrouped", lambda s, y: average_precision_score(y == 1, s))):
        array("double", f"kHash{name}", per_class(metric, values[:, :4], signs[:, :4]))
    array("int", "kDrawCounts", draw_counts(7, 10, 4).ravel(), "[4, 10], seed 7")
    print("\n}  // namespace reference\n// clang-format on")


if __name__ == "__main__":
    main()
