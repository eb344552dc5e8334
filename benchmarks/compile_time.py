#!/usr/bin/env python3
"""What a public header costs to compile beyond the LibTorch headers that it includes.

    python3 benchmarks/compile_time.py --program build/release/benchmarks/benchmark_startup
                                       [--runs 3] [--only modules,clip/tokenizer] [--std]

For every header of the library that includes LibTorch: the time to compile a program that includes
it, by the time of one that includes the LibTorch headers alone that it names (itself or through other
headers of the library). --std gives the second program the standard headers and those of fmt, too.
The flags are those of use_one_module in the build folder of --program. User seconds of the core,
median of the runs, both programs in turn. Prints a table and one line of JSON: the whole of all
headers, and the worst. Standard library only.
"""

import argparse
import json
import os
import pathlib
import re
import shlex
import statistics
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
INCLUDE = ROOT / "include"


def includes(header, seen=None):
    """(LibTorch's headers, all others outside of the library), in the order in which they are met."""
    seen = set() if seen is None else seen
    torch, others = [], []
    if header in seen:
        return torch, others
    seen.add(header)
    for name in re.findall(r'^#\s*include\s+[<"]([^>"]+)[>"]', (INCLUDE / header).read_text(), re.M):
        if name.startswith("trmml/"):
            more = includes(name, seen)
            torch += more[0]
            others += more[1]
        else:
            (torch if name.split("/")[0] in ("torch", "ATen", "c10") else others).append(name)
    return list(dict.fromkeys(torch)), list(dict.fromkeys(others))


def compiler(program):
    """The command that compiles use_one_module, without its input and output."""
    folder = next(f for f in program.resolve().parents if (f / "compile_commands.json").exists())
    for entry in json.loads((folder / "compile_commands.json").read_text()):
        if entry["file"].endswith("examples/use_one_module.cpp"):
            words = shlex.split(entry["command"])
            words = words[1:] if words[0].endswith("ccache") else words
            return words[:words.index("-o")], pathlib.Path(entry["directory"])
    raise SystemExit(f"compile_time: {folder}: expected the examples among what is built")


def seconds(command, folder, names):
    with tempfile.TemporaryDirectory() as temporary:
        source = pathlib.Path(temporary) / "program.cpp"
        source.write_text("".join(f"#include <{name}>\n" for name in names) + "int main() { return 0; }\n")
        child = subprocess.Popen([*command, "-o", source.with_suffix(".o"), "-c", source], cwd=folder)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            raise SystemExit(f"compile_time: {names[0]} does not compile")
        return usage.ru_utime


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", type=pathlib.Path, required=True, help="any program of the build folder")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default="", help="parts of the headers' names, separated by commas")
    parser.add_argument("--std", action="store_true", help="compare with all that is not ours")
    arguments = parser.parse_args()
    command, folder = compiler(arguments.program)
    wanted = arguments.only.split(",")
    headers = sorted(str(path.relative_to(INCLUDE)) for path in INCLUDE.glob("trmml/*/*.hpp"))
    ours, peers, spreads, ratios = {}, {}, {}, {}
    for header in headers:
        torch, others = includes(header)
        if not torch or not any(part in header for part in wanted):
            continue
        base = torch + (others if arguments.std else [])
        pairs = [(seconds(command, folder, [header]), seconds(command, folder, base)) for _ in range(arguments.runs)]
        ours[header] = statistics.median(a for a, _ in pairs)
        peers[header] = statistics.median(b for _, b in pairs)
        ratios[header] = statistics.median(a / b for a, b in pairs)
        spreads[header] = (max(a for a, _ in pairs) - min(a for a, _ in pairs)) / ours[header]
        print(f"{header:<48} {ours[header]:6.2f} s  LibTorch {peers[header]:6.2f} s  ratio {ratios[header]:.2f}", flush=True)
    worst = max(ratios, key=ratios.get)
    print(json.dumps({
        "name": "compile_time", "ours_seconds": sum(ours.values()), "peer_seconds": sum(peers.values()),
        "ratio": sum(ours.values()) / sum(peers.values()), "ratio_is": "ours / peer", "spread": max(spreads.values()),
        "peer": "the LibTorch headers alone", "worst": worst, "worst_ratio": ratios[worst]}))


if __name__ == "__main__":
    main()
