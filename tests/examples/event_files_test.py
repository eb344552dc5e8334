"""The histograms that a training program writes, read by TensorBoard's own package.

    event_files_test.py TRAIN_CSV DATA SCRATCH

DATA is examples/data. Prints "SKIPPED:" where the package is missing.
"""

import json
import pathlib
import shutil
import sys

try:
    from tensorboard.backend.event_processing import event_accumulator
except ImportError:
    print("SKIPPED: Python package tensorboard is missing")
    sys.exit(0)

import data_sets
import programs
from programs import check

EPOCHS = 3
HELD_OUT = 4  # of the 12 training pictures
CATEGORIES = 4
CONTEXT = 5  # tokens, of two prompts that all categories share


def buckets(histogram):
    """(number of values, their sum), from the buckets: exact number, rough sum."""
    limits = histogram.bucket_limit
    width = (limits[-1] - histogram.min) / max(1, len(limits))
    middle = [limit - width / 2 for limit in limits]
    return sum(histogram.bucket), sum(n * x for n, x in zip(histogram.bucket, middle))


def main(program, data, scratch):
    shutil.rmtree(scratch, ignore_errors=True)
    data_sets.write_all(scratch / "sets")
    run = scratch / "run"
    programs.run(
        0, program, "--dataset", "csv", "--data", scratch / "sets/csv/train.csv", "--test-data",
        scratch / "sets/csv/test.csv", "--clip", data / "scenes_clip.safetensors", "--vocab",
        data / "scenes_merges.txt", "--resolution", 64, "--cache", scratch / "cache", "--views", 0,
        "--epochs", EPOCHS, "--batch-size", 4, "--patience", 0, "--n-ctx", CONTEXT, "--held-out",
        HELD_OUT / 12, "--known-label-proportion", 0.6, "--threads", 1, "--out", run)
    reader = event_accumulator.EventAccumulator(
        str(run), size_guidance={event_accumulator.HISTOGRAMS: 0})
    reader.Reload()
    check(sorted(reader.Tags()["histograms"]) == [
        "held_out_logits/absent", "held_out_logits/present", "prompts/context_norm"],
        f"tags: {reader.Tags()['histograms']}")
    both = [reader.Histograms(f"held_out_logits/{part}") for part in ("present", "absent")]
    norms = reader.Histograms("prompts/context_norm")
    metrics = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for epoch in range(EPOCHS):
        present, absent = (events[epoch] for events in both)
        check((present.step, absent.step) == (epoch, epoch), f"step of epoch {epoch}")
        present, absent = present.histogram_value, absent.histogram_value
        check(present.num + absent.num == HELD_OUT * CATEGORIES, "a value a held-out label")
        check(0 < present.num < HELD_OUT * CATEGORIES, "both kinds")
        for histogram in (present, absent, norms[epoch].histogram_value):
            count, total = buckets(histogram)
            width = (histogram.max - histogram.min) / max(1, len(histogram.bucket))
            check(count == histogram.num, "the buckets hold all values")
            check(abs(total - histogram.sum) <= 0.51 * width * count + 1e-6, "where they lie")
        # All present above all absent, if and only if every category is ranked perfectly.
        if present.min > absent.max:
            check(metrics[epoch]["held_out_mAP"] == 1.0, "separated, so mAP is 1")
        value = norms[epoch].histogram_value
        check(value.num == 2 * CONTEXT, f"a norm a context token: {value.num}")
        check(value.min > 0, "norms are positive")
    check(norms[0].histogram_value.sum != norms[-1].histogram_value.sum, "the prompts move")
    programs.finish()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(sys.argv[1], *map(pathlib.Path, sys.argv[2:]))
