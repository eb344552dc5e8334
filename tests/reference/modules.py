#!/usr/bin/env python3
"""Writes modules.hpp: outputs of the modules whose parameters are filled by formula (fill.by_name).

    python3 tests/reference/modules.py > tests/reference/modules.hpp
    python3 tests/reference/modules.py --check tests/reference/modules.hpp
"""
import torch
import torch.nn.functional as F

from fill import Header, by_name, fill

B, C, D, R = 3, 4, 8, 5
unit = lambda x: F.normalize(x, dim=-1)


class Matcher:
    """The equations of RegionMatcher with parameters by name."""

    def __init__(self, d=D, hidden=2 * D, heads=1, layers=0, residual=False):
        self.d, self.hidden, self.heads, self.layers, self.residual = d, hidden, heads, layers, residual
        self.queries = by_name("queries", (C, D))

    def linear(self, name, x, out):
        return F.linear(x, by_name(name + ".weight", (out, x.shape[-1])), by_name(name + ".bias", (out,)))

    def norm(self, name, x):
        return F.layer_norm(x, (D,), by_name(name + ".weight", (D,)), by_name(name + ".bias", (D,)))

    def attend(self, name, x, memory):
        q, k, v = (self.linear(f"{name}.{p}_proj", y, self.d) for p, y in (("query", x), ("key", memory), ("value", memory)))
        w, maps, parts = self.d // self.heads, [], []
        for h in range(self.heads):
            s = slice(h * w, (h + 1) * w)
            maps.append(torch.softmax(q[..., s] @ k[..., s].transpose(-1, -2) / w ** 0.5, -1))
            parts.append(maps[-1] @ v[..., s])
        return self.linear(name + ".output_proj", torch.cat(parts, -1), D), torch.stack(maps).mean(0)

    def __call__(self, V, text):
        n = self.norm("region_norm", V)
        if self.layers == 0:
            add, A = self.attend("attention", self.norm("query_norm", self.queries), n)
            o = self.queries + add
        else:
            o = self.queries.expand(len(V), C, D)
            for i in range(self.layers):
                p = f"decoder{i}"
                x = self.norm(p + ".self_norm", o)
                o = o + self.attend(p + ".self_attention", x, x)[0]
                add, A = self.attend(p + ".cross_attention", self.norm(p + ".cross_norm", o), n)
                o = o + add
                o = o + self.linear(p + ".mlp_out", torch.relu(
                    self.linear(p + ".mlp_in", self.norm(p + ".mlp_norm", o), self.hidden)), D)
        r = unit(A @ V)
        q = self.linear("mlp_out", torch.relu(self.linear("mlp_in", self.norm("output_norm", o), self.hidden)), D)
        q = unit(r + q if self.residual else q)
        s, t = by_name("logit_scale", ()).exp(), unit(text)
        if len(text) == 2:
            logits = lambda x: s * ((x * t[0]).sum(-1) - (x * t[1]).sum(-1))
        else:
            logits = lambda x: s * ((x * t[0]).sum(-1) - by_name("category_bias", (C,)))
        return A, r, q, logits(r), logits(q)


def matcher(out):
    V, text = fill((B, R, D), 1), fill((2, C, D), 2)
    for name, options, prompts in (("Block", {}, 2), ("OnePrompt", {}, 1), ("Heads", dict(d=6, heads=3, hidden=5), 2),
                                   ("Residual", dict(residual=True), 2), ("Decoder", dict(layers=2, heads=2), 2)):
        m = Matcher(**options)
        m.queries.requires_grad_()
        x = V.clone().requires_grad_()
        result = m(x, text[:prompts])
        for field, value in zip(("Saliency", "Region", "Query", "RegionLogits", "QueryLogits"), result):
            out.add(f"k{name}{field}", value, str(list(value.shape)))
        (result[3].sum() + (result[4] * fill((B, C), 3)).sum()).backward()
        out.add(f"k{name}RegionGradient", x.grad, "[3, 5, 8]")
        out.add(f"k{name}QueryGradient", m.queries.grad, "[4, 8]")


def prompts(out):
    lengths, w, P, M = [2, 1, 3], 4, 2, 3
    prefix, names, suffix = fill((1, w), 1), fill((sum(lengths), w), 2), fill((2, w), 3)
    for specific in (False, True):
        ctx = by_name("ctx", (P, len(lengths), M, w) if specific else (P, M, w))
        for middle in (False, True):
            rows = torch.zeros(P, len(lengths), 1 + M + max(lengths) + 2, w)
            for p in range(P):
                for c, length in enumerate(lengths):
                    v = ctx[p, c] if specific else ctx[p]
                    name = names[sum(lengths[:c]):sum(lengths[:c + 1])]
                    cut = M // 2 if middle else M
                    sequence = torch.cat([prefix, v[:cut], name, v[cut:], suffix])
                    rows[p, c, :len(sequence)] = sequence
            out.add(f"kPrompts{'Specific' if specific else 'Generic'}{'Middle' if middle else 'End'}", rows, "[2, 3, 9, 4]")


if __name__ == "__main__":
    header = Header("modules.py", "modules")
    for part in (matcher, prompts):
        part(header)
    header.finish()
