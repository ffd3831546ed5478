# SPDX-License-Identifier: MIT
"""Is the deterministic world deterministic? Runs the same seed twice and compares every event.

The second run has another heap (malloc's bytes perturbed), a longer environment, so that its stack begins elsewhere, and two busy
loops beside it; where shared libraries and mappings lie differs from run to run anyway.
"""

from __future__ import annotations

import contextlib
import os
import struct
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from . import machine
from .ui import Failure, say, step

RECORD = struct.Struct("<QIIQQ")         # struct sim_trace_record
AROUND = 6                               # events shown before the first that differs
CHUNK = 1 << 20
PERTURBED = ["env", "MALLOC_PERTURB_=165", "MALLOC_ARENA_MAX=1", f"CLOUDOS_PADDING={'x' * 3001}"]


@contextlib.contextmanager
def load() -> Iterator[None]:
    """Two busy loops, as long as this lasts."""
    loops = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(2)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def first_difference(a: Path, b: Path) -> int | None:
    """The number of the first event, from 1, that differs; None if all are the same."""
    with a.open("rb") as left, b.open("rb") as right:
        at = 0
        while True:
            one, other = left.read(CHUNK), right.read(CHUNK)
            if one == other:
                if not one:
                    return None
                at += len(one)
                continue
            same = next((i for i, (x, y) in enumerate(zip(one, other)) if x != y), min(len(one), len(other)))
            return (at + same) // RECORD.size + 1


def _lines(timeline: Path, number: int) -> str:
    with timeline.open(errors="replace") as file:
        lines = [line.rstrip() for i, line in enumerate(file, 1) if number - AROUND <= i <= number]
    return "\n".join(lines) or "(it ended before that)"


def compare(run: Callable[[Path, Path | None, bool], str]) -> str:
    """
    run(record, timeline, again) makes one run, the second time (again) started by PERTURBED, and gives its last line. Returns that line if both runs were the same; a Failure
    names the first event that differs.
    """
    folder = machine.fresh_folder("check")
    try:
        report = run(folder / "1", None, False)
        with load():
            other = run(folder / "2", None, True)
        number = first_difference(folder / "1", folder / "2")
        if number is None and report == other:
            return report
        run(folder / "3", folder / "3.txt", False)
        with load():
            run(folder / "4", folder / "4.txt", True)
        at = first_difference(folder / "3", folder / "4") or number or 1
        raise Failure(f"not deterministic: event {at} is the first that differs\n{report}\n{other}\nfirst run:\n"
                      f"{_lines(folder / '3.txt', at)}\nsecond run:\n{_lines(folder / '4.txt', at)}", 1)
    finally:
        machine.forget(folder)


def program(setup: machine.Setup, command: list[str], added: list[tuple[Path, str]]) -> int:
    """`run --check` and `sim --check`: a command in the simulator."""
    from . import run as runner

    if not setup.world:
        raise Failure("--check compares two runs of a seed: --seed N", 2)
    output: list[bytearray] = []
    results = []

    def once(record: Path, timeline: Path | None, again: bool) -> str:
        written = bytearray()
        world = [*setup.world, "--record", str(record)] + (["--trace", str(timeline)] if timeline else [])
        with open(os.devnull, "rb") as nothing, step("running it again, under load" if again else "running it"):
            result = runner.execute(replace(setup, world=world, prefix=PERTURBED if again else []), command, added, nothing.fileno(),
                                    lambda letter, data: written.extend(data), None, None)
        output.append(written)
        results.append(result)
        if not result.report():
            raise Failure(f"the run did not come to its end:\n{result.log_tail()}")
        return result.report()

    report = compare(once)
    os.write(1, bytes(output[0]))
    say(f"both runs were the same\n{report}")
    if results[0].end == "panic":
        raise Failure(results[0].panic_text(), results[0].status)
    return results[0].status
