"""Expected values of tests/data/missing_labels_test.cpp, by NumPy itself.

    python3 tests/reference/missing_labels.py
"""
import numpy as np

labels = np.array([[1 if (7 * i + 3 * k) % 5 < 2 else -1 for k in range(9)] for i in range(12)])
state = np.random.RandomState(1200)
kept = []
for row in labels:
    positives, negatives = np.flatnonzero(row > 0), np.flatnonzero(row <= 0)
    state.shuffle(positives)
    state.shuffle(negatives)
    kept.append(int(positives[0]))
print("numpy", np.__version__, "single positive:", ", ".join(map(str, kept)))
print("randint(0, 2) of RandomState(1200):", list(np.random.RandomState(1200).randint(0, 2, 12)))
print("random_sample of RandomState(0):", [repr(float(v)) for v in np.random.RandomState(0).random_sample(3)])
