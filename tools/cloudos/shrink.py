# SPDX-License-Identifier: MIT
"""Makes a failing scenario small: fewer faults, CPUs, operations; the failure must stay of the same kind.

Taking something away changes the schedule, and with it whether a race strikes. So each smaller scenario is tried with the schedule
that it has, then with a few others (`schedule-seed`), before it is given up.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

SCHEDULES = 12               # tried for each smaller scenario
RUN_LIMIT_S = 60


@dataclass
class Failing:
    """A run that failed."""

    kind: str                # of the build
    target: str
    seed: int
    status: int
    text: str

    def headline(self) -> str:
        lines = [line for line in self.text.splitlines() if line.strip()]
        for line in lines:
            if line.startswith(("verdict: ", "panic: ")) or "ERROR: " in line or "runtime error: " in line:
                return line.strip()
        return lines[0].strip() if lines else f"ended with status {self.status}"

    def signature(self) -> str:
        """The same for failures that seem to be the same: the first line without its numbers."""
        return f"{self.target} {signature(self.text, self.status)}"

    def name(self) -> str:
        words = re.findall(r"[a-z]+", self.headline().lower())
        words = [word for word in words if word not in ("verdict", "panic", "the", "a", "is", "of", "x", "c", "tests", "model")]
        return "-".join(words[:5]) + f"-{self.seed}"


def signature(text: str, status: int) -> str:
    failing = Failing("", "", 0, status, text)
    return re.sub(r"0x[0-9a-f]+|\d+", "#", failing.headline())


@dataclass
class Scenario:
    """What can be taken away from a scenario."""

    fixed: list[str]
    cpus: int
    operations: int
    faults: dict[str, str]
    schedule: int = 0
    skip: list[tuple[int, int]] = field(default_factory=list)

    @classmethod
    def parse(cls, text: str) -> "Scenario":
        this = cls([], 1, 0, {})
        for line in text.splitlines():
            word, _, value = line.partition(" ")
            if word == "cpus":
                this.cpus = int(value)
            elif word == "operations":
                this.operations = int(value)
            elif word == "schedule-seed":
                this.schedule = int(value)
            elif word == "fault":
                name, _, rate = value.partition(" ")
                this.faults[name] = rate
            elif word == "skip":
                low, _, high = value.partition("-")
                this.skip.append((int(low), int(high or low)))
            elif word:
                this.fixed.append(line)
        return this

    def text(self) -> str:
        lines = [*self.fixed, f"cpus {self.cpus}", f"operations {self.operations}"]
        lines += [f"fault {name} {rate}" for name, rate in self.faults.items()]
        lines += [f"skip {low}-{high}" if high > low else f"skip {low}" for low, high in self.skip]
        lines += [f"schedule-seed {self.schedule}"] if self.schedule else []
        return "".join(f"{line}\n" for line in lines)

    def but(self, **changes: object) -> "Scenario":
        return Scenario(**{"fixed": self.fixed, "cpus": self.cpus, "operations": self.operations, "faults": dict(self.faults),
                           "schedule": self.schedule, "skip": list(self.skip), **changes})


class Shrinker:
    def __init__(self, program: Path, wanted: str, seconds: float) -> None:
        self.program, self.wanted = program, wanted
        self.deadline = time.monotonic() + seconds
        self.tries = 0
        self.text = ""

    def fails(self, scenario: Scenario) -> bool:
        """Does it still fail in the same way?"""
        self.tries += 1
        with tempfile.NamedTemporaryFile("w", suffix=".scenario") as file:
            file.write(scenario.text())
            file.flush()
            try:
                done = subprocess.run([self.program, "--scenario", file.name], capture_output=True, text=True, errors="replace",
                                      stdin=subprocess.DEVNULL, timeout=RUN_LIMIT_S)
            except subprocess.TimeoutExpired:
                return False
        if done.returncode == 0 or signature(done.stderr, done.returncode) != self.wanted:
            return False
        self.text = done.stderr
        return True

    def attempt(self, scenario: Scenario) -> Scenario | None:
        """The scenario, with a schedule under which it fails; None if none was found."""
        for schedule in [scenario.schedule, *range(1, SCHEDULES + 1)]:
            if time.monotonic() > self.deadline:
                return None
            candidate = scenario.but(schedule=schedule)
            if self.fails(candidate):
                return candidate
        return None

    def faults(self, now: Scenario) -> Scenario:
        for name in list(now.faults):
            without = {other: rate for other, rate in now.faults.items() if other != name}
            now = self.attempt(now.but(faults=without)) or now
        return now

    def cpus(self, now: Scenario) -> Scenario:
        for cpus in range(1, now.cpus):
            if smaller := self.attempt(now.but(cpus=cpus)):
                return smaller
        return now

    def operations(self, now: Scenario) -> Scenario:
        while now.operations > 1:
            n = now.operations
            sizes = dict.fromkeys(size for size in (n // 2, n * 3 // 4, n - 1) if 0 < size < n)
            smaller = next((found for size in sizes if (found := self.attempt(now.but(operations=size)))), None)
            if not smaller:
                break
            now = smaller
        return now

    def skips(self, now: Scenario) -> Scenario:
        """Leaves out ranges of the first worker's operations, halving the ranges (delta debugging)."""
        size = max(1, now.operations // 2)
        while size and time.monotonic() < self.deadline:
            for low in range(0, now.operations, size):
                high = min(low + size, now.operations) - 1
                if any(a <= low and high <= b for a, b in now.skip):
                    continue
                kept = [(a, b) for a, b in now.skip if not (low <= a and b <= high)]
                now = self.attempt(now.but(skip=sorted([*kept, (low, high)]))) or now
            size //= 2
        return now


def shrink(failing: Failing, program: Path, seconds: float) -> tuple[str, int]:
    """(a small scenario that fails alike, how many runs it took)."""
    done = subprocess.run([program, "--target", failing.target, "--seed", str(failing.seed), "--expand"], capture_output=True,
                          text=True, check=True)
    now = Scenario.parse(done.stdout)
    shrinker = Shrinker(program, signature(failing.text, failing.status), seconds)
    if not shrinker.fails(now):
        # It does not fail with everything spelled out: keep what the seed alone says.
        return f"build {failing.kind}\ntarget {failing.target}\nseed {failing.seed}\nswarm\n", shrinker.tries
    for step in (shrinker.operations, shrinker.faults, shrinker.cpus, shrinker.skips, shrinker.operations):
        now = step(now)
    failing.text = shrinker.text
    return now.text(), shrinker.tries
