#!/usr/bin/env python3
"""Writes metrics.hpp: random columns and what scikit-learn and NumPy say about them.

    pip install scikit-learn   (in a virtual environment)
    python tests/reference/metrics.py > tests/reference/metrics.hpp

Definition (c) and all precisions, recalls and F1 are scikit-learn's; (a) and (b) are
written here with cumulative sums and the precision-recall curve of the VOC development
kit, the way the projects that use them do, not the way trmml does.
"""
import platform
import textwrap

import numpy as np
import sklearn
from sklearn.metrics import average_precision_score, precision_recall_fscore_support

SEED = 20240726
ROWS, COLUMNS = 48, 6
THRESHOLD, TOP_K = 0.5, 3


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
    print("\n}  // namespace reference\n// clang-format on")


if __name__ == "__main__":
    main()
