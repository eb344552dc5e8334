"""Writes tests/data/pictures/ and image.hpp: small pictures of every kind that
`data::decode_image` reads, and what Pillow makes of them and of resizing.

Needs Pillow 13 or later (for the order of the passes of `resize`) and NumPy:
    python3 tests/reference/image.py > tests/reference/image.hpp
Seeds are fixed; versions stand in the output. Pixels are compared by the CRC-32 of
their bytes (8-bit RGB, row by row).
"""

import io
import pathlib
import struct
import sys
import warnings
import zlib

import numpy as np
import PIL
from PIL import Image, ImageOps, features

warnings.filterwarnings("ignore")
FOLDER = pathlib.Path(__file__).resolve().parent.parent / "data" / "pictures"
RNG = np.random.default_rng(20)


def noise(width, height, seed):
    """Bytes that C++ repeats: the high byte of a linear congruential generator."""
    state, values = seed & 0xFFFFFFFF, np.empty(3 * width * height, np.uint8)
    for i in range(values.size):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        values[i] = state >> 24
    return Image.fromarray(values.reshape(height, width, 3))


def waves(width, height, channels, seed):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    planes = []
    for _ in range(channels):
        a, b, c = rng.uniform(0.05, 0.6), rng.uniform(0.05, 0.6), rng.uniform(0, 6)
        planes.append(128 + 100 * np.sin(a * x + b * y + c) + rng.normal(0, 12, x.shape))
    return np.stack(planes, -1).clip(0, 255).astype(np.uint8)


def jpeg(mode, width, height, seed, adobe=None, exif=None, **options):
    channels = {"L": 1, "RGB": 3, "CMYK": 4}[mode]
    data = waves(width, height, channels, seed)
    picture = Image.fromarray(data[..., 0] if channels == 1 else data, mode)
    file = io.BytesIO()
    if exif is not None:
        options["exif"] = exif
    picture.save(file, "JPEG", **options)
    data = file.getvalue()
    if adobe is not None:  # the transform that Adobe's segment states
        begin = data.find(b"Adobe")
        if begin < 0:
            segment = b"\xff\xee" + struct.pack(">H5sHHHB", 14, b"Adobe", 100, 0, 0, adobe)
            return data[:2] + segment + data[2:]
        return data[: begin + 11] + bytes([adobe]) + data[begin + 12 :]
    return data


def chunk(kind, data):
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def png(width, height, depth, colour, interlace, palette=b"", extra=b""):
    """A PNG of noise; every row has one of the five filters."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    passes = [(0, 0, 1, 1)]
    if interlace:
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)]
        passes += [(0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    rows = b""
    for x, y, dx, dy in passes:
        columns, lines = (width + dx - 1 - x) // dx, (height + dy - 1 - y) // dy
        if columns > 0:
            for _ in range(max(lines, 0)):
                size = (columns * depth * channels + 7) // 8
                rows += bytes([RNG.integers(0, 5)]) + RNG.bytes(size)
    packed = zlib.compress(rows, 9)
    half = len(packed) // 2
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + (chunk(b"PLTE", palette) if palette else b"")
        + extra
        + chunk(b"IDAT", packed[:half])
        + chunk(b"IDAT", packed[half:])
        + chunk(b"IEND", b"")
    )


def bmp(mode, width, height, seed, colours=0):
    picture = Image.fromarray(waves(width, height, 3, seed))
    if colours:
        picture = picture.quantize(colours)
    picture = picture if mode == "P" else picture.convert(mode)
    if mode == "RGBA":
        picture.putalpha(Image.fromarray(waves(width, height, 1, seed + 1)[..., 0]))
    file = io.BytesIO()
    picture.save(file, "BMP")
    return file.getvalue()


def bmp_by_hand(width, height, bits, top_down, core=False):
    row = (width * bits + 31) // 32 * 4
    colours = 1 << bits if bits <= 8 else 0
    palette = RNG.bytes(colours * (3 if core else 4))
    if core:
        header = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        side = -height if top_down else height
        header = struct.pack("<IiiHHIIiiII", 40, width, side, 1, bits, 0, 0, 0, 0, 0, 0)
    begin = 14 + len(header) + len(palette)
    pixels = RNG.bytes(row * height)
    head = struct.pack("<2sIHHI", b"BM", begin + len(pixels), 0, 0, begin)
    return head + header + palette + pixels


def gif(width, height, seed, colours, **options):
    screen = options.pop("screen", None)
    place = options.pop("place", None)
    grey = options.pop("grey", False)
    picture = Image.fromarray(waves(width, height, 3, seed))
    picture = picture.convert("L") if grey else picture.quantize(colours)
    file = io.BytesIO()
    picture.save(file, "GIF", **options)
    data = bytearray(file.getvalue())
    if screen:
        data[6:10] = struct.pack("<HH", *screen)
    if place:
        begin = data.index(b"," + bytes(4))
        data[begin + 1 : begin + 5] = struct.pack("<HH", *place)
    return bytes(data)


def gif_frames(width, height):
    frames = [Image.fromarray(waves(width, height, 3, s)).quantize(9) for s in (1, 2)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=50)
    return file.getvalue()


def orientation(value, big_endian=False, kind=3):
    e = ">" if big_endian else "<"
    entry = {1: "BBH", 3: "HH", 4: "I"}[kind]
    padding = {1: (value, 0, 0), 3: (value, 0), 4: (value,)}[kind]
    return (
        (b"MM" if big_endian else b"II")
        + struct.pack(e + "HI", 42, 8)
        + struct.pack(e + "HHHI", 1, 0x0112, kind, 1)
        + struct.pack(e + entry, *padding)
        + struct.pack(e + "I", 8)  # the next directory is this one: a loop
    )


def pictures():
    for i, (mode, name) in enumerate([("RGB", "rgb"), ("L", "grey"), ("CMYK", "cmyk")]):
        for j, sampling in enumerate(["444", "422", "420"]):
            if mode == "L" and j > 0:
                continue
            for progressive in (False, True):
                kind = "progressive" if progressive else "baseline"
                side = (37 - 6 * j, 21 + 5 * j + i)
                yield f"{name}-{sampling}-{kind}.jpg", jpeg(
                    mode,
                    *side,
                    10 * i + j,
                    quality=[95, 80, 55][j],
                    progressive=progressive,
                    **({} if mode == "L" else {"subsampling": j}),
                )
    yield "ycck.jpg", jpeg("CMYK", 19, 23, 31, adobe=2, quality=85, subsampling=0)
    yield "ycck-420.jpg", jpeg("CMYK", 33, 18, 32, adobe=2, quality=85, subsampling=2)
    yield "adobe-cmyk.jpg", jpeg("CMYK", 19, 23, 33, adobe=0, quality=85, subsampling=2)
    yield "keep-rgb.jpg", jpeg("RGB", 18, 17, 34, quality=90, keep_rgb=True)
    yield "restart.jpg", jpeg("RGB", 50, 40, 35, quality=70, restart_marker_blocks=2)
    yield "optimised.jpg", jpeg("RGB", 40, 30, 36, quality=60, optimize=True)
    yield "quality-1.jpg", jpeg("RGB", 60, 45, 37, quality=1)
    yield "quality-100.jpg", jpeg("RGB", 20, 15, 38, quality=100)
    for width, height in [(1, 1), (1, 9), (9, 1), (2, 2), (16, 16), (17, 1)]:
        yield f"side-{width}x{height}.jpg", jpeg("RGB", width, height, width, quality=75)
    trailing = jpeg("RGB", 16, 12, 39, quality=75) + b"bytes behind the end"
    yield "trailing.jpg", trailing
    plain = jpeg("RGB", 16, 12, 40, quality=75)
    yield "extraneous.jpg", plain[:-2] + b"\x12\x34\x56" + plain[-2:]
    for value in range(0, 10):
        exif = b"Exif\0\0" + orientation(value, value % 2 == 0, [3, 1, 4][value % 3])
        yield f"exif-{value}.jpg", jpeg("RGB", 12, 7, 50 + value, quality=90, exif=exif)

    for colour, depths in [(0, [1, 2, 4, 8, 16]), (2, [8, 16]), (4, [8, 16]), (6, [8, 16])]:
        for depth in depths:
            for interlace in (0, 1):
                name = {0: "grey", 2: "rgb", 4: "grey-alpha", 6: "rgba"}[colour]
                kind = "-interlaced" if interlace else ""
                yield f"{name}-{depth}{kind}.png", png(13, 11, depth, colour, interlace)
    for depth in (1, 2, 4, 8):
        for interlace in (0, 1):
            kind = "-interlaced" if interlace else ""
            palette = RNG.bytes(3 << depth)
            extra = chunk(b"tRNS", RNG.bytes(1 << depth)) if interlace else b""
            data = png(13, 11, depth, 3, interlace, palette, extra)
            yield f"palette-{depth}{kind}.png", data
    yield "palette-short.png", png(9, 9, 8, 3, 0, RNG.bytes(3 * 40))
    yield "rgb-transparent.png", png(5, 4, 8, 2, 0, b"", chunk(b"tRNS", bytes(6)))
    yield "grey-transparent.png", png(5, 4, 4, 0, 0, b"", chunk(b"tRNS", b"\0\3"))
    yield "side-1x1.png", png(1, 1, 8, 2, 1)
    yield "side-1x9.png", png(1, 9, 1, 0, 1)
    yield "exif-6.png", png(12, 7, 8, 2, 0, b"", chunk(b"eXIf", orientation(6)))

    yield "rgb.bmp", bmp("RGB", 13, 5, 60)
    yield "rgba.bmp", bmp("RGBA", 6, 5, 61)
    yield "grey.bmp", bmp("L", 10, 5, 62)
    yield "bits.bmp", bmp("1", 21, 9, 63)
    yield "palette.bmp", bmp("P", 9, 7, 64, 17)
    for bits in (1, 4, 8, 24, 32):
        yield f"top-down-{bits}.bmp", bmp_by_hand(7, 5, bits, True)
        yield f"bottom-up-{bits}.bmp", bmp_by_hand(10, 3, bits, False)
    yield "core.bmp", bmp_by_hand(11, 6, 4, False, core=True)

    yield "plain.gif", gif(23, 17, 70, 200, interlace=0)
    yield "interlaced.gif", gif(23, 37, 71, 16, interlace=1)
    yield "two-colours.gif", gif(9, 5, 72, 2, interlace=0)
    yield "grey.gif", gif(17, 9, 73, 0, grey=True, interlace=0)
    yield "transparent.gif", gif(17, 9, 74, 8, transparency=3, interlace=0)
    yield "screen.gif", gif(7, 5, 75, 8, screen=(12, 9), place=(3, 2), interlace=0)
    yield "screen-transparent.gif", gif(
        7, 5, 76, 8, screen=(12, 9), place=(3, 2), transparency=2, interlace=0
    )
    yield "outside.gif", gif(7, 5, 77, 8, place=(4, 6), interlace=0)
    yield "frames.gif", gif_frames(20, 12)


def checksum(picture):
    return zlib.crc32(np.asarray(picture, np.uint8).tobytes())


def as_text(picture):
    return f"{picture.width}, {picture.height}, 0x{checksum(picture):08x}U"


def resize_cases():
    rng = np.random.default_rng(21)
    fixed = [(1, 1, 1, 1), (1, 1, 9, 5), (9, 5, 1, 1), (1, 40, 7, 3), (40, 1, 3, 7)]
    fixed += [(30, 20, 30, 20), (30, 20, 15, 20), (30, 20, 30, 10), (30, 20, 31, 21)]
    fixed += [(20, 90, 18, 30), (20, 90, 10, 70), (20, 90, 10, 69), (64, 48, 22, 22)]
    fixed += [(25, 31, 224, 224), (97, 61, 17, 16), (16, 16, 64, 64), (100, 2, 3, 50)]
    for _ in range(110):
        fixed.append(tuple(int(v) for v in rng.integers(1, 90, 4)))
    for i, (width, height, to_width, to_height) in enumerate(fixed):
        picture = noise(width, height, i + 1)
        for name, kernel in (("Bilinear", Image.BILINEAR), ("Bicubic", Image.BICUBIC)):
            now = picture.resize((to_width, to_height), kernel)
            # Pillow up to 12: rows first, always.
            before = picture.resize((to_width, height), kernel)
            before = before.resize((to_width, to_height), kernel)
            yield (
                f"{{{width}, {height}, {i + 1}, {to_width}, {to_height}, "
                f"Filter::k{name}, 0x{checksum(now):08x}U, 0x{checksum(before):08x}U}}"
            )


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    turbo = features.version("libjpeg_turbo")
    print(f"""#pragma once

// Made by tests/reference/image.py with Pillow {PIL.__version__}, libjpeg-turbo {turbo},
// NumPy {np.__version__}.

#include "trmml/data/image.hpp"

#include <cstdint>
#include <vector>

// clang-format off
namespace reference {{

using trmml::data::Filter;

/// A file of tests/data/pictures, and Image.open(file).convert("RGB").
struct Picture {{
  const char* file;
  int width;
  int height;
  uint32_t crc;
  // After ImageOps.exif_transpose.
  int upright_width;
  int upright_height;
  uint32_t upright_crc;
}};

inline const std::vector<Picture> kPictures = {{""")
    for name, data in pictures():
        (FOLDER / name).write_bytes(data)
        plain = Image.open(io.BytesIO(data)).convert("RGB")
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        print(f'    {{"{name}", {as_text(plain)}, {as_text(upright)}}},')
    print("""};

/// A picture of noise (generator's seed), resized; and as Pillow up to 12 does it.
struct Resize {
  int width;
  int height;
  uint32_t seed;
  int to_width;
  int to_height;
  Filter filter;
  uint32_t crc;
  uint32_t rows_first_crc;
};

inline const std::vector<Resize> kResizes = {""")
    for case in resize_cases():
        print(f"    {case},")
    print("};\n\n}  // namespace reference\n// clang-format on")
    print(sum(f.stat().st_size for f in FOLDER.iterdir()), "bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
