#!/usr/bin/env python3
"""Expected outputs of the CLIP towers, from an independent small PyTorch implementation.

Written from the description of the architecture (docs), with PyTorch's own attention;
nothing of the C++ code is used. Weights and inputs are not random numbers but integers
hashed from (rank of the tensor's name among all names, index of the element), so that C++
makes the same ones and only outputs need to be stored. All in double precision.

    python3 towers.py           writes towers.hpp beside this file
    python3 towers.py --check   compares with the stored towers.hpp (exit status 1: differs)

Made with PyTorch 1.13.1, NumPy 1.24.2, one thread; there is no seed.
"""
import pathlib
import re
import sys

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

RESNET = dict(embed=8, width=8, layers=(2, 1, 1, 2), heads=4, resolution=64)
VIT = dict(embed=8, width=24, layers=2, heads=3, patch=8, resolution=32)
TEXT = dict(embed=8, vocab=40, context=12, width=16, layers=2, heads=2)


def hashed(stream, shape):
    """Doubles in [-0.5, 0.5), element j of stream i: a 32-bit mix of i and j."""
    count = int(np.prod(shape, dtype=np.int64))
    mask = np.uint64(0xFFFFFFFF)
    v = (np.arange(count, dtype=np.uint64) * np.uint64(2654435761)
         + np.uint64(stream) * np.uint64(40503) + np.uint64(12345)) & mask
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        v = ((v ^ (v >> np.uint64(shift))) * np.uint64(factor)) & mask
    v ^= v >> np.uint64(16)
    return torch.from_numpy(v.astype(np.float64) / 4294967296.0 - 0.5).reshape(shape)


def fill(module):
    """Gives every parameter and running statistic its hashed value."""
    state = {k: v for k, v in module.double().state_dict().items() if "num_batches" not in k}
    for rank, name in enumerate(sorted(state)):
        u = hashed(rank, state[name].shape)
        if name.endswith("running_var") or (u.dim() == 1 and name.endswith("weight")):
            u = u + 1.0
        elif u.dim() >= 2:
            u = u * (12.0 * u.shape[0] / u.numel()) ** 0.5
        state[name].copy_(u)
    return module.eval()


# ------------------------------------------------------------------ residual network
def conv_norm(inputs, outputs, kernel, stride=1):
    return (nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(outputs))


class Bottleneck(nn.Module):
    def __init__(self, inputs, width, stride):
        super().__init__()
        self.conv1, self.bn1 = conv_norm(inputs, width, 1)
        self.conv2, self.bn2 = conv_norm(width, width, 3)
        self.conv3, self.bn3 = conv_norm(width, 4 * width, 1)
        self.pool = nn.AvgPool2d(stride)
        if stride > 1 or inputs != 4 * width:
            self.downsample = nn.Sequential(*conv_norm(inputs, 4 * width, 1))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(self.pool(y)))
        if hasattr(self, "downsample"):
            x = self.downsample(self.pool(x))
        return F.relu(x + y)


def resized(positions, rows, columns):
    side = int(round((len(positions) - 1) ** 0.5))
    grid = positions[1:].T.reshape(1, -1, side, side)
    grid = F.interpolate(grid, (rows, columns), mode="bicubic", align_corners=False)
    return torch.cat([positions[:1], grid.flatten(2)[0].T])


class AttentionPool(nn.Module):
    def __init__(self, grid, width, heads, embed):
        super().__init__()
        self.heads = heads
        self.positional_embedding = nn.Parameter(torch.zeros(grid * grid + 1, width))
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(width, width) for _ in range(3))
        self.c_proj = nn.Linear(width, embed)

    def forward(self, x):
        rows, columns = x.shape[2:]
        cells = x.flatten(2).permute(2, 0, 1)                      # [R, B, w]
        tokens = torch.cat([cells.mean(0, keepdim=True), cells])
        tokens = tokens + resized(self.positional_embedding, rows, columns)[:, None]
        pooled, _ = F.multi_head_attention_forward(
            tokens, tokens, tokens, tokens.shape[2], self.heads, None,
            torch.cat([self.q_proj.bias, self.k_proj.bias, self.v_proj.bias]),
            None, None, False, 0.0, self.c_proj.weight, self.c_proj.bias,
            use_separate_proj_weight=True, q_proj_weight=self.q_proj.weight,
            k_proj_weight=self.k_proj.weight, v_proj_weight=self.v_proj.weight)
        plain = self.c_proj(self.v_proj(cells))
        with_positions = self.c_proj(self.v_proj(tokens))[1:]
        return pooled[0], plain.transpose(0, 1), with_positions.transpose(0, 1)


class ModifiedResNet(nn.Module):
    def __init__(self, embed, width, layers, heads, resolution):
        super().__init__()
        self.conv1, self.bn1 = conv_norm(3, width // 2, 3, 2)
        self.conv2, self.bn2 = conv_norm(width // 2, width // 2, 3)
        self.conv3, self.bn3 = conv_norm(width // 2, width, 3)
        inputs = width
        for i, depth in enumerate(layers):
            stage = []
            for j in range(depth):
                stride = 2 if i > 0 and j == 0 else 1
                stage.append(Bottleneck(inputs, width << i, stride))
                inputs = 4 * (width << i)
            setattr(self, "layer%d" % (i + 1), nn.Sequential(*stage))
        self.attnpool = AttentionPool(resolution // 32, inputs, heads, embed)

    def forward(self, x):
        for i in "123":
            x = F.relu(getattr(self, "bn" + i)(getattr(self, "conv" + i)(x)))
        x = F.avg_pool2d(x, 2)
        return self.attnpool(self.layer4(self.layer3(self.layer2(self.layer1(x)))))


# ------------------------------------------------------------------ transformers
class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.Module()
        self.mlp.c_fc = nn.Linear(width, 4 * width)
        self.mlp.c_proj = nn.Linear(4 * width, width)

    def forward(self, x, mask, quick):
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, attn_mask=mask, need_weights=False)[0]
        y = self.mlp.c_fc(self.ln_2(x))
        y = y / (1 + torch.exp(-1.702 * y)) if quick else F.gelu(y)
        return x + self.mlp.c_proj(y)


class Transformer(nn.Module):
    def __init__(self, width, layers, heads):
        super().__init__()
        self.resblocks = nn.ModuleList(Block(width, heads) for _ in range(layers))


class VisionTransformer(nn.Module):
    def __init__(self, embed, width, layers, heads, patch, resolution):
        super().__init__()
        grid = resolution // patch
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.positional_embedding = nn.Parameter(torch.zeros(grid * grid + 1, width))
        self.proj = nn.Parameter(torch.zeros(width, embed))
        self.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transformer = Transformer(width, layers, heads)

    def forward(self, x):
        x = self.conv1(x)
        rows, columns = x.shape[2:]
        x = x.flatten(2).transpose(1, 2)
        first = self.class_embedding.expand(len(x), 1, -1)
        x = torch.cat([first, x], 1) + resized(self.positional_embedding, rows, columns)
        x = self.ln_pre(x)
        *blocks, last = self.transformer.resblocks
        for block in blocks:
            x = block(x, None, True)
        third = last.attn.in_proj_weight.chunk(3)[2], last.attn.in_proj_bias.chunk(3)[2]
        dense = last.attn.out_proj(F.linear(last.ln_1(x)[:, 1:], *third))
        x = last(x, None, True)[:, 0]
        return self.ln_post(x) @ self.proj, self.ln_post(dense) @ self.proj


class TextTransformer(nn.Module):
    def __init__(self, embed, vocab, context, width, layers, heads):
        super().__init__()
        self.token_embedding = nn.Embedding(vocab, width)
        self.positional_embedding = nn.Parameter(torch.zeros(context, width))
        self.transformer = Transformer(width, layers, heads)
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.zeros(width, embed))

    def forward(self, ids, quick=True):
        length = ids.shape[1]  # all positions, those behind the end token too
        x = self.token_embedding(ids) + self.positional_embedding[:length]
        mask = torch.full((length, length), float("-inf"), dtype=x.dtype).triu(1)
        for block in self.transformer.resblocks:
            x = block(x, mask, quick)
        x = self.ln_final(x[torch.arange(len(x)), ids.argmax(1)])
        return x @ self.text_projection


IDS = [[38, 1, 2, 3, 39, 0, 0, 0, 0, 0, 0, 0],
       [38, 17, 5, 30, 22, 9, 11, 4, 3, 3, 1, 39],
       [38, 39, 7, 7, 7, 7, 0, 0, 0, 0, 0, 0]]


def outputs():
    resnet, vit, text = ModifiedResNet(**RESNET), VisionTransformer(**VIT), TextTransformer(**TEXT)
    fill(resnet), fill(vit), fill(text)
    out = {}
    with torch.no_grad():
        for name, shape in (("native", (2, 3, 64, 64)), ("larger", (1, 3, 96, 96)),
                            ("oblong", (1, 3, 64, 160))):
            pooled, plain, with_positions = resnet(4 * hashed(1000, shape))
            out["resnet_%s_global" % name] = pooled
            out["resnet_%s_plain" % name] = plain
            out["resnet_%s_dualcoop" % name] = with_positions
        for name, shape in (("native", (2, 3, 32, 32)), ("larger", (1, 3, 40, 40)),
                            ("oblong", (1, 3, 24, 48))):
            out["vit_%s_global" % name], out["vit_%s_regions" % name] = \
                vit(4 * hashed(1000, shape))
        out["text_quick"] = text(torch.tensor(IDS))
        out["text_gelu"] = text(torch.tensor(IDS), quick=False)
        resnet.train()
        out["resnet_train_global"] = resnet(4 * hashed(1000, (3, 3, 64, 96)))[0]
        out["resnet_train_running_mean"] = resnet.bn1.running_mean
        out["resnet_train_running_var"] = resnet.bn1.running_var
    return out


HEADER = """#pragma once

// Written by towers.py with PyTorch %s, NumPy %s, in double precision, on one thread.
// Row-major; shapes are given beside each array.

#include <vector>

namespace trmml::reference {
"""


def main():
    torch.set_num_threads(1)
    target = pathlib.Path(__file__).with_suffix(".hpp")
    out = outputs()
    if sys.argv[1:] == ["--check"]:
        text = target.read_text()
        for name, value in out.items():
            stored = re.search(r"%s = \{([^}]*)\}" % name, text).group(1)
            stored = np.array([float(v) for v in stored.split(",")])
            if not np.allclose(stored, value.flatten().numpy(), rtol=1e-9, atol=1e-11):
                sys.exit("towers.py: %s differs from towers.hpp" % name)
        print("towers.hpp agrees (%d arrays)" % len(out))
        return
    with open(target, "w") as f:
        f.write(HEADER % (torch.__version__, np.__version__))
        for name, value in out.items():
            numbers = ["%.12g" % v for v in value.flatten().tolist()]
            f.write("\n/// %s\ninline const std::vector<double> %s = {\n"
                    % (list(value.shape), name))
            for i in range(0, len(numbers), 6):
                f.write("    " + ", ".join(numbers[i:i + 6])
                        + ("};\n" if i + 6 >= len(numbers) else ",\n"))
        f.write("\n}  // namespace trmml::reference\n")
    print("%d arrays written; largest value %.3g"
          % (len(out), max(v.abs().max().item() for v in out.values())))


if __name__ == "__main__":
    main()
