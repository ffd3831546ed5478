# SPDX-License-Identifier: MIT
"""cloudos run: boots, runs one command in the guest as if it ran here, and powers off.

Standard output and standard error are the command's own, byte for byte; its standard input is this one's; its
exit status is ours (124: time-out, 125: the kernel panicked or the machine died).
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from . import check, initramfs, machine, profile, ui
from .paths import ROOT
from .session import Result, Session
from .ui import Failure, say

SUMMARY = "boot, run COMMAND in the guest, power off, exit with its status"
WORDS = "cloudos.channel=1"


def execute(setup: machine.Setup, command: list[str], added: list[tuple[Path, str]] | None = None,
            stdin: int | None = None, on_output=None, timeout_s: float | None = None,
            log_file: Path | None = None) -> Result:
    """Runs one command on a machine; what it wrote goes to on_output(letter, bytes)."""
    folder = machine.fresh_folder(f"run-{os.getpid()}")
    try:
        line = machine.command_line(setup, folder, command, added, WORDS)
        if setup.machine != "sim":
            line += ["-serial", "stdio"]
        session = Session(line, log_file or folder / "log", stdin, on_output or (lambda letter, data: None), timeout_s,
                          whole_input=bool(setup.world))
        return session.run()
    finally:
        machine.forget(folder)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cloudos run", description=SUMMARY)
    parser.add_argument("--machine", choices=("x86_64", "aarch64", "sim"), default="x86_64")
    parser.add_argument("--add", action="append", default=[], metavar="HOSTFILE:GUESTPATH")
    parser.add_argument("--icount", action="store_true", help="one instruction is one nanosecond of guest time")
    parser.add_argument("--timeout", type=float, metavar="S")
    parser.add_argument("--quiet", action="store_true", help="say nothing but what COMMAND says")
    parser.add_argument("--log", type=Path, help="where kernel messages go")
    parser.add_argument("command", nargs="*", metavar="-- COMMAND")
    parser.add_argument("--check", action="store_true", help="run twice, the second time under load, and compare every event")
    parser.add_argument("--profile", type=Path, metavar="FILE.html",
                        help="where its time goes, as a flame graph; FILE.folded beside it (docs/profile.md)")
    machine.add_arguments(parser)
    machine.add_world_arguments(parser)
    return parser


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data):]


def _write_profile(target: Path, profiled: profile.Session, setup: machine.Setup, command: list[str],
                   added: list[tuple[Path, str]]) -> None:
    text = profiled.text()
    if text is None:
        raise Failure("there is no profile: it could not be started, or COMMAND closed standard error")
    name = profile.symboliser(initramfs.base(setup.arch, setup.packages) + initramfs.extra([], added))
    for path in profile.write(target, profile.fold(text, name), f"{' '.join(command)} ({setup.machine})"):
        say(f"profile: {path}")


def main(words: list[str]) -> int:
    # What stands behind the first -- is COMMAND's, whatever it looks like.
    cut = words.index("--") if "--" in words else len(words)
    args = _parser().parse_args(words[:cut])
    args.command += words[cut + 1:]
    if not args.command:
        raise Failure("say what to run: ./cloudos run [OPTIONS] -- COMMAND...", 2)
    ui.quiet = args.quiet
    args.trace = str(machine.STATE / "trace.txt") if args.trace == "-" else args.trace
    setup = machine.from_arguments(args, args.machine, "direct")
    log = args.log or machine.STATE / f"{args.machine}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    added = [initramfs.parse_add(text) for text in args.add]
    if args.check:
        return check.program(setup, args.command, added)
    profiled = profile.Session(args.command) if args.profile else None

    def output(letter: str, data: bytes) -> None:
        _write_all(1 if letter == "o" else 2, profiled.filter(data) if profiled and letter == "e" else data)
    result = execute(setup, profiled.command if profiled else args.command, added, sys.stdin.fileno(), output, args.timeout, log)
    if setup.world:
        say(result.report())
    if args.trace:
        say(f"timeline: {args.trace}")
    if result.end == "panic":
        raise Failure(result.panic_text(), result.status)
    if result.end == "died":
        raise Failure(f"the machine ended and COMMAND did not. The log's end:\n{result.log_tail()}", result.status)
    if result.end == "timeout":
        raise Failure(f"stopped after {args.timeout:g} s; kernel messages are in {log}", result.status)
    if profiled:
        _write_profile(args.profile, profiled, setup, args.command, added)
    say(f"kernel messages: {os.path.relpath(log, ROOT) if Path.cwd() == ROOT else log}")
    return result.status
