#!/usr/bin/env python3
"""Writes missing_labels.hpp: the protocols of tests/data/missing_labels_test.cpp, by NumPy.

    python3 tests/reference/missing_labels.py > tests/reference/missing_labels.hpp
    python3 tests/reference/missing_labels.py --check tests/reference/missing_labels.hpp

The global generator of NumPy is used where published code uses it; it is the legacy one.
"""
import numpy as np

from fill import Header


def pattern(n, n_cls):
    return np.array([[1 if (7 * i + 3 * k) % 5 < 2 else -1 for k in range(n_cls)] for i in range(n)])


def varied(n, n_cls):
    """Rows with anything from no positive to many; some entries are not known."""
    def entry(i, k):
        if (i + 2 * k) % 23 == 0:
            return 0
        return 1 if (i * i + 5 * k * k + i * k) % 11 < i % 12 else -1
    return np.array([[entry(i, k) for k in range(n_cls)] for i in range(n)])


def single_positive(labels, seed):
    state = np.random.RandomState(seed)
    kept = []
    for row in labels:
        positives, negatives = np.flatnonzero(row > 0), np.flatnonzero(row <= 0)
        state.shuffle(positives)
        state.shuffle(negatives)
        kept.append(positives[0])
    return kept


def known_label_proportion(labels, proportion, seed):
    np.random.seed(seed)
    return np.where(np.random.random(labels.shape) < proportion, labels, 0)


def random_per_sample(labels, rate, seed):
    np.random.seed(seed)
    return np.where(np.random.random(labels.shape) < rate, 0, labels)


def fixed_per_class(labels, n, seed):
    np.random.seed(seed)
    observed = np.zeros_like(labels)
    for c in range(labels.shape[1]):
        for state in (1, -1):
            rows = np.flatnonzero(labels[:, c] == state)
            observed[np.random.choice(rows, min(n, len(rows)), replace=False), c] = state
    return observed


def missing_positives(labels, divisor, seed):
    state = np.random.RandomState(seed)
    observed = np.zeros_like(labels)
    for row, out in zip(labels, observed):
        positives = np.flatnonzero(row > 0)
        state.shuffle(positives)
        out[positives[: len(positives) // divisor + 1]] = 1
    return observed


def held_out(n, seed, share):
    order = np.random.RandomState(seed).permutation(n)
    return np.sort(order[n - int(np.round(share * n)):])


def main():
    out = Header("missing_labels.py", "missing_labels")
    labels = varied(24, 9)
    out.add("kSinglePositive", single_positive(pattern(12, 9), 1200), "pattern(12, 9), seed 1200")
    out.add("kKnownLabelProportion", known_label_proportion(labels, 0.3, 5), "varied(24, 9), 0.3, seed 5")
    out.add("kRandomPerSample", random_per_sample(labels, 0.6, 5), "varied(24, 9), 0.6, seed 5")
    out.add("kFixedPerClass", fixed_per_class(labels, 4, 3), "varied(24, 9), 4, seed 3")
    out.add("kFixedPerClassMany", fixed_per_class(labels, 12, 0), "varied(24, 9), 12, seed 0")
    out.add("kThreeQuarters", missing_positives(labels, 2, 7), "varied(24, 9), seed 7")
    out.add("kTwoFifths", missing_positives(labels, 5, 7), "varied(24, 9), seed 7")
    out.add("kHeldOut", held_out(43, 1200, 0.2), "of 43 rows, seed 1200, share 0.2")
    voc = held_out(5717, 1200, 0.2)
    out.add("kHeldOutVoc", [len(voc), voc[0], voc[-1], voc.sum()], "of 5717 rows: size, first, last, sum")
    out.finish()


if __name__ == "__main__":
    main()
