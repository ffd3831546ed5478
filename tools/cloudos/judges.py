# SPDX-License-Identifier: MIT
"""cloudos test judges: the test suites of Debian's own programs, run unmodified on CloudOS, judge it.

A judge is a list of items, tests/judges/<judge>.txt, one a line: its name, then `quick` where it belongs to the subset that is
run without --full and on every machine, then `except REASON` where it is known not to pass. What is excepted is run all the same,
and the list is wrong as soon as it passes: so the exceptions stay true. `skip REASON`: it is not run at all.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import debian, guests, packages
from .guests import Program
from .machine import Setup
from .outcome import FAILED, PASSED, SKIPPED, Job, Outcome
from .paths import ROOT
from .ui import Failure

FOLDER = ROOT / "tests" / "judges"
EXCEPTED = "excepted: "
LINE = re.compile(r"(?P<name>\S+)(?P<quick>\s+quick)?(?:\s+(?P<how>except|skip)\s+(?P<reason>\S.*))?")


@dataclass(frozen=True)
class Item:
    name: str
    quick: bool
    reason: str                   # '' or why it does not pass
    skip: bool = False            # and is not even run


@dataclass(frozen=True)
class Judge:
    name: str
    packages: tuple[str, ...]
    command: Callable[[str, bool], str]        # (item, full) -> what the guest's shell runs; status 0 is a pass
    limit_s: int                               # for one item
    files: tuple[tuple[str, str], ...] = ()    # of this source tree: what the guest gets, and where
    sources: tuple[str, ...] = ()              # Debian's source packages, whose tarballs it finds in /sources
    packaging: tuple[str, ...] = ()            # the same, of what Debian adds to the source
    memory: int = 2048
    smp: int = 4
    size: int = 4                              # items a boot in the simulator; QEMU_SIZE in QEMU, where a boot costs more


def _cpython(item: str, full: bool) -> str:
    return f"cd /tmp && python3 -m test -W {shlex.quote(item)}"


def _stress_ng(item: str, full: bool) -> str:
    return f"cd /tmp && stress-ng --{shlex.quote(item)} 4 --verify --oomable -t {5 if full else 1}"


def _script(folder: str) -> Callable[[str, bool], str]:
    return lambda item, full: f"bash /judges/{folder}/{shlex.quote(item)}.sh"


COMPILER = ("bash", "coreutils", "dash", "diffutils", "findutils", "g++", "gawk", "gcc", "grep", "libc6-dev", "make", "sed", "tar", "xz-utils")
PEOPLE = ("bash", "coreutils", "gcc", "gawk", "git", "libc6-dev", "make", "nodejs", "procps", "python3", "redis-server", "sqlite3", "tmux")
QEMU_SIZE = 60

JUDGES = (
    Judge("cpython", ("python3", "libpython3.11-testsuite", "tzdata"), _cpython, 600),
    Judge("stress-ng", ("stress-ng", "bash", "coreutils"), _stress_ng, 90),
    Judge("perl", ("perl", "dash", "coreutils", "tar", "xz-utils", "procps"), lambda item, full: f"sh /judges/perl.sh {shlex.quote(item)}",
          300, files=(("tests/judges/perl.sh", "/judges/perl.sh"),), sources=("perl",), size=60),
    Judge("busybox", ("busybox-static", "bash", "bzip2", "coreutils", "diffutils", "procps", "tar", "xz-utils"),
          lambda item, full: f"sh /judges/busybox.sh {shlex.quote(item)}", 600, files=(("tests/judges/busybox.sh", "/judges/busybox.sh"),),
          sources=("busybox",), packaging=("busybox",), size=20),
    Judge("build", COMPILER, _script("build"), 1200, files=(("tests/judges/build", "/judges/build"),),
          sources=("libzstd", "lz4", "redis"), memory=3072),
    Judge("programs", PEOPLE, _script("programs"), 600, files=(("tests/judges/programs", "/judges/programs"),), memory=3072),
)


def read(judge: str) -> list[Item]:
    path = FOLDER / f"{judge}.txt"
    found = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        parts = LINE.fullmatch(line.strip())
        if not parts:
            raise Failure(f"{path}:{number}: an item is NAME [quick] [except REASON | skip REASON]", 2)
        found.append(Item(parts["name"], bool(parts["quick"]), parts["reason"] or "", parts["how"] == "skip"))
    return found


def _expect(item: Item) -> Callable[[str, int], str]:
    def expect(text: str, status: int) -> str:
        if item.reason:
            return EXCEPTED + item.reason if status != 0 else "it passes: take the exception off the list"
        return "" if status == 0 else f"status {status}\n{text}"
    return expect


def _excepting(job: Job) -> Job:
    """The same job; what is excepted counts as skipped."""
    def run(names: list[str]):
        for outcome in job.run(names):
            if outcome.result == FAILED and outcome.message.startswith(EXCEPTED):
                outcome.result = SKIPPED
            yield outcome
    return Job(job.names, run, alone=True)


def _added(judge: Judge) -> list[tuple[Path, str]]:
    found, wanted = [], [(name, "orig") for name in judge.sources] + [(name, "debian") for name in judge.packaging]
    for name, where in judge.files:
        path = ROOT / name
        found += [(file, f"{where}/{file.name}") for file in sorted(path.iterdir())] if path.is_dir() else [(path, where)]
    return found + [(path, f"/sources/{path.name}") for name, part in wanted for path in debian.source(name, part)]


def jobs(machines: list[str], wanted: Callable[[str], bool], full: bool) -> list[Job]:
    """wanted: is any test whose name begins so to be run?"""
    found = []
    for judge in JUDGES:
        items = read(judge.name)
        for machine in [name for name in machines if wanted(f"judges/{name}/{judge.name}/")]:
            chosen = [item for item in items if item.quick or (full and machine == "sim")]
            programs = [Program(item.name, judge.command(item.name, full), _expect(item)) for item in chosen if not item.skip]
            skipped = [Job([f"judges/{machine}/{judge.name}/{item.name}"], lambda names, item=item: iter(
                       [Outcome(names[0], SKIPPED, 0, EXCEPTED + item.reason)]), alone=True) for item in chosen if item.skip]
            setup = Setup(machine=machine, smp=judge.smp, memory=judge.memory, packages=packages.check_names(list(judge.packages)))
            found += skipped + [_excepting(job) for job in guests.batch(f"judges/{machine}/{judge.name}", setup, programs, _added(judge),
                                                                        judge.size if machine == "sim" else QEMU_SIZE, judge.limit_s)]
    return found


def table(outcomes: list[Outcome]) -> str:
    """What each judge said: run, passed, excepted with the reasons. '' if none was asked."""
    rows: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        suite, machine, judge = (outcome.name.split("/") + ["", ""])[:3]
        if suite == "judges":
            rows.setdefault((judge, machine), []).append(outcome)
    if not rows:
        return ""
    lines = [f"{'judge':12} {'machine':8} {'run':>5} {'passed':>7} {'excepted':>9} {'failed':>7}"]
    for (judge, machine), of in sorted(rows.items()):
        counts = [sum(outcome.result == result for outcome in of) for result in (PASSED, SKIPPED, FAILED)]
        lines.append(f"{judge:12} {machine:8} {len(of):5} {counts[0]:7} {counts[1]:9} {counts[2]:7}")
    reasons = {f"  {outcome.name.split('/', 2)[2]}: {outcome.message.removeprefix(EXCEPTED)}"
               for of in rows.values() for outcome in of if outcome.result == SKIPPED}
    return "\n".join(lines + (["excepted:"] if reasons else []) + sorted(reasons))
