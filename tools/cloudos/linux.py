# SPDX-License-Identifier: MIT
"""Debian's kernel on the same machine with the same initramfs: what CloudOS is measured against."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from . import debian, initramfs
from .machine import Setup, command_line
from .paths import BUILD
from .session import Session
from .ui import Failure, step

CONSOLE = {"x86_64": "ttyS0", "aarch64": "ttyAMA0"}
MARK = b"cloudos-run: status "


def run(setup: Setup, command: list[str], added: list[tuple[Path, str]], what: str, limit_s: float,
        fresh: bool = False) -> bytes:
    """What the command wrote on Linux's console. Remembered under build/ while nothing that goes in changes."""
    setup.kernel = debian.linux_kernel(setup.arch)
    contents = initramfs.base(setup.arch, setup.packages) + initramfs.extra(command, added)
    words = f"quiet loglevel=0 console={CONSOLE[setup.arch]}"
    key = hashlib.sha256(contents + f"{setup} {words}".encode()).hexdigest()[:16]
    memory = BUILD / "oracle" / f"{setup.arch}-{key}"
    if fresh or not memory.exists():
        memory.parent.mkdir(parents=True, exist_ok=True)
        with step(f"asking Linux on {setup.arch} {what}"), tempfile.TemporaryDirectory() as folder:
            line = command_line(setup, Path(folder), command, added, words)
            session = Session([*line, "-serial", "stdio"], Path(folder) / "log", None, lambda letter, data: None, limit_s)
            result = session.run()
        if MARK not in result.log:
            raise Failure(f"Linux on {setup.arch} did not end ({result.end}):\n{result.log_tail()}")
        memory.write_bytes(result.log)
    return memory.read_bytes()
