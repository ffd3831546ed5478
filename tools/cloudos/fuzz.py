# SPDX-License-Identifier: MIT
"""cloudos fuzz: libFuzzer with ASan and UBSan on one harness of fuzz/, starting from its corpus."""

from __future__ import annotations

import argparse
import os
import subprocess

from . import build
from .paths import BUILD, ROOT
from .ui import Failure, say

SUMMARY = "search one entry point of the kernel for faults"


def main(words: list[str]) -> int:
    targets = sorted(path.stem for path in (ROOT / "fuzz").glob("*.c") if path.stem != "replay")
    parser = argparse.ArgumentParser(prog="cloudos fuzz", description=f"{SUMMARY}. Targets: {', '.join(targets)}")
    parser.add_argument("target", metavar="TARGET")
    parser.add_argument("--seconds", type=int, default=60, metavar="N")
    args, more = parser.parse_known_args(words)
    if args.target not in targets:
        raise Failure(f"there is no fuzz target {args.target!r}; there are: {', '.join(targets)}", 2)
    program = build.compile("sim-fuzz", f"fuzz/{args.target}") / "fuzz" / args.target
    work = BUILD / "fuzz" / args.target
    found = work.parent
    work.mkdir(parents=True, exist_ok=True)
    line = [str(program), f"-max_total_time={args.seconds}", "-timeout=25", "-print_final_stats=1",
            f"-artifact_prefix={found}/{args.target}-", *more, str(work), str(ROOT / "fuzz" / "corpus" / args.target)]
    # What the sanitizer of undefined behaviour reports ends the search, as the others' reports do.
    stop = {**os.environ, "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}
    status = subprocess.run(line, cwd=work, env=stop).returncode
    if status != 0:
        say(f"found something: {found}/{args.target}-*. Its input becomes a file of fuzz/corpus/{args.target} with the fix")
    return status
