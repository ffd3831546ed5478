# SPDX-License-Identifier: MIT
"""Tests that run in a guest: many programs a boot, each one's output and status told apart by marker lines.

A boot under QEMU's translator costs more than most programs do, so that a batch is one boot. Where the machine dies
in the middle, the program that it died in has failed, and those behind it get another boot.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import build, linux, run
from .machine import Setup
from .outcome import Job, Outcome, WORD

MARK = "=====cloudos"
PROGRAM_LIMIT_S = {"host": 60, "sim": 120, "x86_64": 120, "aarch64": 120}
MACHINES = ("sim", "x86_64", "aarch64")
ready: list[str] = []            # those that were built, of those that the chosen tests need


@dataclass
class Program:
    """A shell command line and what it must print; `expect` is asked when it ran."""

    name: str
    command: str
    expect: Callable[[str, int], str]     # (output, status) -> '' or what is wrong


def _script(programs: list[Program], limit_s: int) -> str:
    lines = []
    for number, program in enumerate(programs):
        lines.append(f"echo '{MARK} begin {number}'")
        lines.append(f"timeout -s KILL {limit_s} sh -c {shlex.quote(program.command)} </dev/null >/run/output 2>&1; s=$?")
        lines.append("cat /run/output")     # through a file: nothing sees a terminal, where the console is one
        lines.append(f"echo; echo '{MARK} end {number}' $s")      # the blank line ends an unfinished last line
    return "\n".join(lines) + "\n"


def _split(text: str) -> Iterator[tuple[int, str, int]]:
    pattern = re.compile(rf"^{MARK} begin (\d+)\n(.*?)\n{MARK} end \1 (\d+)$", re.S | re.M)
    for found in pattern.finditer(text):
        yield int(found[1]), found[2], int(found[3])


def _boot(setup: Setup, programs: list[Program], added: list[tuple[Path, str]], limit_s: int) -> tuple[str, str]:
    """(what the batch wrote, what ended it early or '')."""
    output = bytearray()
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "batch"
        script.write_text(_script(programs, limit_s))
        result = run.execute(setup, ["sh", "/run/batch"], [*added, (script, "/run/batch")],
                             on_output=lambda letter, data: output.extend(data),
                             timeout_s=60 + limit_s * min(3, len(programs)) + 2 * len(programs))
    if result.end == "status":
        return output.decode(errors="replace"), ""
    why = {"panic": result.panic_text(), "timeout": f"no end in time; log:\n{result.log_tail()}",
           "died": f"the machine ended by itself; log:\n{result.log_tail()}"}[result.end]
    return output.decode(errors="replace"), why


def batch(prefix: str, setup: Setup, programs: list[Program], added: list[tuple[Path, str]],
          size: int = 60, limit_s: int = 0) -> list[Job]:
    """Jobs that run programs on a machine, `size` a boot; a program's test is called prefix/its name."""
    limit_s = limit_s or PROGRAM_LIMIT_S[setup.machine]

    def job(part: list[Program]) -> Job:
        by_name = {f"{prefix}/{program.name}": program for program in part}

        def work(chosen: list[str]) -> Iterator[Outcome]:
            left = [by_name[name] for name in chosen]
            while left:
                began = time.monotonic()
                output, why = _boot(setup, left, added, limit_s)
                share = (time.monotonic() - began) / len(left)
                done = 0
                for number, text, status in _split(output):
                    message = left[number].expect(text, status)
                    done = number + 1
                    yield Outcome(f"{prefix}/{left[number].name}", WORD[not message], share, message)
                left = left[done:]
                if left and (why or done == 0):
                    tail = output.rpartition(f"{MARK} begin")[2][-1500:]
                    yield Outcome(f"{prefix}/{left[0].name}", WORD[False], share,
                                  f"{tail}\n{why or 'the batch stopped here'}")
                    left = left[1:]
        return Job(list(by_name), work)

    return [job(programs[at:at + size]) for at in range(0, len(programs), size)]


def on_linux(arch: str, programs: list[Program]) -> dict[str, tuple[str, int]]:
    """The oracle of what needs a whole machine: name -> (output, status) under Debian's kernel."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "batch"
        script.write_text("stty raw -echo\n" + _script(programs, PROGRAM_LIMIT_S["host"]))
        log = linux.run(Setup(machine=arch), ["sh", "/run/batch"], [(script, "/run/batch")],
                        f"for {len(programs)} answers", 600)
    text = log.decode(errors="replace")
    return {programs[number].name: (output, status) for number, output, status in _split(text)}


def on_host(command: str, cwd: Path | None = None) -> tuple[str, int]:
    """The oracle: the same command line on this machine's Linux."""
    # Whoever started us may ignore signals (a shell's background job does): the program must not.
    done = subprocess.run(["env", "--default-signal", "sh", "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=PROGRAM_LIMIT_S["host"], cwd=cwd)
    return done.stdout.decode(errors="replace"), done.returncode


def arch_of(machine: str) -> str:
    return build.NATIVE if machine == "sim" else machine
