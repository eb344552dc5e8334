#!/usr/bin/env python3
"""Writes training.hpp: the schedule of torch's own OneCycleLR, and a run of the training loop by torch's own optimizer.

    python3 tests/reference/training.py > tests/reference/training.hpp
    python3 tests/reference/training.py --check tests/reference/training.hpp
"""
import warnings

import torch

from fill import Header, fill, fill_labels
from method import known_only

warnings.filterwarnings("ignore")


def one_cycle(parameters, rates, steps, rise):
    optimizer = torch.optim.AdamW([{"params": [p], "lr": r, "weight_decay": d} for p, r, d in parameters], lr=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=rates, total_steps=steps, pct_start=rise, anneal_strategy="cos", cycle_momentum=True,
        base_momentum=0.85, max_momentum=0.95, div_factor=25, final_div_factor=1e4)
    return optimizer, schedule


def schedules(out):
    for steps, rise in ((10, 0.2), (24, 0.5), (37, 0.3), (3, 0.2)):
        optimizer, schedule = one_cycle([(torch.zeros(1, requires_grad=True), 1.0, 0.0)], [0.02], steps, rise)
        rates, momenta = [], []
        for _ in range(steps):
            rates.append(optimizer.param_groups[0]["lr"])
            momenta.append(optimizer.param_groups[0]["betas"][0])
            optimizer.step()
            if len(rates) < steps:
                schedule.step()
        out.add(f"kRate{steps}", rates, f"rise {rise}, largest 0.02")
        out.add(f"kMomentum{steps}", momenta)


def loop(out):
    """z = x W + b, all pictures in one step: 10 epochs are 10 steps."""
    n, d, c, steps = 12, 4, 3, 10
    x, labels = (fill((n, d), 1) * 2).float().double(), fill_labels((n, c), 2)
    w, b = fill((d, c), 3).requires_grad_(), (0.1 * fill((c,), 4)).requires_grad_()
    optimizer, schedule = one_cycle([(b, 0.2, 0.0), (w, 0.05, 0.3)], [0.2, 0.05], steps, 0.2)
    average, decay, clipped = [w.detach().clone(), b.detach().clone()], 0.7, 0
    for step in range(steps):
        loss = known_only(x @ w + b, labels)
        optimizer.zero_grad()
        loss.backward()
        clipped += float(torch.nn.utils.clip_grad_norm_([b, w], 0.25)) > 0.25
        optimizer.step()
        if step + 1 < steps:
            schedule.step()
        average = [decay * a + (1 - decay) * p.detach() for a, p in zip(average, (w, b))]
    assert 0 < clipped < steps, clipped
    out.add("kWeight", w, "[4, 3]")
    out.add("kBias", b, "[3]")
    out.add("kAverageWeight", average[0], "[4, 3]")
    out.add("kAverageBias", average[1], "[3]")


if __name__ == "__main__":
    header = Header("training.py", "training")
    for part in (schedules, loop):
        part(header)
    header.finish()
