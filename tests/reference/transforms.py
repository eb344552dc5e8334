#!/usr/bin/env python3
"""Writes transforms.hpp: what Pillow makes of pictures that C++ makes again, and the draws of
the published transforms, repeated with NumPy's RandomState.

    python3 tests/reference/transforms.py > tests/reference/transforms.hpp

Needs Pillow 13 or later and NumPy. With --torchvision the rules below (rectangles of
RandomResizedCrop, strengths of RandAugment) are compared with torchvision's own code instead.
Pixels are compared by the CRC-32 of their bytes (8-bit RGB, row by row).
"""
import math
import sys
import zlib

import numpy as np
import PIL
from PIL import Image, ImageEnhance, ImageOps

SIGNED = {"Rotate", "Color", "Contrast", "Brightness", "Sharpness", "ShearX", "ShearY", "TranslateX", "TranslateY"}
OPERATIONS = ["AutoContrast", "Equalize", "Invert", "Rotate", "Posterize", "Solarize", "Color", "Contrast",
              "Brightness", "Sharpness", "ShearX", "ShearY", "TranslateX", "TranslateY"]


def picture(width, height, seed):
    """Even seeds: noise, the high byte of a linear congruential generator. Odd: soft, low contrast."""
    if seed % 2:
        y, x, c = np.mgrid[0:height, 0:width, 0:3]
        values = 40 + (3 + c) * x // 2 % 90 + (5 - c) * y // 2 % 70 + seed % 16
        return Image.fromarray(values.astype(np.uint8))
    state, values = seed, np.empty(3 * width * height, np.uint8)
    for i in range(values.size):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        values[i] = state >> 24
    return Image.fromarray(values.reshape(height, width, 3))


def crc(image):
    return f"{zlib.crc32(image.tobytes()):#010x}U"


def affine(image, matrix, fill):
    return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST, fillcolor=fill)


# What `apply` calls by name, with up to one number.
PLAIN = {
    "flip_horizontal": lambda im, v: ImageOps.mirror(im),
    "autocontrast": lambda im, v: ImageOps.autocontrast(im),
    "equalize": lambda im, v: ImageOps.equalize(im),
    "invert": lambda im, v: ImageOps.invert(im),
    "posterize": lambda im, v: ImageOps.posterize(im, int(v)),
    "solarize": lambda im, v: ImageOps.solarize(im, v),
    "color": lambda im, v: ImageEnhance.Color(im).enhance(v),
    "contrast": lambda im, v: ImageEnhance.Contrast(im).enhance(v),
    "brightness": lambda im, v: ImageEnhance.Brightness(im).enhance(v),
    "sharpness": lambda im, v: ImageEnhance.Sharpness(im).enhance(v),
    "rotate": lambda im, v: im.rotate(v, Image.Resampling.NEAREST, fillcolor=(9, 99, 199)),
}
VALUES = {"posterize": range(1, 9), "solarize": (0, 1, 100, 127.5, 255, 256),
          "color": (0, 0.3, 0.73, 1, 1.27, 1.9, -0.5), "contrast": (0, 0.3, 0.73, 1, 1.27, 1.9, -0.5),
          "brightness": (0, 0.3, 0.73, 1, 1.27, 1.9), "sharpness": (0, 0.3, 0.73, 1, 1.27, 1.9, 5),
          "rotate": (0, 9, -9, 30, -30, 45, 90, 180, 270, 123.4, 360, -720.5)}
MATRICES = [(1, 0.3, 0, 0, 1, 0), (1, -0.09, 0, 0, 1, 0), (1, 0, 0, 0.27, 1, 0), (1, 0, 5, 0, 1, 0), (1, 0, -7, 0, 1, -3),
            (1, 0, 0.5, 0, 1, -0.5), (0.7, 0, 2.2, 0, 1.3, -1.1), (-1, 0, 20, 0, 1, 0), (0.8, 0.6, -3, -0.6, 0.8, 9.25),
            (1, 0, 999, 0, 1, 0), (0, 1, 0, 1, 0, 0)]
SIZES = [(41, 29), (16, 16), (3, 3), (2, 5), (1, 1), (1, 7), (64, 2)]


def operate(image, name, magnitude, negative, fill=(0, 0, 0)):
    """RandAugment's operations, from the definitions in transforms.hpp."""
    m, sign = magnitude / 30, -1 if negative else 1
    if name in ("AutoContrast", "Equalize", "Invert"):
        return {"AutoContrast": ImageOps.autocontrast, "Equalize": ImageOps.equalize, "Invert": ImageOps.invert}[name](image)
    if name == "Rotate":
        return image.rotate(sign * 30 * m, Image.Resampling.NEAREST, fillcolor=fill)
    if name == "Posterize":
        return ImageOps.posterize(image, 8 - round(4 * m))
    if name == "Solarize":
        return ImageOps.solarize(image, 255 - 8.5 * magnitude)
    if name in ("Color", "Contrast", "Brightness", "Sharpness"):
        return getattr(ImageEnhance, name)(image).enhance(1 + sign * 0.9 * m)
    if name == "ShearX":
        return affine(image, (1, sign * 0.3 * m, 0, 0, 1, 0), fill)
    if name == "ShearY":
        return affine(image, (1, 0, 0, sign * 0.3 * m, 1, 0), fill)
    along = image.width if name == "TranslateX" else image.height
    pixels = sign * int(150 / 331 * m * along)
    return affine(image, (1, 0, -pixels, 0, 1, 0) if name == "TranslateX" else (1, 0, 0, 0, 1, -pixels), fill)


def crop_box(width, height, draw, below, area=(0.5, 1.0), ratio=(3 / 4, 4 / 3)):
    """left, top, width, height of RandomResizedCrop."""
    for _ in range(10):
        target = width * height * draw(*area)
        shape = math.exp(draw(math.log(ratio[0]), math.log(ratio[1])))
        w, h = round(math.sqrt(target * shape)), round(math.sqrt(target / shape))
        if 0 < w <= width and 0 < h <= height:
            top = below(height - h + 1)
            return below(width - w + 1), top, w, h
    w, h = width, height
    if width / height < ratio[0]:
        h = round(w / ratio[0])
    elif width / height > ratio[1]:
        w = round(h * ratio[1])
    return (width - w) // 2, (height - h) // 2, w, h


def draws(seed):
    state = np.random.RandomState(seed)
    return (lambda low=0.0, high=1.0: low + (high - low) * state.random_sample()), (lambda n: int(legacy_below(state, n)))


def legacy_below(state, n):
    """RandomState.shuffle's integers: masked rejection on 32 bits, none for n = 1."""
    if n == 1:
        return 0
    mask = (1 << (n - 1).bit_length()) - 1
    while True:
        value = int(state.randint(0, 1 << 32, dtype=np.uint32)) & mask
        if value < n:
            return value


def train(image, seed, side=48, magnitude=9, count=2):
    draw, below = draws(seed)
    if draw() < 0.5:
        left, top, w, h = crop_box(*image.size, draw, below)
        image = image.crop((left, top, left + w, top + h)).resize((side, side), Image.Resampling.BICUBIC)
    else:
        image = image.resize((side, side), Image.Resampling.BICUBIC)
        y, x = below(side), below(side)
        half = int(0.5 * side + 0.5) // 2
        box = max(x - half, 0), max(y - half, 0), min(x + half, side), min(y + half, side)
        if box[0] < box[2] and box[1] < box[3]:
            image.paste((123, 117, 104), box)
    for _ in range(count):
        name = OPERATIONS[below(len(OPERATIONS))]
        negative = name in SIGNED and draw() < 0.5
        image = operate(image, name, magnitude, negative)
    return ImageOps.mirror(image) if draw() < 0.5 else image


def compare_with_torchvision():
    import torch
    torch.library.register_fake = lambda *a, **k: lambda f: f  # without its compiled part
    import torchvision
    from torchvision.transforms import InterpolationMode, RandAugment, RandomResizedCrop, autoaugment

    # Rectangles: torchvision draws from torch's generator, in fp32; both are fed its numbers.
    for seed, (w, h) in enumerate([(640, 480), (480, 640), (500, 375), (2000, 100), (100, 2000), (7, 5), (1, 1)] * 50):
        area, ratio = ((0.5, 1.0), (3 / 4, 4 / 3)) if seed % 3 else ((0.9, 1.0), (0.9, 1.1))
        torch.manual_seed(seed)
        top, left, height, width = RandomResizedCrop.get_params(Image.new("RGB", (w, h)), area, ratio)
        torch.manual_seed(seed)
        got = crop_box(w, h, lambda a, b: torch.empty(1).uniform_(a, b).item(),
                       lambda n: torch.randint(0, n, (1,)).item(), area, ratio)
        assert got == (left, top, width, height), (seed, got, (left, top, width, height))

    # Strengths, bin by bin.
    space = RandAugment()._augmentation_space(31, (200, 300))  # height, width
    image = picture(300, 200, 3)
    for name in OPERATIONS:
        if name not in space:
            continue
        strengths, signed = space[name]
        assert signed == (name in SIGNED), name
        for magnitude in range(31):
            for negative in ((False, True) if signed else (False,)):
                strength = float(strengths[magnitude]) if strengths.ndim else 0.0
                theirs = autoaugment._apply_op(image, name, -strength if negative else strength,
                                               InterpolationMode.NEAREST, None)
                ours = operate(image, name, magnitude, negative, fill=(0, 0, 0))
                apart = np.abs(np.asarray(theirs).astype(int) - np.asarray(ours)).max(-1)
                # Its strengths are fp32 and its shears go through an angle: what is nearly whole may be
                # rounded to the other side.
                if name in ("Color", "Contrast", "Brightness", "Sharpness"):
                    assert apart.max() <= 1, (name, magnitude, negative, apart.max())
                else:
                    limit = 0.03 if name in ("Rotate", "ShearX", "ShearY") else 0
                    assert np.mean(apart > 0) <= limit, (name, magnitude, negative, np.mean(apart > 0))
    print(f"torchvision {torchvision.__version__}: rectangles and strengths agree")


def main():
    print(f"""#pragma once

// Made by tests/reference/transforms.py with Pillow {PIL.__version__}, NumPy {np.__version__}.

#include <cstdint>
#include <vector>

// clang-format off
namespace reference::transforms {{

/// A picture (seed) after the function of that name.
struct Plain {{ const char* name; double value; int width; int height; uint32_t seed; uint32_t crc; }};
inline const std::vector<Plain> kPlain = {{""")
    for name, function in PLAIN.items():
        for value in VALUES.get(name, (0,)):
            for k, (w, h) in enumerate(SIZES[:2] if name == "rotate" or value not in (0, 0.3, 4) else SIZES):
                print(f'    {{"{name}", {value}, {w}, {h}, {k + 2}, {crc(function(picture(w, h, k + 2), value))}}},')
            print(f'    {{"{name}", {value}, 400, 3, 5, {crc(function(picture(400, 3, 5), value))}}},')
    print("};\n\n/// Image.transform(AFFINE), filled with (9, 99, 199).\n"
          "struct Affine { double matrix[6]; int width; int height; uint32_t crc; };\n"
          "inline const std::vector<Affine> kAffine = {")
    for matrix in MATRICES:
        for w, h in SIZES:
            print(f"    {{{{{', '.join(map(str, matrix))}}}, {w}, {h}, {crc(affine(picture(w, h, 4), matrix, (9, 99, 199)))}}},")
    print("};\n\n/// Operation number k of the default list, on the soft picture of 41 x 29 pixels.\n"
          "struct Operate { int operation; double magnitude; bool is_negative; uint32_t crc; };\n"
          "inline const std::vector<Operate> kOperate = {")
    for k, name in enumerate(OPERATIONS):
        for magnitude in (0, 9, 14.5, 30):
            for negative in ((False, True) if name in SIGNED else (False,)):
                image = operate(picture(41, 29, 3), name, magnitude, negative)
                print(f"    {{{k}, {magnitude}, {str(negative).lower()}, {crc(image)}}},")
    print("};\n\n/// RandomState(seed), default options: left, top, width, height.\n"
          "struct Crop { int width; int height; uint32_t seed; int box[4]; };\n"
          "inline const std::vector<Crop> kCrop = {")
    for seed in range(8):
        for w, h in ((640, 480), (480, 640), (300, 10), (10, 300), (5, 4), (1, 1)):
            box = crop_box(w, h, *draws(seed))
            print(f"    {{{w}, {h}, {seed}, {{{', '.join(map(str, box))}}}}},")
    print("};\n\n/// The whole of TrainTransform with S = 48, from the picture with seed 2 + seed % 2.\n"
          "struct Train { int width; int height; uint32_t seed; uint32_t crc; };\n"
          "inline const std::vector<Train> kTrain = {")
    for seed in range(40):
        w, h = ((64, 50), (50, 64), (40, 40))[seed % 3]
        print(f"    {{{w}, {h}, {seed}, {crc(train(picture(w, h, 2 + seed % 2), seed))}}},")
    print("};\n\n}  // namespace reference::transforms\n// clang-format on")


if __name__ == "__main__":
    compare_with_torchvision() if "--torchvision" in sys.argv else main()
