# SPDX-License-Identifier: MIT
"""cloudos bench apps: Debian's programs on CloudOS and on Debian's Linux, from the same root file system in the same QEMU.

Rows that one processor does are counted in instructions (-icount), as those of bench posix are: a millisecond is a million. What needs several
is timed, as are the simulator and this machine, which has versions of its own: figures of those say what a person waits for, and no more.
tests/bench/apps.py has the rows.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from . import linux, packages
from .machine import Setup
from .paths import ROOT

PACKAGES = ("gcc", "git", "libc6-dev", "make", "python3", "redis-server", "sqlite3")
SCRIPT = ROOT / "tests" / "bench" / "apps.py"
IN_GUEST = "/bench/apps.py"
COUNTED = ("python_start", "git_status", "sqlite_inserts", "redis_unix", "gcc_compile", "shells")
TIMED = ("make_j4",)
CPUS = 4            # of what is timed
LIMIT_S = 3000


def _setup(machine: str, timed: bool) -> Setup:
    return Setup(machine=machine, memory=0, smp=CPUS if timed else 1, icount=not timed and machine != "sim",
                 packages=packages.check_names([*PACKAGES]))


def in_qemu(machine: str, rows: tuple[str, ...], ours: Callable[..., str], fresh: bool) -> tuple[str, str]:
    """What the rows say on Linux and on CloudOS."""
    command, added, timed = ["python3", IN_GUEST, *rows], [(SCRIPT, IN_GUEST)], rows == TIMED
    what = "for applications"
    theirs = linux.run(_setup(machine, timed), command, added, what, LIMIT_S, fresh).decode(errors="replace")
    return theirs, ours(_setup(machine, timed), command, added, what)


def in_simulator(user: str, ours: Callable[..., str]) -> tuple[str, str]:
    """What all rows say on this machine and in the simulator."""
    native = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, timeout=LIMIT_S).stdout
    setup = _setup("sim", True)
    setup.user = user
    return native, ours(setup, ["python3", IN_GUEST], [(SCRIPT, IN_GUEST)], "for applications")
