#!/usr/bin/env python3
"""Writes method.hpp: matching with whole images and cells, the total loss, the linear probe, from their equations.

    python3 tests/reference/method.py > tests/reference/method.hpp
    python3 tests/reference/method.py --check tests/reference/method.hpp
"""
import numpy as np
import torch

from fill import Header, fill, fill_labels

B, C, D, R = 5, 4, 6, 3
ABSENT = -1.0  # stands for a term that is not there: the terms themselves are >= 0


def unit(x):
    return x / x.norm(dim=-1, keepdim=True)


def text_matching(out):
    g, v, text, s, kappa = fill((B, D), 1), fill((B, R, D), 2), fill((2, C, D), 3), 7.0, 0.8
    image, pixel = torch.zeros(B, C), torch.zeros(B, C)
    for b in range(B):
        for c in range(C):
            present, absent = unit(text[0, c]), unit(text[1, c])
            image[b, c] = s * torch.dot(unit(g[b]), present - absent)
            w = torch.tensor([np.exp(kappa * s * float(torch.dot(unit(v[b, r]), present))) for r in range(R)])
            w = w / w.sum()
            pixel[b, c] = s * sum(w[r] * torch.dot(unit(v[b, r]), present - absent) for r in range(R))
    out.add("kTextImage", image, "[5, 4]")
    out.add("kTextPixel", pixel, "[5, 4]")


def asymmetric(z, targets, weights, per_batch=False, g_pos=1, g_neg=2, m=0.05):
    """Entry by entry: target t in [0, 1] and weight w, the focusing weights without gradient."""
    total = torch.zeros(())
    for b in range(z.shape[0]):
        for c in range(z.shape[1]):
            p = torch.sigmoid(z[b, c])
            pm = torch.clamp(p - m, min=0)
            present = -((1 - p.detach()) ** g_pos) * torch.log(p)
            absent = -(pm.detach() ** g_neg) * torch.log(1 - pm)
            t = float(targets[b, c])
            total = total + float(weights[b, c]) * (t * present + (1 - t) * absent)
    return total / z.shape[0] if per_batch else total * z.shape[1] / max(1.0, float(weights.sum()))


def known_only(z, labels, per_batch=False):
    return asymmetric(z, (labels > 0).double(), (labels != 0).double(), per_batch)


def splc(z, labels, correct, theta=0.6, margin=1.0, gamma=2.0):
    total = torch.zeros(())
    for b in range(B):
        for c in range(C):
            plus, minus = torch.sigmoid(z[b, c] - margin), torch.sigmoid(z[b, c])
            y = int(labels[b, c])
            if y == 1 or (y == 0 and correct and float(minus) > theta):
                total = total - (1 - plus.detach()) ** gamma * torch.log(plus)
            else:
                total = total - minus.detach() ** gamma * torch.log(1 - minus)
    return total / B


def single_positive(z, labels, pseudo, soft, absent_weight, pseudo_weight):
    targets, weights = torch.zeros(B, C), torch.zeros(B, C)
    for b in range(B):
        for c in range(C):
            y, extra = int(labels[b, c]), 0 if pseudo is None else int(pseudo[b, c])
            if y != 0:
                targets[b, c], weights[b, c] = y > 0, 1
            elif soft is not None:
                targets[b, c], weights[b, c] = soft[b, c], pseudo_weight
            elif extra > 0:
                targets[b, c], weights[b, c] = 1, pseudo_weight
            else:
                targets[b, c], weights[b, c] = 0, 1 if extra < 0 else absent_weight
    return asymmetric(z, targets, weights)


def contrast(features, anchors, prototypes, ready, t=0.1):
    total = torch.zeros(())
    for x in features:
        terms = []
        for b in range(B):
            for c in range(C):
                if anchors[b, c] > 0 and ready[c]:
                    e = {k: torch.exp(torch.dot(x[b, c] / x[b, c].norm(), unit(prototypes[k])) / t)
                         for k in range(C) if ready[k]}
                    terms.append(-torch.log(e[c] / sum(e.values())))
        if terms:
            total = total + sum(terms) / len(terms)
    return total


def loss_case(out, name, unknown="ignored", kd="kl", weights=(1, 1, 1, 0.1, 1), pseudo=False, soft=False, anchors=True,
              bank=True, per_batch=False, absent_weight=0.3, pseudo_weight=0.5, epoch=0):
    leaves = [3 * fill((B, C), 1), 3 * fill((B, C), 2), unit(fill((B, C, D), 3)), unit(fill((B, C, D), 4)),
              unit(fill((2, C, D), 5))]
    zr, zq, r, q, text = [x.clone().requires_grad_() for x in leaves]
    visual, ready = unit(fill((C, D), 6)), [True, True, False, True]
    labels = fill_labels((B, C), 7)
    extra = torch.where(labels == 0, fill_labels((B, C), 8), torch.zeros_like(labels)) if pseudo else None
    goal = torch.where(labels == 0, (fill((B, C), 9) + 1) / 2, (labels > 0).double()) if soft else None
    w_region, w_query, w_kd, w_con, w_pl = weights

    def classification(z):
        if unknown == "ignored":
            return known_only(z, labels, per_batch)
        if unknown == "splc":
            return splc(z, labels, epoch >= 1)
        return single_positive(z, labels, extra, goal, absent_weight, pseudo_weight)

    def on_pseudo(z):
        if unknown != "ignored" or (extra is None and goal is None):
            return None
        if goal is not None:
            return asymmetric(z, goal, (labels == 0).double(), per_batch)
        return known_only(z, extra, per_batch)

    terms = [classification(zr), classification(zq), on_pseudo(zr), on_pseudo(zq), None, None, None]
    if kd == "kl":
        p, logq = torch.softmax(zr.detach() / 2, 1), torch.log_softmax(zq / 2, 1)
        terms[4] = 4 / B * (p * (p.log() - logq)).sum()
    if kd == "cosine":
        terms[4] = sum(1 - torch.dot(q[b, c], r[b, c].detach()) / (q[b, c].norm() * r[b, c].norm().detach())
                       for b in range(B) for c in range(C)) / (B * C)
    if bank and w_con > 0:
        y = labels if extra is None or not anchors else labels + extra
        terms[5] = contrast((q, r), y, visual, ready)
        terms[6] = contrast((q, r), y, text[0], [True] * C)
    weight = [w_region, w_query, w_pl, w_pl, w_kd, w_con / 2, w_con / 2]
    total = sum(w * t for w, t in zip(weight, terms) if t is not None)
    total.backward()
    out.add(f"k{name}Terms", torch.tensor([ABSENT if t is None else float(t) for t in terms] + [float(total)]))
    grads = [torch.zeros_like(x) if x.grad is None else x.grad for x in (zr, zq, r, q, text)]
    out.add(f"k{name}Gradient", torch.cat([g.reshape(-1) for g in grads]), "of the total by z^r, z^q, r, q, text")


def loss(out):
    loss_case(out, "Default")
    loss_case(out, "Plain", kd="none", weights=(1, 1, 1, 0, 1))
    loss_case(out, "Weighted", kd="cosine", weights=(0.5, 2, 0.25, 0.7, 1), per_batch=True)
    loss_case(out, "Pseudo", pseudo=True, weights=(1, 1, 1, 0.1, 1.7))
    loss_case(out, "NoPseudoAnchors", pseudo=True, anchors=False, weights=(1, 1, 1, 0.1, 1.7))
    loss_case(out, "Soft", pseudo=True, soft=True, weights=(1, 1, 1, 0.1, 0.6))
    loss_case(out, "NoBank", bank=False)
    loss_case(out, "Absent", unknown="absent")
    loss_case(out, "AbsentPseudo", unknown="absent", pseudo=True, absent_weight=0.2, pseudo_weight=0.4)
    loss_case(out, "AbsentSoft", unknown="absent", pseudo=True, soft=True, pseudo_weight=0.3)
    loss_case(out, "SplcFirst", unknown="splc", epoch=0)
    loss_case(out, "SplcLater", unknown="splc", epoch=1)


def linear_probe(out):
    """Adam and the gradient of the logistic loss written out in NumPy."""
    x, labels = fill((14, 5), 1).numpy() * [1, 10, 0.1, 1, 3] + [0, 4, 0, -2, 0], fill_labels((14, 3), 2).numpy()
    new = fill((4, 5), 3).numpy()
    for assume in (False, True):
        decay, steps = 1e-2, 40
        mu, sigma = x.mean(0), x.std(0, ddof=1) + 1e-6
        z, y = (x - mu) / sigma, (labels > 0).astype(float)
        used = np.ones_like(y) if assume else (labels != 0).astype(float)
        theta = [np.zeros((5, 3)), np.zeros(3)]
        m, v = [np.zeros_like(t) for t in theta], [np.zeros_like(t) for t in theta]
        for k in range(steps):
            slope = (1 / (1 + np.exp(-(z @ theta[0] + theta[1]))) - y) * used / used.sum()
            gradient = [z.T @ slope + decay * 2 * theta[0] / 3, slope.sum(0)]
            rate = 0.05 * 0.5 * (1 + np.cos(np.pi * k / steps))
            for i, g in enumerate(gradient):
                m[i] = 0.9 * m[i] + 0.1 * g
                v[i] = 0.999 * v[i] + 0.001 * g * g
                theta[i] = theta[i] - rate * (m[i] / (1 - 0.9 ** (k + 1))) / (np.sqrt(v[i] / (1 - 0.999 ** (k + 1))) + 1e-8)
        name = "AssumeNegative" if assume else "Known"
        out.add(f"kLinear{name}", torch.tensor((new - mu) / sigma @ theta[0] + theta[1]), "[4, 3]")


if __name__ == "__main__":
    header = Header("method.py", "method")
    for part in (text_matching, loss, linear_probe):
        part(header)
    header.finish()
