"""Puts the vocabulary of CLIP into a folder: `scripts/setup --clip-vocab` runs it.

    python3 scripts/clip_vocab.py FOLDER

The file is in the wheel of open-clip-torch on PyPI (MIT licence); pip downloads the wheel
alone, without what it depends on, and one file of it is kept after its sha256 was checked.
"""

import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile
import zipfile

NAME = "bpe_simple_vocab_16e6.txt.gz"
PACKAGE = "open-clip-torch"
MEMBER = f"open_clip/{NAME}"
SHA256 = "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a"


def is_right(data):
    return hashlib.sha256(data).hexdigest() == SHA256


def download():
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
                   "--only-binary=:all:", "--disable-pip-version-check", "--dest", folder, PACKAGE]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines()[-5:]
            sys.exit("\n".join([*lines, f"{' '.join(command[:4])} {PACKAGE} failed (is python3-pip "
                                "installed, and is there a network?)"]))
        (wheel,) = pathlib.Path(folder).glob("*.whl")
        try:
            data = zipfile.ZipFile(wheel).read(MEMBER)
        except KeyError:
            sys.exit(f"{wheel.name}: expected the file {MEMBER}, got none")
        if not is_right(data):
            sys.exit(f"{wheel.name}: {MEMBER}: expected sha256 {SHA256}, got "
                     f"{hashlib.sha256(data).hexdigest()}")
        return wheel.name, data


def main():
    target = pathlib.Path(sys.argv[1]) / NAME
    if target.is_file() and is_right(target.read_bytes()):
        print(f"{target} is there already")
        return
    wheel, data = download()
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{NAME}.tmp-{os.getpid()}")
    temporary.write_bytes(data)
    temporary.replace(target)
    print(f"{target} (from {wheel}, sha256 checked)")


if __name__ == "__main__":
    main()
