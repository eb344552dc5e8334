"""The text tower of a prompt-tuning step in Python, as peers run it, against ours.

    python3 benchmarks/compare/text_tower.py --program build/release/benchmarks/benchmark_text_tower

Needs torch. CLIP's text transformer (width 512, 8 heads, 12 layers, random weights), COCO's 80
names, 16 context tokens, 2 prompts a category: 160 prompts of 77 positions, forward and backward.
Three peers: text weights not frozen (as DualCoOp leaves them), frozen, and a test batch, which
encodes the text anew while ours encoded it once a run. One thread, seconds of the core's time.
Prints a line of JSON a comparison. For a test batch ours is nothing: its record has the peer's
seconds alone.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile
import time

import torch

CATEGORIES, PROMPTS, CONTEXT, WIDTH, POSITIONS = 80, 2, 16, 512, 77


class QuickGelu(torch.nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(1.702 * x)


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.attn = torch.nn.MultiheadAttention(WIDTH, 8)
        self.ln_1, self.ln_2 = torch.nn.LayerNorm(WIDTH), torch.nn.LayerNorm(WIDTH)
        self.mlp = torch.nn.Sequential(
            torch.nn.Linear(WIDTH, 4 * WIDTH), QuickGelu(), torch.nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x, mask):
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False, attn_mask=mask)[0]
        return x + self.mlp(self.ln_2(x))


class TextTower(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = torch.nn.ModuleList([Block() for _ in range(12)])
        self.ln_final = torch.nn.LayerNorm(WIDTH)
        self.positions = torch.nn.Parameter(torch.randn(POSITIONS, WIDTH) * 0.01)
        self.projection = torch.nn.Parameter(torch.randn(WIDTH, WIDTH) * WIDTH**-0.5)
        self.register_buffer("mask", torch.full((POSITIONS, POSITIONS), float("-inf")).triu_(1))

    def forward(self, prompts, ends):
        x = (prompts + self.positions).transpose(0, 1)
        for block in self.blocks:
            x = block(x, self.mask)
        x = self.ln_final(x.transpose(0, 1))
        return x[torch.arange(len(x)), ends] @ self.projection


def make_prompts(context, names):
    """[start] [context] [name . end and padding], as CoOp's prompt learner joins them."""
    start = names[:, :, :1]
    shared = context if context.dim() == 4 else context[:, None].expand(-1, CATEGORIES, -1, -1)
    return torch.cat([start, shared, names[:, :, 1 + CONTEXT:]], 2).flatten(0, 1)


def seconds(body):
    start = time.process_time()
    body()
    return time.process_time() - start


def run_ours(program, name):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "record"
        subprocess.run([program, "--threads", "1", "--runs", "1", "--only", name, "--ours", "--out", out],
                       check=True, capture_output=True)
        return json.loads(out.read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    tower = TextTower()
    names = torch.randn(PROMPTS, CATEGORIES, POSITIONS, WIDTH) * 0.02
    ends = torch.full((PROMPTS * CATEGORIES,), 19)
    contexts = {
        "generic": torch.randn(PROMPTS, CONTEXT, WIDTH).mul_(0.02).requires_grad_(),
        "class_specific": torch.randn(PROMPTS, CATEGORIES, CONTEXT, WIDTH).mul_(0.02).requires_grad_(),
    }
    print(f"torch {torch.__version__}, one thread", flush=True)

    def step(context):
        tower(make_prompts(context, names), ends).sum().backward()

    def test_batch(context):
        with torch.no_grad():
            tower(make_prompts(context, names), ends)

    for kind, context in contexts.items():
        name = f"text_tower_{kind}"
        times = {"ours": [], "weights not frozen": [], "frozen": [], "test batch": []}
        for run in range(arguments.runs):
            ours = run_ours(arguments.program, name)
            times["ours"].append(ours["ours_seconds"])
            for peer in ("weights not frozen", "frozen"):
                tower.requires_grad_(peer != "frozen")
                tower.zero_grad()
                times[peer].append(seconds(lambda: step(context)))
            times["test batch"].append(seconds(lambda: test_batch(context)))
        median = statistics.median
        spread = (max(times["ours"]) - min(times["ours"])) / median(times["ours"])
        for peer, suffix in (("weights not frozen", "unfrozen"), ("frozen", "frozen"), ("test batch", "test_batch")):
            record = {"name": f"{name}_python_{suffix}", "peer_seconds": median(times[peer]),
                      "peer": f"torch {torch.__version__} in Python, 77 positions, {peer}"}
            if peer != "test batch":
                record |= {"ours_seconds": median(times["ours"]), "spread": spread,
                           "ratio": median(b / a for a, b in zip(times["ours"], times[peer])),
                           "peak_memory_mb": ours["peak_memory_mb"]}
            print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
