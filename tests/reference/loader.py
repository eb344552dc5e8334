#!/usr/bin/env python3
"""Writes loader.hpp: the order of an epoch by the rule of trmml::epoch_order.

    python3 tests/reference/loader.py > tests/reference/loader.hpp
    python3 tests/reference/loader.py --check tests/reference/loader.hpp
"""
from core import MASK, derive_seed
from fill import Header


def mt19937_64(seed):
    """The generator of Nishimura and Matsumoto, as std::mt19937_64 seeds it."""
    x = [seed]
    for i in range(1, 312):
        x.append((6364136223846793005 * (x[-1] ^ (x[-1] >> 62)) + i) & MASK)
    while True:
        for k in range(312):
            y = (x[k] & ~0x7FFFFFFF) | (x[(k + 1) % 312] & 0x7FFFFFFF)
            x[k] = x[(k + 156) % 312] ^ (y >> 1) ^ (0xB5026F5AA96619E9 if y & 1 else 0)
        for y in x:
            y ^= (y >> 29) & 0x5555555555555555
            y ^= (y << 17) & 0x71D67FFFEDA60000
            y ^= (y << 37) & 0xFFF7EEE000000000
            yield y ^ (y >> 43)


def order(n, seed, epoch):
    return [i for _, i in sorted(zip(mt19937_64(derive_seed(seed, epoch, "order")), range(n)))]


def main():
    for number, value in zip(range(10000), mt19937_64(5489)):
        pass
    assert value == 9981545732273789042  # the 10000th output, by the C++ standard
    out = Header("loader.py", "loader")
    for seed, epoch in ((0, 0), (0, 1), (7, 0)):
        out.add(f"kOrder{seed}{epoch}", order(10, seed, epoch), f"10 pictures, seed {seed}, epoch {epoch}")
    out.finish()


if __name__ == "__main__":
    main()
