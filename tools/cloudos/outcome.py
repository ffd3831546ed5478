# SPDX-License-Identifier: MIT
"""What a test run is made of: jobs, which give outcomes, one for each named test."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field

PASSED, FAILED, SKIPPED = "ok", "FAIL", "skip"
WORD = {True: PASSED, False: FAILED}


@dataclass
class Outcome:
    name: str
    result: str
    seconds: float
    message: str = ""


@dataclass
class Job:
    """One or more tests done together. `run` gets the names chosen and yields an outcome for each."""

    names: list[str]
    run: Callable[[list[str]], Iterator[Outcome]]
    required: bool = False       # runs whatever names were asked for: the others depend on it
    alone: bool = False          # uses all processors, or measures time: nothing else runs beside it


def simple(name: str, check: Callable[[], str], alone: bool = False) -> Job:
    """A job of one test; check() returns '' when all is well, else what is wrong."""
    def run(_: list[str]) -> Iterator[Outcome]:
        began = time.monotonic()
        message = check()
        yield Outcome(name, WORD[not message], time.monotonic() - began, message)
    return Job([name], run, alone=alone)


@dataclass
class Report:
    """Prints outcomes as they come and counts them."""

    counts: dict[str, int] = field(default_factory=lambda: {PASSED: 0, FAILED: 0, SKIPPED: 0})
    outcomes: list[Outcome] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    silent: bool = False

    def add(self, outcome: Outcome) -> None:
        with self.lock:
            self.counts[outcome.result] += 1
            self.outcomes.append(outcome)
            if self.silent:
                return
            print(f"{outcome.result:4} {outcome.seconds:7.2f} s  {outcome.name}", flush=True)
            if outcome.message and outcome.result != PASSED:
                for line in outcome.message.rstrip().splitlines()[-60:]:
                    print(f"         | {line}", flush=True)

    def last_line(self) -> str:
        skipped = f", {self.counts[SKIPPED]} skipped" if self.counts[SKIPPED] else ""
        return f"{self.counts[PASSED]} passed, {self.counts[FAILED]} failed{skipped}"


def _work(job: Job, chosen: list[str], report: Report) -> None:
    missing = set(chosen)
    try:
        for outcome in job.run(chosen):
            missing.discard(outcome.name)
            report.add(outcome)
        why = "gave no result"
    except Exception as error:       # a broken test is a failed test, never the end of the run
        why = f"{type(error).__name__}: {error}"
    for name in sorted(missing):
        report.add(Outcome(name, FAILED, 0, why))


def run_all(jobs: list[Job], wanted: Callable[[str], bool], workers: int) -> Report:
    report = Report()
    chosen = [(job, names) for job in jobs if (names := [name for name in job.names if job.required or wanted(name)])]
    with ThreadPoolExecutor(workers) as pool:
        for future in as_completed([pool.submit(_work, job, names, report) for job, names in chosen if not job.alone]):
            future.result()
    for job, names in chosen:
        if job.alone:
            _work(job, names, report)
    return report
