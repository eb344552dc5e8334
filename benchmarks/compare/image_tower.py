"""The image tower side by side with one in Python: CLIP's RN101 as it is published.

    python3 benchmarks/compare/image_tower.py --program build/release/benchmarks/benchmark_image_tower

Needs torch, best of the version that the program is linked with (both are printed). The peer is
written as CLIP's own code: channels first, convolution, BatchNorm and ReLU one after the other, an
attention pool over all queries whose global features are thrown away, and the dense map that prompt
tuners take: value and output projection of the cells. Inference mode, fp32 and (where torch has it)
under bfloat16's autocast; the program's own batch at 448, one thread. Each program runs in turn;
seconds of the core's time, medians and spread. The last lines are JSON, one a benchmark.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

import torch
from torch import nn
from torch.nn import functional as F

SIDE, WIDTH, LAYERS, EMBED = 448, 64, (3, 4, 23, 3), 512


class Bottleneck(nn.Module):
    def __init__(self, inner, width, stride):
        super().__init__()
        outer = 4 * width
        self.conv1, self.bn1 = nn.Conv2d(inner, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.conv3, self.bn3 = nn.Conv2d(width, outer, 1, bias=False), nn.BatchNorm2d(outer)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride > 1 or inner != outer:
            self.downsample = nn.Sequential(
                nn.AvgPool2d(stride), nn.Conv2d(inner, outer, 1, bias=False), nn.BatchNorm2d(outer))

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(self.pool(out)))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class AttentionPool(nn.Module):
    def __init__(self, grid, width, embed, heads):
        super().__init__()
        self.positions = nn.Parameter(torch.randn(grid * grid + 1, width) / width**0.5)
        self.k_proj, self.q_proj, self.v_proj = (nn.Linear(width, width) for _ in range(3))
        self.c_proj = nn.Linear(width, embed)
        self.heads = heads

    def forward(self, x):
        cells = x.flatten(2).permute(2, 0, 1)  # [R, B, w]
        tokens = torch.cat([cells.mean(0, keepdim=True), cells]) + self.positions[:, None]
        F.multi_head_attention_forward(
            tokens, tokens, tokens, tokens.shape[-1], self.heads, None,
            torch.cat([self.q_proj.bias, self.k_proj.bias, self.v_proj.bias]), None, None, False, 0,
            self.c_proj.weight, self.c_proj.bias, use_separate_proj_weight=True, training=False, need_weights=False,
            q_proj_weight=self.q_proj.weight, k_proj_weight=self.k_proj.weight, v_proj_weight=self.v_proj.weight)
        return self.c_proj(self.v_proj(tokens[1:]))  # the global features above are read by nobody


class ModifiedResNet(nn.Module):
    def __init__(self):
        super().__init__()
        half = WIDTH // 2
        self.conv1, self.bn1 = nn.Conv2d(3, half, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(half)
        self.conv2, self.bn2 = nn.Conv2d(half, half, 3, padding=1, bias=False), nn.BatchNorm2d(half)
        self.conv3, self.bn3 = nn.Conv2d(half, WIDTH, 3, padding=1, bias=False), nn.BatchNorm2d(WIDTH)
        self.avgpool, self.relu = nn.AvgPool2d(2), nn.ReLU(inplace=True)
        blocks, inner = [], WIDTH
        for stage, depth in enumerate(LAYERS):
            for i in range(depth):
                blocks.append(Bottleneck(inner, WIDTH << stage, 2 if i == 0 and stage > 0 else 1))
                inner = 4 * (WIDTH << stage)
        self.blocks = nn.Sequential(*blocks)
        self.attnpool = AttentionPool(SIDE // 32, inner, EMBED, WIDTH // 2)

    def forward(self, x):
        for conv, norm in ((self.conv1, self.bn1), (self.conv2, self.bn2), (self.conv3, self.bn3)):
            x = self.relu(norm(conv(x)))
        return self.attnpool(self.blocks(self.avgpool(x)))


def seconds(body):
    start = time.process_time()
    body()
    return time.process_time() - start


def ours(program, name, environment):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "records"
        subprocess.run([program, "--runs", "1", "--only", name, "--out", out], check=True, env=environment,
                       stdout=subprocess.DEVNULL)
        return json.loads(out.read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    model = ModifiedResNet().eval()
    records = []
    with torch.inference_mode():
        for name, cast in (("image_tower_rn101_fp32", False), ("image_tower_rn101_bf16", True)):
            record = ours(arguments.program, name, environment)
            images = torch.randn(int(record["batch"]), 3, SIDE, SIDE)

            def plain():
                with torch.autocast("cpu", torch.bfloat16, enabled=cast):
                    model(images)
            mine, peer = [], []
            plain()
            for _ in range(arguments.runs):
                record = ours(arguments.program, name, environment)
                mine.append(record["ours_seconds"])
                peer.append(seconds(plain))
            records.append({
                "name": f"{name}_python", "ours_seconds": statistics.median(mine), "peer_seconds": statistics.median(peer),
                "ratio": statistics.median(b / a for a, b in zip(mine, peer)),
                "spread": (max(mine) - min(mine)) / statistics.median(mine),
                "peer": f"PyTorch {torch.__version__}, as published, channels first{', autocast to bfloat16' if cast else ''}",
                "backend": record["backend"]})
    for record in records:
        print(f"{record['name']}: ours {record['ours_seconds']:.3f} s ({record['backend']}), peer "
              f"{record['peer_seconds']:.3f} s ({record['peer']}), ratio {record['ratio']:.2f}")
    for record in records:
        print(json.dumps(record))


if __name__ == "__main__":
    main()
