# SPDX-License-Identifier: MIT
"""cloudos coverage: the lines of the kernel that unit tests, corpora and ABI programs reach in the simulator."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

from . import build, debian, suite_guests
from .outcome import FAILED, Report
from .paths import BUILD, ROOT
from .ui import Failure, say, step

SUMMARY = "the lines that the tests reach, as HTML and as one number"
FOLDERS = ("core", "mm", "vm", "sched", "proc", "vfs")


def _exercise() -> None:
    folder = build.compile("sim-coverage")
    for old in folder.rglob("*.gcda"):
        old.unlink()
    with step("running the unit tests"):
        subprocess.run(["meson", "test", "-C", str(folder), "--no-rebuild"], capture_output=True)
    with step("running programs in the simulator"):
        report = Report(silent=True)
        for job in suite_guests.simulator_jobs(folder / "cloudos-sim"):
            for outcome in job.run(job.names):
                report.add(outcome)
        if report.counts[FAILED]:
            say(f"{report.counts[FAILED]} programs failed; what they reached counts nevertheless")


def main(words: list[str]) -> int:
    argparse.ArgumentParser(prog="cloudos coverage", description=SUMMARY).parse_args(words)
    debian.install({"gcovr": "/usr/bin/gcovr"})
    _exercise()
    target = BUILD / "coverage"
    target.mkdir(exist_ok=True)
    with step("adding up"):
        done = subprocess.run(
            ["gcovr", "--root", str(ROOT), "--filter", "src/kernel/", "--html-details", str(target / "index.html"),
             "--json-summary", str(target / "summary.json"), "--gcov-ignore-parse-errors", str(BUILD / "sim-coverage")],
            capture_output=True, text=True, cwd=ROOT)
    if done.returncode != 0:
        raise Failure(f"gcovr failed:\n{done.stderr[-1500:]}")
    files = json.loads((target / "summary.json").read_text())["files"]
    counts = {folder: [0, 0] for folder in FOLDERS}
    for file in files:
        parts = file["filename"].split("/")
        if len(parts) > 3 and parts[2] in counts:
            counts[parts[2]][0] += file["line_covered"]
            counts[parts[2]][1] += file["line_total"]
    covered, total = (sum(column) for column in zip(*counts.values()))
    each = ", ".join(f"{name} {100 * a / b:.1f}%" for name, (a, b) in counts.items() if b)
    print(f"lines covered: {100 * covered / max(total, 1):.1f}% of {total} ({each})")
    print(f"pages: {(target / 'index.html').relative_to(ROOT)}", file=sys.stderr)
    return 0
