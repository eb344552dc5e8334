#!/usr/bin/env python3
"""Writes core.hpp: numbers of NumPy's legacy generator, and seeds by the rule of trmml::derive_seed.

    python3 tests/reference/core.py > tests/reference/core.hpp
    python3 tests/reference/core.py --check tests/reference/core.hpp
"""
import numpy as np

from fill import Header

MASK = (1 << 64) - 1
PURPOSES = [(0, 0, ""), (0, 0, "order"), (7, 3, "order"), (3, 7, "order"), (MASK, 12, "initial weights")]


def derive_seed(seed, epoch, purpose):
    """FNV-1a over the purpose and the bytes of seed and epoch in turn, then SplitMix64's finaliser."""
    pairs = [(number >> shift) & 255 for shift in range(0, 64, 8) for number in (seed, epoch)]
    h = 0xCBF29CE484222325
    for byte in list(purpose.encode()) + pairs:
        h = ((h ^ byte) * 0x100000001B3) & MASK
    h = ((h ^ (h >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    h = ((h ^ (h >> 27)) * 0x94D049BB133111EB) & MASK
    return h ^ (h >> 31)


def main():
    out = Header("core.py", "core")
    out.lines.append(f"// NumPy {np.__version__}")
    for seed in (0, 1200):
        state = np.random.RandomState(seed)
        out.add(f"kUniform{seed}", state.random_sample(6))
        numbers = np.arange(13)
        state.shuffle(numbers)
        out.add(f"kShuffled{seed}", numbers)
        out.add(f"kIntervals{seed}", [state.randint(0, high) for high in (1, 2, 3, 10, 16, 17, 1000, 2**31)],
                "below 1, 2, 3, 10, 16, 17, 1000, 2^31")
    # As halves of 32 bits: a double holds each exactly.
    seeds = [derive_seed(*case) for case in PURPOSES]
    out.add("kSeeds", [half for seed in seeds for half in (seed >> 32, seed & 0xFFFFFFFF)], "high, low half of each")
    out.finish()


if __name__ == "__main__":
    main()
