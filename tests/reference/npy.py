#!/usr/bin/env python3
"""Writes npy.hpp: files of numpy.save, byte for byte.

    python3 tests/reference/npy.py > tests/reference/npy.hpp

Names say dtype and form; what each holds stands in tests/io/npy_test.cpp.
"""
import io

import numpy as np

MATRIX = [[-1, 0, 2], [3, -4, 100]]
NAMES = ["train2014/caf\u00e9.jpg", "", "\u56fe\u7247", "\U0001d11e", "a b"]


def file_of(array, version=None):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version, allow_pickle=False)
    return file.getvalue()


def main():
    files = {}
    for dtype in ("i1", "i2", "i4", "i8", "f2", "f4", "f8"):
        files[dtype] = file_of(np.array(MATRIX, dtype))
    files["u1"] = file_of(np.array([[0, 1, 2], [3, 4, 250]], "u1"))
    files["b1"] = file_of(np.array([[0, 1, 1], [1, 0, 0]], "?"))
    files["big_i4"] = file_of(np.array(MATRIX, ">i4"))
    files["big_f2"] = file_of(np.array(MATRIX, ">f2"))
    files["fortran_i2"] = file_of(np.asfortranarray(np.array(MATRIX, "i2")))
    files["big_fortran_f8"] = file_of(np.asfortranarray(np.array(MATRIX, ">f8")))
    files["fortran_cube"] = file_of(np.asfortranarray(np.arange(24, dtype="i1").reshape(2, 3, 4)))
    files["scalar"] = file_of(np.array(0.25))
    files["vector"] = file_of(np.array([5, 6, 7], "i8"))
    files["empty"] = file_of(np.zeros((0, 7), "i8"))
    files["wide"] = file_of(np.zeros((1,) * 30, "i1"))
    files["version_2"] = file_of(np.array(MATRIX, "f4"), version=(2, 0))
    files["names"] = file_of(np.array(NAMES))
    files["big_names"] = file_of(np.array(NAMES).astype(">U20"))
    files["no_names"] = file_of(np.array([], "U3"))

    print("#pragma once\n")
    print(f"// Made by tests/reference/npy.py with NumPy {np.__version__}.\n")
    print("#include <map>\n#include <string>\n")
    print("// clang-format off\nnamespace reference {\n")
    print("inline const std::map<std::string, std::string> kNpy = {")
    for name, data in files.items():
        print(f'    {{"{name}", std::string(')
        for i in range(0, len(data), 24):
            # Three octal digits, or the character itself where it can stand for itself.
            text = "".join(chr(b) if chr(b).isalpha() and b < 128 or b in b" ,:{}()'" else f"\\{b:03o}"
                           for b in data[i : i + 24])
            print(f'        "{text}"')
        print(f"        , {len(data)})}},")
    print("};\n\n}  // namespace reference\n// clang-format on")


if __name__ == "__main__":
    main()
