#!/usr/bin/env python3
"""Small files of torch.save and torch.jit.save with values that torch_archive_test.cpp knows.

    /usr/bin/python3 tests/reference/torch_archive.py    (torch 1.13)
    python tests/reference/torch_archive.py              (torch 2.13, in an environment that has it)

writes tests/reference/archives/{state,script}_<version>.pt. No random numbers.
"""
import collections
import pathlib
import sys
import typing

import torch

DTYPES = dict(f64=torch.float64, f32=torch.float32, f16=torch.float16, bf16=torch.bfloat16, i64=torch.int64,
              i32=torch.int32, i16=torch.int16, i8=torch.int8, u8=torch.uint8, bool=torch.bool)


class Inner(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.arange(6.).reshape(2, 3))
        self.norm = torch.nn.BatchNorm1d(3)

    def forward(self, x):
        return self.norm(x @ self.weight)


class Outer(torch.nn.Module):
    numbers: typing.List[int]
    names: typing.Dict[str, float]

    def __init__(self):
        super().__init__()
        self.blocks = torch.nn.Sequential(Inner(), torch.nn.Linear(3, 2))
        self.register_buffer("input_resolution", torch.tensor(224))
        self.mask = torch.zeros(2, 2)
        self.numbers = [1, 2, 3]
        self.names = {"a": 1.5}
        self.scale = 0.5

    def forward(self, x):
        y = self.blocks(x) * self.scale + self.mask.sum() + len(self.numbers)
        return y + self.names["a"]


def state():
    values = {name: torch.tensor([0, 1, 2]).to(dtype) for name, dtype in DTYPES.items()}
    base = torch.arange(12.).reshape(3, 4)
    values["transposed"] = base.t()
    values["part"] = base[1:, 1::2]
    values["column"] = base[:, 2]
    values["scalar"] = torch.tensor(2.5)
    values["empty"] = torch.empty(0, 7)
    values["parameter"] = torch.nn.Parameter(torch.ones(2))
    nested = collections.OrderedDict([("module.a", torch.tensor([7])), ("b", {"c": torch.tensor([8.])})])
    return {"epoch": 12, "lr": 1e-3, "none": None, "done": True, "big": 2**40, "negative": -3,
            "size": torch.Size([2, 3]), "device": torch.device("cpu"), "text": "caf\u00e9",
            "state_dict": nested, "list": [torch.tensor([1]), (torch.tensor([2]), "x")],
            "optimizer": {"state": {0: {"step": torch.tensor(4.)}}}, "module": Inner().state_dict(),
            "values": values}


def main():
    folder = pathlib.Path(__file__).parent / "archives"
    folder.mkdir(exist_ok=True)
    version = ".".join(torch.__version__.split(".")[:2])
    torch.save(state(), folder / f"state_{version}.pt")
    torch.jit.save(torch.jit.script(Outer()), str(folder / f"script_{version}.pt"))
    if version != "1.13":
        torch.save(state(), folder / "protocol_5.pt", pickle_protocol=5)
        torch.save(torch.tensor([3, 4]), folder / "tensor.pt")
        torch.save({"a": torch.ones(2)}, folder / "old.pt", _use_new_zipfile_serialization=False)
        torch.save(Inner(), folder / "module.pt")
        torch.save({"a": torch.eye(2).to_sparse()}, folder / "sparse.pt")
        torch.save({"a": torch.ones(2, dtype=torch.complex64)}, folder / "complex.pt")
        torch.save({"a": torch.ones(1).expand(3)}, folder / "expanded.pt")
    print(sys.version.split()[0], torch.__version__)


if __name__ == "__main__":
    main()
