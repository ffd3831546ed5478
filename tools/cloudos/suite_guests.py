# SPDX-License-Identifier: MIT
"""Suites of programs that run in guests, most of them with this machine's Linux as the oracle."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from . import build, guests, packages
from .guests import Program
from .machine import Setup
from .outcome import Job, simple
from .paths import BUILD, ROOT

SLOW_USER = "ptrace"        # the simulator's way to run user programs that is not its default

# ---- the system-call ABI: the same program everywhere, this machine's Linux as the oracle ----

def _abi_programs(arch: str) -> dict[str, Path]:
    build.program(arch, "src/services/init/init")
    folder = BUILD / f"user-{arch}" / "tests" / "abi"
    return {path.name: path for path in sorted(folder.glob("*")) if path.is_file() and os.access(path, os.X_OK)}


def _abi_expect(oracle: dict[str, tuple[str, int]], name: str) -> Callable[[str, int], str]:
    def expect(text: str, status: int) -> str:
        want, want_status = oracle.get(name, (None, 0))
        wrong = [line for line in text.splitlines() if line.startswith("not ok")]
        if status != 0 or wrong or text.startswith("skipped:"):
            return f"status {status}\n{text}"
        if want is not None and not want.startswith("skipped:") and text != want:
            return f"differs from Linux.\nLinux:\n{want}\nCloudOS:\n{text}"
        return ""
    return expect


def _abi_guest(name: str, oracle: dict[str, tuple[str, int]], setup: Setup, prefix: str = "") -> list[Job]:
    found = _abi_programs(guests.arch_of(name))
    programs = [Program(test, f"cd /tmp && /abi/{test}", _abi_expect(oracle, test)) for test in found]
    added = [(path, f"/abi/{test}") for test, path in found.items()]
    title = f"{name}-{setup.user}" if setup.user else name
    return guests.batch(f"{prefix}abi/{title}", setup, programs, added)


def abi() -> list[Job]:
    native = _abi_programs(build.NATIVE)
    oracle: dict[str, tuple[str, int]] = {}
    jobs = []

    def host(path: Path) -> Callable[[], str]:
        def check() -> str:
            with tempfile.TemporaryDirectory() as folder:
                text, status = guests.on_host(str(path), Path(folder))
            oracle[path.name] = (text, status)
            return "" if status == 0 and "not ok" not in text else f"status {status}\n{text}"
        return check

    jobs += [simple(f"abi/host/{name}", host(path)) for name, path in native.items()]
    for name in guests.ready:
        jobs += _abi_guest(name, oracle, Setup(machine=name, smp=2))
    if "sim" in guests.ready:
        jobs += _abi_guest("sim", oracle, Setup(machine="sim", smp=2, user=SLOW_USER))
    return jobs


# ---- Debian's own programs, dynamic, from their packages (docs/rootfs.md) ----

DEBIAN_FOLDER = ROOT / "tests" / "debian"        # programs that print `ok`
DEBIAN_PACKAGES = ("bash", "bubblewrap", "coreutils", "crun", "fio", "gdb", "git", "hostname", "libcap2-bin", "perl", "procps",
                   "python3", "python3-seccomp", "redis-server", "sqlite3", "strace", "util-linux")


def debian_programs() -> list[Job]:
    def expect(text: str, status: int) -> str:
        return "" if (text, status) == ("ok\n", 0) else f"status {status}\n{text}"

    files = sorted(path for path in DEBIAN_FOLDER.iterdir() if path.suffix in (".pl", ".py", ".sh"))
    programs = [Program(path.stem, f"/debian/{path.name}", expect) for path in files]
    added = [(path, f"/debian/{path.name}") for path in files]
    ways = [(name, name, []) for name in guests.ready]
    if "sim" in guests.ready:
        ways.append((f"sim-seed-{WORLDS[0]}", "sim", ["--seed", str(WORLDS[0])]))
    jobs = []
    for title, name, world in ways:
        setup = Setup(machine=name, smp=2, memory=0, packages=packages.check_names([*DEBIAN_PACKAGES]), world=world)
        debugged = build.program(guests.arch_of(name), "tests/debian/debugged")
        jobs += guests.batch(f"debian/{title}", setup, programs, [*added, (debugged, "/debian/debugged")])
    return jobs


# ---- busybox's applets: the same output and status as the same binary has on Linux ----

SWEEP = ROOT / "tests" / "applets" / "sweep.txt"
SWEEP_MIB = 24      # the smallest machine that is promised


def _sweep_lines() -> list[tuple[str, str]]:
    """(name, command): lines of sweep.txt, numbered by their applet. Lines that start with # are comments."""
    found, seen = [], {}
    for line in SWEEP.read_text().splitlines() if SWEEP.exists() else []:
        if line.strip() and not line.startswith("#"):
            word = line.split()[0].lstrip("(")
            seen[word] = seen.get(word, 0) + 1
            found.append((f"{word}-{seen[word]}", line))
    return found


def _in_fresh_folder(command: str) -> str:
    return f"rm -rf /tmp/sweep; mkdir /tmp/sweep; cd /tmp/sweep; {command}"


def applets() -> list[Job]:
    lines = _sweep_lines()
    oracles: dict[str, dict[str, tuple[str, int]]] = {}

    def expect(arch: str, name: str, command: str) -> Callable[[str, int], str]:
        def compare(text: str, status: int) -> str:
            want, want_status = oracles[arch].get(name, ("(Linux gave no answer)", -1))
            if (text, status) == (want, want_status):
                return ""
            return f"{command}\nLinux, status {want_status}:\n{want}\nCloudOS, status {status}:\n{text}"
        return compare

    jobs = []
    for name in guests.ready if lines else ():
        arch = guests.arch_of(name)
        programs = [Program(test, _in_fresh_folder(command), expect(arch, test, command)) for test, command in lines]
        if arch not in oracles:
            oracles[arch] = guests.on_linux(arch, programs)
        jobs += guests.batch(f"applets/{name}", Setup(machine=name, smp=2, memory=SWEEP_MIB), programs, [], size=100)
    return jobs


def simulator_jobs(kernel: Path, smp: int = 2, prefix: str = "") -> list[Job]:
    """The programs of `abi` and `applets` in a simulator built otherwise (for coverage, for ThreadSanitizer)."""
    programs = [Program(test, _in_fresh_folder(command), lambda text, status: "") for test, command in _sweep_lines()]
    setup = Setup(machine="sim", smp=smp, kernel=kernel)
    return (_abi_guest("sim", {}, setup, prefix)
            + guests.batch(f"{prefix}applets/sim", setup, programs, [], size=100))


# ---- random system calls, with this machine's Linux as the oracle ----

WALKS, WALK_STEPS = 40, 150
WORLDS = (1, 2, 3)           # seeds of the deterministic world in which the same walks must give the same answers


def _walk_expect(seed: int) -> Callable[[str, int], str]:
    def expect(text: str, status: int) -> str:
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:        # a tmpfs, as the guests' is
            program = build.program(build.NATIVE, "tests/random/walk")
            wanted, wanted_status = guests.on_host(f"TMPDIR={folder} {program} {seed} {WALK_STEPS}", Path(folder))
        if (text, status) == (wanted, wanted_status):
            return ""
        pairs = list(zip(wanted.splitlines() + ["(end)"], text.splitlines() + ["(end)"]))
        at = next((i for i, (a, b) in enumerate(pairs) if a != b), len(pairs) - 1)
        before = "\n".join(a for a, _ in pairs[max(0, at - 8):at])
        return f"status {status}, Linux {wanted_status}; after\n{before}\nLinux: {pairs[at][0]}\nhere: {pairs[at][1]}"
    return expect


def random_walks() -> list[Job]:
    programs = [Program(f"walk-{seed}", f"/random/walk {seed} {WALK_STEPS}", _walk_expect(seed)) for seed in range(1, WALKS + 1)]
    build.program(build.NATIVE, "tests/random/walk")
    jobs = []
    for name in guests.ready:
        added = [(build.program(guests.arch_of(name), "tests/random/walk"), "/random/walk")]
        worlds = [(f"sim-seed-{seed}", ["--seed", str(seed)]) for seed in WORLDS] if name == "sim" else [(name, [])]
        for title, world in worlds:
            jobs += guests.batch(f"random/{title}", Setup(machine=name, smp=2, world=world), programs, added)
    return jobs
