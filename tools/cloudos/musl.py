# SPDX-License-Identifier: MIT
"""Small static programs with musl, for either architecture, from Debian's musl-dev unpacked under build/."""

from __future__ import annotations

import subprocess
from pathlib import Path

from . import build, debian
from .paths import BUILD, ROOT
from .ui import Failure, step

COMPILERS = {"x86_64": "gcc", "aarch64": "aarch64-linux-gnu-gcc"}


def program(source: str, arch: str) -> Path:
    """Compiles tests/bench/SOURCE.c; the program."""
    path = ROOT / "tests" / "bench" / f"{source}.c"
    target = BUILD / "bench" / arch / source
    if target.exists() and target.stat().st_mtime > path.stat().st_mtime:
        return target
    build.prepare(f"user-{arch}")
    home = debian.package("musl-dev", arch) / "usr"
    library = home / "lib" / f"{arch}-linux-musl"
    include = home / "include" / f"{arch}-linux-musl"
    compiler = COMPILERS[arch]
    own = subprocess.run([compiler, "-print-file-name=include"], capture_output=True, text=True, check=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    with step(f"compiling {source} ({arch})"):
        done = subprocess.run(
            [compiler, "-O2", "-std=gnu17", "-nostdinc", "-isystem", str(include), "-isystem", own.stdout.strip(),
             "-nostdlib", "-static", "-no-pie", "-fno-pie", "-o", str(target), str(library / "crt1.o"),
             str(library / "crti.o"), str(path), str(library / "libc.a"), "-lgcc", str(library / "libc.a"),
             str(library / "crtn.o")], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(f"{source} did not compile:\n{done.stderr[-2000:]}")
    return target
