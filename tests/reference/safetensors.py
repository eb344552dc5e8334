"""Writes safetensors.hpp: a file of the format, made byte by byte with `struct`.

    /usr/bin/python3 tests/reference/safetensors.py > tests/reference/safetensors.hpp

Every dtype once, values that all of them can hold exactly; the order is ours (widest
dtype first, then name), so our writer must give the same bytes.
"""

import json
import struct
import sys

# dtype, bytes of an element, format of struct (BF16: the upper half of a float)
DTYPES = [
    ("F64", 8, "d"), ("I64", 8, "q"), ("F32", 4, "f"), ("I32", 4, "i"),
    ("BF16", 2, None), ("F16", 2, "e"), ("I16", 2, "h"),
    ("BOOL", 1, "?"), ("I8", 1, "b"), ("U8", 1, "B"),
]
METADATA = {"format": "pt", "quote\"d": "caf\u00e9\n"}


def encode(dtype, code, values):
    if dtype == "BF16":
        return b"".join(struct.pack("<f", v)[2:] for v in values)
    return b"".join(struct.pack("<" + code, v) for v in values)


def main():
    tensors = []
    for dtype, size, code in DTYPES:
        values = {"U8": [0, 2, 250], "BOOL": [0, 1, 1]}.get(dtype, [-1, 0, 2])
        if dtype in ("F64", "F32", "F16", "BF16"):
            values = [-1.5, 0, 2]
        tensors.append((dtype.lower(), dtype, size, [1, 3], encode(dtype, code, values)))
    tensors.append(("empty", "F32", 4, [0, 7], b""))
    tensors.append(("scalar", "F64", 8, [], struct.pack("<d", 0.25)))
    tensors.sort(key=lambda t: (-t[2], t[0]))

    header, data = {"__metadata__": METADATA}, b""
    for name, dtype, _, shape, raw in tensors:
        header[name] = {
            "dtype": dtype,
            "shape": shape,
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    file = struct.pack("<Q", len(text)) + text + data

    print("#pragma once\n")
    print("// Made by tests/reference/safetensors.py with Python "
          f"{sys.version.split()[0]}.\n")
    print("#include <string>\n")
    print("// clang-format off\nnamespace reference {\n")
    print("inline const std::string kSafetensors(")
    for i in range(0, len(file), 20):
        print('    "' + "".join(f"\\{b:03o}" for b in file[i : i + 20]) + '"')
    print(f"    , {len(file)});\n\n}}  // namespace reference\n// clang-format on")


if __name__ == "__main__":
    main()
