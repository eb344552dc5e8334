#!/usr/bin/env python3
"""Writes functional.hpp: the equations of include/trmml/functional, written a second time.

    python3 tests/reference/functional.py > tests/reference/functional.hpp
    python3 tests/reference/functional.py --check tests/reference/functional.hpp
"""
import torch
import torch.nn.functional as F

from fill import Header, fill, fill_labels

B, C, D, R, N = 4, 5, 6, 7, 30
unit = lambda x: F.normalize(x, dim=-1)


def loss_value(z, targets, weights, gp=1.0, gn=2.0, m=0.05, eps=1e-8, batch=False):
    """sum of w (t l+ + (1 - t) l-), divided"""
    p = torch.sigmoid(z)
    pm = torch.clamp(p - m, min=0)
    with torch.no_grad():
        fp, fn = (1 - p) ** gp, pm ** gn
    cost = -targets * fp * torch.log(p.clamp(min=eps)) - (1 - targets) * fn * torch.log((1 - pm).clamp(min=eps))
    total = (cost * weights).sum()
    return total / len(z) if batch else total * z.shape[1] / weights.sum().clamp(min=1)


def with_grad(f, x):
    x = x.clone().requires_grad_()
    y = f(x)
    y.backward()
    return y, x.grad


def losses(out):
    z, y = 6 * fill((B, C), 1), fill_labels((B, C), 1)
    w = (fill((B, C), 2) + 1) / 2
    t, known = (y > 0).double(), (y != 0).double()
    for name, weights, options in (("Default", known, {}), ("Weighted", known * w, {}), ("Batch", known, dict(batch=True)),
                                   ("Other", known, dict(gp=0.5, gn=3.0, m=0.2)), ("Bce", known, dict(gp=0.0, gn=0.0, m=0.0))):
        value, grad = with_grad(lambda x: loss_value(x, t, weights, **options), z)
        out.add(f"kLoss{name}", value)
        out.add(f"kLoss{name}Gradient", grad, "[4, 5]")
    value, grad = with_grad(lambda x: loss_value(x, (fill((B, C), 3) + 1) / 2, w), z)
    out.add("kLossSoft", value)
    out.add("kLossSoftGradient", grad, "[4, 5]")

    def splc(x, correct):
        present = (y > 0) | ((torch.sigmoid(x.detach()) > 0.6) & (y == 0) if correct else torch.zeros_like(y, dtype=torch.bool))
        p1, p0 = torch.sigmoid(x - 1), torch.sigmoid(x)
        focus = torch.where(present, 1 - p1, p0).detach() ** 2
        return -(focus * torch.where(present, torch.log(p1.clamp(min=1e-8)), torch.log((1 - p0).clamp(min=1e-8)))).sum() / B
    for correct in (False, True):
        value, grad = with_grad(lambda x: splc(x, correct), z)
        out.add(f"kSplc{'Corrected' if correct else 'Plain'}", value)
        out.add(f"kSplc{'Corrected' if correct else 'Plain'}Gradient", grad, "[4, 5]")


def distillation(out):
    student, teacher = 3 * fill((B, C), 4), 3 * fill((B, C), 5)
    kl = lambda tau: lambda s: tau ** 2 * F.kl_div(F.log_softmax(s / tau, 1), F.softmax(teacher / tau, 1), reduction="batchmean")
    for tau in (2.0, 0.5):
        value, grad = with_grad(kl(tau), student)
        out.add(f"kKl{'Two' if tau == 2 else 'Half'}", value)
        out.add(f"kKl{'Two' if tau == 2 else 'Half'}Gradient", grad, "[4, 5]")
    x, y = fill((B, C, D), 6), fill((B, C, D), 7)
    out.add("kCosine", (1 - F.cosine_similarity(x, y, dim=-1)).mean())


def contrast(out):
    x, y, P = fill((B, C, D), 8), fill_labels((B, C), 2), fill((C, D), 9)
    ready = torch.tensor([1, 1, 0, 1, 1]).bool()
    b, c = (y > 0).nonzero(as_tuple=True)

    def one(features, ready):
        keep = ready[c]
        logits = unit(features[b, c][keep]) @ unit(P[ready]).t() / 0.1
        position = torch.cumsum(ready, 0) - 1
        return F.cross_entropy(logits, position[c[keep]])
    out.add("kAnchors", c, "categories of the anchors, row-major")
    for name, mask in (("All", torch.ones(C).bool()), ("Ready", ready)):
        value, grad = with_grad(lambda f: one(f, mask), x)
        out.add(f"kContrast{name}", value)
        out.add(f"kContrast{name}Gradient", grad, "[4, 5, 6]")
    total, used = 0.0, 0
    f = unit(x[b, c])
    for i in range(len(f)):
        partners = [j for j in range(len(f)) if j != i and c[j] == c[i]]
        if partners:
            others = torch.tensor([j for j in range(len(f)) if j != i])
            denominator = torch.logsumexp(f[others] @ f[i] / 0.2, 0)
            total += -sum(f[j] @ f[i] / 0.2 - denominator for j in partners) / len(partners)
            used += 1
    out.add("kFeatureContrast", total / used)


def prototypes(out):
    P, ready = torch.zeros(C, D), [False] * C
    for step in range(3):
        x, y = unit(fill((B, C, D), 20 + step)), fill_labels((B, C), 3 + step)
        y[:, 3] = 0                                     # never seen
        y[:, 4] = 0 if step < 1 else y[:, 4]            # seen late
        for c in range(C):
            chosen = [x[b, c] for b in range(B) if y[b, c] > 0]
            if chosen:
                m = unit(torch.stack(chosen).mean(0))
                P[c] = unit(0.9 * P[c] + 0.1 * m) if ready[c] else m
                ready[c] = True
    out.add("kPrototypes", P, "[5, 6] after three updates")
    out.add("kReady", torch.tensor(ready).double(), "[5]")


def evidence(out):
    q, r = fill((N, C, D), 30), fill((N, C, D), 31)
    positive, negative, text = unit(fill((C, D), 32)), unit(fill((C, D), 33)), fill((C, D), 34)
    g, v = fill((N, D), 35), fill((N, R, D), 36)
    e1 = (unit(q) * (positive - negative)).sum(-1)
    share = torch.softmax(unit(r) @ unit(text).t() / 0.05, -1).diagonal(dim1=1, dim2=2)
    e2 = torch.log(share + 1e-4)
    e3 = torch.zeros(N, C)
    for n in range(N):
        for c in range(C):
            s = unit(v[n]) @ unit(text[c])
            e3[n, c] = unit(g[n]) @ unit(text[c]) + (torch.softmax(19 * s, 0) * s).sum()
    standard = lambda e: (e - e.mean(0)) / (e.std(0, unbiased=False) + 1e-6)
    u = (standard(e1) + standard(e2) + standard(e3)) / 3
    for name, e in (("Prototypes", e1), ("Relation", e2), ("ZeroShot", e3), ("Combined", u)):
        out.add(f"kEvidence{name}", e, "[30, 5]")
    out.add("kRelationPlain", torch.log(share), "[30, 5] without the floor")

    y = fill_labels((N, C), 9)
    kp, kn, unknown = (y > 0).sum(0).double(), (y < 0).sum(0).double(), (y == 0).sum(0)
    expected = unknown * (kp + 5 * kp.sum() / (kp + kn).sum()) / (kp + kn + 5)
    out.add("kExpected", expected, "[5]")
    labels, soft = torch.zeros(N, C), torch.zeros(N, C)
    for c in range(C):
        rows = sorted((n for n in range(N) if y[n, c] == 0), key=lambda n: -u[n, c].item())
        present, absent = int(0.6 * expected[c].item()), int(0.6 * (len(rows) - expected[c].item()))
        for n in rows[:present]:
            labels[n, c] = 1
        for n in rows[len(rows) - absent:]:
            labels[n, c] = -1
        border = u[rows[min(int(expected[c].item()), len(rows) - 1)], c]
        for n in range(N):
            soft[n, c] = torch.sigmoid(2 * (u[n, c] - border)) if y[n, c] == 0 else float(y[n, c] > 0)
    out.add("kRankLabels", labels, "[30, 5]")
    out.add("kSoftTargets", soft, "[30, 5]")


def thresholds(out):
    n = 60
    u, y = fill((n, 3), 40), fill_labels((n, 3), 11)
    u = u + 0.6 * y                                     # known labels agree with the evidence, mostly
    upper, lower = [], []
    for c in range(3):
        known = [(u[i, c].item(), int(y[i, c])) for i in range(n) if y[i, c] != 0]
        good = [t for t, _ in known if sum(e >= t for e, _ in known) >= 3 and
                sum(l > 0 for e, l in known if e >= t) >= 0.75 * sum(e >= t for e, _ in known)]
        upper.append(min(good) if good else float("inf"))
        good = [t for t, _ in known if sum(e <= t for e, _ in known) >= 3 and
                sum(l < 0 for e, l in known if e <= t) >= 0.8 * sum(e <= t for e, _ in known)]
        lower.append(max(good) if good else -float("inf"))
    out.add("kUpper", torch.tensor(upper), "[3], precision 0.75")
    out.add("kLower", torch.tensor(lower), "[3], precision 0.8")


def attention(out):
    q, k, v = fill((C, D), 50), fill((B, R, D), 51), fill((B, R, D), 52)
    for heads in (1, 2, 3):
        d = D // heads
        parts, maps = [], []
        for h in range(heads):
            s = slice(h * d, (h + 1) * d)
            a = torch.softmax(torch.einsum("cd,brd->bcr", q[:, s], k[..., s]) / d ** 0.5, -1)
            maps.append(a)
            parts.append(torch.einsum("bcr,brd->bcd", a, v[..., s]))
        out.add(f"kAttention{heads}", torch.stack(maps, 1), f"[4, {heads}, 5, 7]")
        out.add(f"kAttended{heads}", torch.cat(parts, -1), "[4, 5, 6]")


if __name__ == "__main__":
    header = Header("functional.py", "functional")
    for part in (losses, distillation, contrast, prototypes, evidence, thresholds, attention):
        part(header)
    header.finish()
