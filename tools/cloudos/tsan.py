# SPDX-License-Identifier: MIT
"""ThreadSanitizer's reports: who writes them where, and which tests fail for them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from .outcome import FAILED, Job, Outcome
from .paths import ROOT

SUPPRESSIONS = ROOT / "tools" / "tsan.supp"
REPORT_LINES = 60            # of the reports that a failure quotes: the files are gone with a machine that is gone
OPTIONS = "halt_on_error=0:exitcode=66:history_size=7:atexit_sleep_ms=0"


def _options(more: str = "") -> str:
    known = f":suppressions={SUPPRESSIONS}" if SUPPRESSIONS.exists() else ""
    return OPTIONS + known + more


def environment() -> dict[str, str]:
    """For a program whose standard error is looked at: its reports go there."""
    return {**os.environ, "TSAN_OPTIONS": _options()}


def kernel(simulator: Path, reports: Path) -> Path:
    """A program that runs the simulator and leaves its reports in files reports.PID: the console is no place for them."""
    reports.parent.mkdir(parents=True, exist_ok=True)
    for old in reports.parent.glob(f"{reports.name}.*"):
        old.unlink()
    script = reports.with_suffix(".sh")
    script.write_text(f"#!/bin/sh\nTSAN_OPTIONS={shlex.quote(_options(f':log_path={reports}'))} "
                      f"exec {shlex.quote(str(simulator))} \"$@\"\n")
    script.chmod(0o755)
    return script


def _files(reports: Path) -> set[Path]:
    return set(reports.parent.glob(f"{reports.name}.[0-9]*"))


def _found(files: set[Path]) -> str:
    """One line for each report, the place of its full text, and how the first begins."""
    lines, texts = [], []
    for path in sorted(files):
        text = path.read_text(errors="replace")
        if text.strip():
            texts += text.splitlines()
            lines += [f"{line}\n  in {path.relative_to(ROOT)}" for line in text.splitlines() if line.startswith("SUMMARY:")]
    return "\n".join(sorted(set(lines)) + texts[:REPORT_LINES])


def watched(job: Job, reports: Path) -> Job:
    """The same job; with any report of its simulators, its last test fails, since none knows which program it was."""
    def run(chosen: list[str]) -> Iterator[Outcome]:
        last, old = None, _files(reports)
        for outcome in job.run(chosen):
            if last:
                yield last
            last = outcome
        if last and (text := _found(_files(reports) - old)):
            last = replace(last, result=FAILED, message=f"{last.message}\nreports since {chosen[0]}:\n{text}")
        if last:
            yield last
    return replace(job, run=run)
