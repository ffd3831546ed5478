# SPDX-License-Identifier: MIT
"""cloudos sim: the same kernel and root file system in the simulator, to the same shell, or for one command.

With --seed it is the deterministic world; a --scenario that names a target runs that model (tests/model) instead of programs.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

from . import build, check, debian, machine, run, session, timeline
from .ui import Failure, say
from .up import interact

SUMMARY = "run CloudOS as a process of this machine, to a shell on this terminal"


def scenario_words(path: Path) -> dict[str, str]:
    """The last value of each word of a scenario."""
    words = {}
    for line in path.read_text().splitlines():
        word, _, value = line.partition("#")[0].strip().partition(" ")
        if word:
            words[word] = value
    return words


def explorer(words: dict[str, str]) -> Path:
    """The program that runs a scenario's model."""
    return build.explorer(words.get("build", "plain"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cloudos sim", description=SUMMARY)
    machine.add_arguments(parser)
    machine.add_world_arguments(parser)
    parser.add_argument("--check", action="store_true", help="run twice, the second time under load, and compare every event")
    parser.add_argument("--gdb", type=int, metavar="EVENT", help="stop in gdb at an event's number")
    parser.add_argument("--html", type=Path, metavar="FILE", help="draw the timeline as a page")
    parser.add_argument("command", nargs="*", metavar="-- COMMAND")
    return parser


def _model(args: argparse.Namespace) -> int:
    """A scenario with a target."""
    line = [str(explorer(scenario_words(args.scenario))), "--scenario", str(args.scenario)]
    line += ["--seed", str(args.seed)] if args.seed is not None else []
    for text in args.set:
        line += ["--set", text]
    if args.check:
        def once(record: Path, timeline_file: Path | None, again: bool) -> str:
            more = ["--record", str(record)] + (["--trace", str(timeline_file)] if timeline_file else [])
            done = subprocess.run([*(check.PERTURBED if again else []), *line, *more], capture_output=True, text=True)
            return next((line for line in done.stderr.splitlines() if line.startswith(session.REPORT.decode())), "")
        say(f"both runs were the same\n{check.compare(once)}")
        return 0
    return _traced(args, line)


def _traced(args: argparse.Namespace, line: list[str]) -> int:
    """Runs a line of the simulator with what is to be seen of it."""
    if args.gdb is not None:
        debian.install({"gdb": "/usr/bin/gdb"})
        line = ["gdb", "-q", "-ex", "handle SIGVTALRM nostop noprint pass", "-ex", "run", "--args", *line,
                "--set", f"stop-at {args.gdb}"]
    folder = machine.fresh_folder("timeline")
    try:
        if args.html:
            line += ["--trace", str(folder / "trace")]
        elif args.trace:
            line += ["--trace", args.trace]
        status = subprocess.run(line).returncode
        if args.html:
            timeline.draw(folder / "trace", args.html)
            say(f"drew {args.html}")
        return status
    finally:
        machine.forget(folder)


def main(words: list[str]) -> int:
    cut = words.index("--") if "--" in words else len(words)
    args = _parser().parse_args(words[:cut])
    args.command += words[cut + 1:]
    if args.scenario and args.scenario.exists() and "target" in scenario_words(args.scenario):
        return _model(args)
    if args.html or args.gdb is not None:
        return _program_seen(args)
    if not args.command and not args.check:
        return interact(machine.from_arguments(args, "sim", "direct"))
    options = words[:cut] if cut < len(words) else words
    return run.main(["--machine", "sim", *options, "--", *(args.command or ["true"])])


def _program_seen(args: argparse.Namespace) -> int:
    """A command (or the shell) with its timeline drawn, or under a debugger."""
    if args.seed is None and args.scenario is None:
        raise Failure("--html and --gdb belong to --seed or --scenario", 2)
    args.trace = None
    setup = machine.from_arguments(args, "sim", "direct")
    folder = machine.fresh_folder("seen")
    try:
        channel = run.WORDS if args.command else ""
        return _traced(args, machine.command_line(setup, folder, args.command or None, None, channel))
    finally:
        machine.forget(folder)
