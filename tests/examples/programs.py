"""Runs programs and counts what does not hold, for the tests of this folder."""

import os
import re
import subprocess
import sys

checks = 0
faults = 0


def check(holds, what):
    global checks, faults
    checks += 1
    if not holds:
        faults += 1
        print("FAULT:", what)


def run(status, program, *arguments):
    """What the program printed, and what it complained about."""
    command = [program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    shown = " ".join([os.path.basename(program), *command[1:]])
    check(done.returncode == status,
          f"{shown}: expected exit status {status}, got {done.returncode}: {done.stderr}")
    return done.stdout, done.stderr


def refused(status, pattern, program, *arguments):
    _, errors = run(status, program, *arguments)
    shown = " ".join([os.path.basename(program), *map(str, arguments)])
    check(re.search(pattern, errors), f"{shown}: expected '{pattern}', got: {errors}")


def finish():
    print(f"{checks} checks, {faults} faults")
    sys.exit(1 if faults else 0)
