# SPDX-License-Identifier: MIT
"""cloudos bench: CloudOS beside Linux, on the same QEMU command line, with the same initramfs and program.

Rows that wait for no disk and no wire are counted, not timed: with -icount shift=0,sleep=off one guest instruction
is one nanosecond of guest time, so that the figures are instructions per operation, the same on a busy machine.
The simulator is set beside User-Mode Linux and this machine itself in wall time.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import select
import statistics
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from . import bench_apps, bench_sim, boot_chart, build, debian, initramfs, linux, machine, musl, run
from .machine import Setup
from .paths import BUILD
from .ui import Failure, say, step

SUMMARY = "measure CloudOS against Linux"
POSIX = ["-r", "3", "-t", "20", "-n", "1000"]
LIMIT_S = 1500
SIM_TURNS = 5
# User space alone: shown, but no part of the mean. clock_gettime is the vDSO's.
USER_ROWS = ("memcpy", "sha256", "clock_gettime")
NET_ROWS = ("tcp_",)
ROW = re.compile(r"^(\w+) ([0-9.]+) (\S+)$", re.M)


@dataclass
class Row:
    name: str
    unit: str
    theirs: float
    ours: float

    @property
    def ratio(self) -> float:
        """Cost of ours to theirs: under 1 is better, for throughputs too."""
        if not self.ours or not self.theirs:
            return math.nan
        return self.theirs / self.ours if self.unit == "MB/s" else self.ours / self.theirs

    @property
    def counts(self) -> bool:
        return self.name not in USER_ROWS and not self.name.startswith(NET_ROWS) and not math.isnan(self.ratio)


def parse(text: str) -> dict[str, tuple[float, str]]:
    return {name: (float(value), unit) for name, value, unit in ROW.findall(text.replace("\r", ""))}


def rows(theirs: dict[str, tuple[float, str]], ours: dict[str, tuple[float, str]]) -> list[Row]:
    return [Row(name, unit, value, ours.get(name, (0.0, unit))[0]) for name, (value, unit) in theirs.items()]


def mean(table: list[Row]) -> float:
    ratios = [row.ratio for row in table if row.counts]
    return math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else math.nan


def show(title: str, table: list[Row], names: tuple[str, str] = ("Linux", "CloudOS")) -> None:
    print(f"\n{title}\n{'':22}{'unit':>6}{names[0]:>14}{names[1]:>14}{'ratio':>9}")
    for row in table:
        ours = f"{row.ours:14.1f}" if row.ours else f"{'-':>14}"
        note = "" if row.counts else "  (not in the mean)"
        print(f"{row.name:22}{row.unit:>6}{row.theirs:14.1f}{ours}{row.ratio:9.3f}{note}")
    print(f"{'geometric mean':56}{mean(table):9.3f}")


def ours(setup: Setup, command: list[str], added: list[tuple[Path, str]], what: str) -> str:
    output = bytearray()
    with step(f"asking CloudOS on {setup.machine} {what}"):
        result = run.execute(setup, command, added, on_output=lambda letter, data: output.extend(data),
                             timeout_s=LIMIT_S)
    if result.end != "status":
        raise Failure(f"CloudOS on {setup.machine}: {result.end}\n{result.panic_text()}")
    return output.decode(errors="replace")


# ---- posix ----

def posix(arch: str, fresh: bool) -> list[Row]:
    """Instructions an operation, on one processor."""
    added = [(musl.program("posix_bench", arch), "/bin/posix_bench")]
    command = ["/bin/posix_bench", *POSIX]

    def setup() -> Setup:
        return Setup(machine=arch, icount=True)
    theirs = parse(linux.run(setup(), command, added, "for posix_bench", LIMIT_S, fresh).decode(errors="replace"))
    return rows(theirs, parse(ours(setup(), command, added, "for posix_bench")))


def _uml(command: list[str], added: list[tuple[Path, str]]) -> str:
    """User-Mode Linux: a Linux kernel that is a process of this machine, as the simulator is."""
    program = debian.package("user-mode-linux", "x86_64") / "usr/bin/linux.uml"
    folder = machine.fresh_folder("uml")
    try:
        initrd = initramfs.make("x86_64", folder / "initramfs.cpio", command, added)
        with step("asking User-Mode Linux for posix_bench"):
            done = subprocess.run([program, "mem=256M", f"initrd={initrd}", "con0=fd:0,fd:1", "con=null", "quiet",
                                   f"uml_dir={folder}"], stdin=subprocess.DEVNULL, capture_output=True,
                                  timeout=LIMIT_S, env={**os.environ, "TMPDIR": str(folder)})
        return done.stdout.decode(errors="replace")
    finally:
        machine.forget(folder)


def medians(runs: list[dict[str, tuple[float, str]]]) -> dict[str, tuple[float, str]]:
    """Row by row, of those runs that have it."""
    names = dict.fromkeys(name for found in runs for name in found)
    return {name: (statistics.median(found[name][0] for found in runs if name in found),
                   next(found[name][1] for found in runs if name in found)) for name in names}


def posix_sim(user: str) -> tuple[list[Row], list[Row]]:
    """Wall time: the simulator beside User-Mode Linux, and beside this machine.

    A busy machine changes from one minute to the next, so the three take turns, and each row is the median of its turns.
    """
    program = musl.program("posix_bench", build.NATIVE)
    command, added = ["/bin/posix_bench", *POSIX], [(program, "/bin/posix_bench")]
    native, uml, simulated = [], [], []
    for _ in range(SIM_TURNS):
        with step("asking this machine for posix_bench"):
            native.append(parse(subprocess.run([program, "-d", "/dev/shm", *POSIX], capture_output=True, text=True,
                                               timeout=LIMIT_S).stdout))
        uml.append(parse(_uml(command, added)))
        simulated.append(parse(ours(Setup(machine="sim", user=user), command, added, "for posix_bench")))
    found = medians(simulated)
    return rows(medians(uml), found), rows(medians(native), found)


# ---- boot ----

def boot_instructions(arch: str, fresh: bool) -> Row:
    """From the kernel's first instruction to a login shell that runs its first command."""
    added = [(musl.program("clock_ns", arch), "/bin/clock_ns")]
    command = ["sh", "-lc", "clock_ns"]

    def setup() -> Setup:
        return Setup(machine=arch, icount=True)
    theirs = _boot_clock(linux.run(setup(), command, added, "how long it boots", 300, fresh).decode(errors="replace"))
    return Row("boot", "Minstr", theirs, _boot_clock(ours(setup(), command, added, "how long it boots")))


def _boot_clock(text: str) -> float:
    values = parse(text)
    if "clock_ns" not in values:
        raise Failure(f"no time of boot in:\n{text[-800:]}")
    return values["clock_ns"][0] / 1e6


def boot_seconds(arch: str, times: int = 5) -> float:
    """Wall time from QEMU's start to the prompt, direct boot; the median."""
    folder = machine.fresh_folder("bench-boot")
    try:
        line = machine.command_line(Setup(machine=arch), folder, words="quiet") + ["-serial", "stdio"]
        return statistics.median(_until_prompt(line) for _ in range(times))
    finally:
        machine.forget(folder)


def _until_prompt(line: list[str], limit_s: float = 60) -> float:
    began = time.monotonic()
    process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    seen = b""
    try:
        while b"cloudos:/# " not in seen:
            left = began + limit_s - time.monotonic()
            if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
                raise Failure(f"no prompt in {limit_s:g} s:\n{seen.decode(errors='replace')[-1500:]}")
            data = os.read(process.stdout.fileno(), 65536)
            if not data:
                raise Failure(f"the machine ended before its prompt:\n{seen.decode(errors='replace')[-1500:]}")
            seen += data
        return time.monotonic() - began
    finally:
        process.kill()
        process.communicate()


def boot(arches: list[str], fresh: bool, html: Path | None) -> dict[str, dict[str, float]]:
    found = {}
    for arch in arches:
        row = boot_instructions(arch, fresh)
        with step(f"timing boots of {arch}"):
            seconds = boot_seconds(arch)
        found[arch] = {"linux_minstr": row.theirs, "cloudos_minstr": row.ours, "ratio": row.ratio, "seconds": seconds}
        say(f"{arch}: to the shell {row.ours:.1f} million instructions (Linux {row.theirs:.1f}, ratio {row.ratio:.4f}); "
            f"{seconds:.3f} s of wall time to the prompt")
    if html:
        boot_chart.write(html, arches[0])
        say(f"drew {html}")
    return found


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="cloudos bench", description=SUMMARY)
    parser.add_argument("what", nargs="*", choices=[[], "apps", "boot", "posix", "sim"], metavar="apps|boot|posix|sim")
    parser.add_argument("--machine", action="append", choices=("x86_64", "aarch64", "sim"))
    parser.add_argument("--user", default="", choices=machine.USERS, help="how the simulator runs user programs")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--html", type=Path, metavar="FILE", help="boot: draw where the time goes")
    parser.add_argument("--fresh", action="store_true", help="measure Linux again, though nothing changed")
    args = parser.parse_args(words)
    what = args.what or ["boot", "posix", "apps", "sim"]
    machines = args.machine or ["x86_64", "aarch64", "sim"]
    found: dict[str, object] = {}
    if "boot" in what:
        found["boot"] = boot([name for name in machines if name != "sim"], args.fresh, args.html)
    if "posix" in what:
        posix_tables(machines, args.fresh, found, args.json, args.user)
    if "apps" in what:
        app_tables(machines, args.fresh, found, args.json, args.user)
    if "sim" in what:
        found["sim"] = bench_sim.measure(_uml)
        if not args.json:
            bench_sim.show(found["sim"])
    if args.json:
        print(json.dumps(found, indent=1))
    BUILD.mkdir(exist_ok=True)
    (BUILD / "bench.json").write_text(json.dumps(found, indent=1))
    return 0


def posix_tables(machines: list[str], fresh: bool, found: dict[str, object], silent: bool, user: str) -> None:
    tables: dict[str, tuple[str, list[Row], tuple[str, str]]] = {}
    for name in machines:
        if name == "sim":
            uml, native = posix_sim(user)
            tables["sim/uml"] = ("simulator, wall time", uml, ("UML", "CloudOS sim"))
            tables["sim/host"] = ("simulator, wall time", native, ("this host", "CloudOS sim"))
        else:
            tables[name] = (f"{name}, guest instructions", posix(name, fresh), ("Linux", "CloudOS"))
    report("posix", tables, found, silent)


def app_tables(machines: list[str], fresh: bool, found: dict[str, object], silent: bool, user: str) -> None:
    tables: dict[str, tuple[str, list[Row], tuple[str, str]]] = {}
    for name in machines:
        if name == "sim":
            native, simulated = bench_apps.in_simulator(user, ours)
            tables["sim/host"] = ("applications in the simulator, wall time", rows(parse(native), parse(simulated)), ("this host", "CloudOS sim"))
            continue
        for chosen, how in ((bench_apps.COUNTED, "million instructions"), (bench_apps.TIMED, f"wall time on {bench_apps.CPUS} processors")):
            theirs, mine = bench_apps.in_qemu(name, chosen, ours, fresh)
            tables[f"{name}/{len(tables)}"] = (f"applications on {name}, {how}", rows(parse(theirs), parse(mine)), ("Linux", "CloudOS"))
    report("apps", tables, found, silent)


def report(kind: str, tables: dict[str, tuple[str, list[Row], tuple[str, str]]], found: dict[str, object], silent: bool) -> None:
    for key, (title, table, names) in tables.items():
        found[f"{kind}/{key}"] = {"title": title, "mean": mean(table), "rows": [asdict(row) | {"ratio": row.ratio} for row in table]}
        if not silent:
            show(title, table, names)
