# SPDX-License-Identifier: MIT
"""cloudos test: builds everything and tests it; one line a test, the last one counts them."""

from __future__ import annotations

import argparse
import os

from . import judges, outcome, suites

SUMMARY = "build everything and test it; NAME chooses the tests whose names start with it (try abi/sim)"


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="cloudos test", description=SUMMARY)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="machines at a time")
    parser.add_argument("--full", action="store_true", help="judges: all of them, not the quick subset (hours)")
    parser.add_argument("name", nargs="*", metavar="NAME")
    args = parser.parse_args(words)
    jobs = suites.jobs_for(args.name, args.full)
    report = outcome.run_all(jobs, lambda name: not args.name or any(name.startswith(f) for f in args.name),
                             max(1, args.jobs))
    if said := judges.table(report.outcomes):
        print(said)
    print(report.last_line(), flush=True)
    return 1 if report.counts[outcome.FAILED] or not sum(report.counts.values()) else 0
