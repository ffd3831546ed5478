#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The kernel, as compiled for the simulator, defines no symbol that the C library also has.

In the simulator both are in one program: a kernel function called like one of the C library's would silently be used by
hosted code too, or the other way round.

usage: libc_clash.py NM LIBRARY...
"""
import subprocess
import sys
from ctypes.util import find_library
from pathlib import Path

FOLDERS = ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"]


def symbols(nm: str, *args: str) -> set[str]:
    """Names of the global symbols that a file defines, without versions."""
    output = subprocess.run([nm, "--defined-only", *args], check=True, capture_output=True, text=True).stdout
    found = set()
    for line in output.splitlines():
        words = line.split()
        if len(words) == 3 and words[1] in "TWVDBRuiI":
            found.add(words[2].split("@")[0])
    return found


def libc_path() -> str:
    name = find_library("c") or "libc.so.6"
    for folder in FOLDERS:
        if (Path(folder) / name).exists():
            return str(Path(folder) / name)
    sys.exit("no C library found")


def main() -> int:
    nm, *kernel = sys.argv[1:]
    clashes = sorted(symbols(nm, *kernel) & symbols(nm, "-D", libc_path()))
    for name in clashes:
        print(f"{name}: defined by the kernel, and a symbol of the C library")
    return 1 if clashes else 0


if __name__ == "__main__":
    sys.exit(main())
