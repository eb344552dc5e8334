"""Writes preprocess.hpp: what torchvision and Pillow make of pictures for CLIP.

Needs Pillow 13 or later, torch and torchvision (the versions stand in the output):
    python3 tests/reference/preprocess.py > tests/reference/preprocess.hpp
The pictures are `image.noise`; results are compared by the CRC-32 of their bytes.
"""

import sys
import types
import zlib

import numpy as np
import PIL
import torch

# A CPU build of torch lacks the operators of detection that torchvision wants to see.
for name in ("_meta_registrations", "_autograd_registrations"):
    sys.modules["torchvision." + name] = types.ModuleType(name)
import torchvision  # noqa: E402
from torchvision import transforms  # noqa: E402
from torchvision.transforms import InterpolationMode  # noqa: E402

from image import noise  # noqa: E402

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def cases():
    rng = np.random.default_rng(22)
    sizes = [(32, 32), (33, 32), (32, 33), (35, 32), (32, 35), (37, 32), (32, 37)]
    sizes += [(7, 90), (90, 7), (64, 48), (48, 64), (1, 5), (5, 1), (50, 149)]
    sizes += [tuple(int(v) for v in rng.integers(1, 120, 2)) for _ in range(30)]
    for i, (width, height) in enumerate(sizes):
        yield width, height, i + 1, 32 if i < 7 else int(rng.integers(1, 70))


def main():
    print(f"""#pragma once

// Made by tests/reference/preprocess.py with Pillow {PIL.__version__}, torch
// {torch.__version__}, torchvision {torchvision.__version__}.

#include "trmml/clip/preprocess.hpp"

#include <cstdint>
#include <vector>

// clang-format off
namespace reference {{

using trmml::clip::Fit;
using trmml::data::Filter;

struct Preprocess {{
  int width;
  int height;
  uint32_t seed;
  int resolution;
  Fit fit;
  Filter filter;
  uint32_t bytes_crc;   // 8 bits, [S, S, 3]
  uint32_t tensor_crc;  // fp32, [3, S, S]
}};

inline const std::vector<Preprocess> kPreprocess = {{""")
    filters = {"Bicubic": InterpolationMode.BICUBIC, "Bilinear": InterpolationMode.BILINEAR}
    for width, height, seed, side in cases():
        picture = noise(width, height, seed)
        for fit in ("Crop", "Squash"):
            for name, mode in filters.items():
                size = side if fit == "Crop" else (side, side)
                steps = [transforms.Resize(size, interpolation=mode)]
                if fit == "Crop":
                    steps.append(transforms.CenterCrop(side))
                seen = transforms.Compose(steps)(picture)
                last = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
                tensor = transforms.Compose(last)(seen)
                assert tensor.dtype == torch.float32 and tensor.is_contiguous()
                crc = zlib.crc32(np.asarray(seen).tobytes())
                tensor_crc = zlib.crc32(tensor.numpy().tobytes())
                print(
                    f"    {{{width}, {height}, {seed}, {side}, Fit::k{fit}, "
                    f"Filter::k{name}, 0x{crc:08x}U, 0x{tensor_crc:08x}U}},"
                )
    print("};\n\n}  // namespace reference\n// clang-format on")


if __name__ == "__main__":
    main()
