"""Draws docs/images/growth.svg from the file that benchmarks/run_all wrote.

    python3 benchmarks/compare/plot_growth.py --json bench.json --out docs/images/growth.svg

Needs matplotlib.
"""

import argparse
import json
import pathlib

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "growth"  # the same file from the same numbers
import matplotlib.pyplot as plt  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    records = [r for r in json.loads(arguments.json.read_text())["benchmarks"] if r["name"].startswith("growth_c")]
    by_categories = sorted((r for r in records if r["regions"] == 196), key=lambda r: r["categories"])
    by_regions = sorted((r for r in records if r["categories"] == 80), key=lambda r: r["regions"])
    figure, axes = plt.subplots(1, 3, figsize=(10, 3.2), layout="constrained")
    for axis, rows, key, value, unit in (
            (axes[0], by_categories, "categories", "ours_seconds", "seconds a step"),
            (axes[1], by_categories, "categories", "peak_memory_mb", "memory of a step, GB"),
            (axes[2], by_regions, "regions", "ours_seconds", "seconds a step")):
        x = [r[key] for r in rows]
        y = [r[value] / (1024 if value == "peak_memory_mb" else 1) for r in rows]
        axis.loglog(x, y, "o-", color="#1f6f8b", label="measured")
        if value == "ours_seconds" and key == "categories":
            axis.loglog(x, [y[-1] * v / x[-1] for v in x], "--", color="#999999", label="proportional")
            axis.legend(frameon=False)
        if value == "peak_memory_mb":
            axis.axhline(6, linestyle=":", color="#999999")
        axis.set_xlabel(key)
        axis.set_ylabel(unit)
        axis.grid(True, which="major", color="#e5e5e5")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(arguments.out, metadata={"Date": None})


if __name__ == "__main__":
    main()
