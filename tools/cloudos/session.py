# SPDX-License-Identifier: MIT
"""One run of a machine with a command in it: the serial line taken apart, input handed over, the end told.

The end of a session is the command's own status, or one of TIMED_OUT, PANICKED: those are told apart from a
command that returned the same number by `Result.end`.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .channel import INPUT_MAX, Demux, frame

TIMED_OUT = 124
PANICKED = 125
AFTER_PANIC_S = 3.0          # how long a panic may take to print its backtrace
AFTER_STATUS_S = 10.0        # how long powering off may take
PANICS = (b"panic: ", b"verdict: ")      # of the kernel, and of the deterministic world
REPORT = b"cloudos-sim: seed "           # the last line of a deterministic run


@dataclass
class Result:
    end: str                 # "status", "timeout", "panic", "died"
    status: int
    log: bytes
    seconds: float

    def panic_text(self) -> str:
        text = b"\n" + self.log.replace(b"\r", b"")
        found = [at for word in PANICS if (at := text.find(b"\n" + word)) >= 0]
        return text[min(found) + 1:].decode(errors="replace") if found else self.log_tail()

    def report(self) -> str:
        """What a deterministic run says of itself at its end; '' if there is no such line."""
        lines = [line for line in self.log.replace(b"\r", b"").split(b"\n") if line.startswith(REPORT)]
        return lines[-1].decode() if lines else ""

    def log_tail(self, lines: int = 20) -> str:
        return "\n".join(self.log.decode(errors="replace").replace("\r", "").splitlines()[-lines:])


class Session:
    def __init__(self, line: list[str], log_file: Path, stdin: int | None, on_output: Callable[[str, bytes], None],
                 timeout_s: float | None = None, cwd: Path | None = None, whole_input: bool = False) -> None:
        self.line = line
        self.whole_input = whole_input       # each request is answered in full, however the input comes
        self.stdin = stdin
        self.on_output = on_output
        self.log = bytearray()
        self.log_file = log_file.open("wb")
        self.status: int | None = None
        self.wanted: int | None = None       # bytes of input that the guest waits for
        self.deadline = time.monotonic() + timeout_s if timeout_s else None
        self.ending: float | None = None     # when to stop waiting for the machine to switch itself off
        self.panicked = False
        self.cwd = cwd

    def _log(self, data: bytes) -> None:
        self.log_file.write(data)
        self.log_file.flush()
        searched = max(0, len(self.log) - 256)
        self.log += data
        if not self.panicked and any(b"\n" + word in self.log[searched:] or self.log.startswith(word) for word in PANICS):
            self.panicked = True
            self.ending = time.monotonic() + AFTER_PANIC_S

    def _frame(self, letter: str, payload: bytes) -> None:
        if letter == "":
            self._log(payload)
        elif letter in "oe":
            self.on_output(letter, payload)
        elif letter == "x":
            self.status = int(payload) if payload.isdigit() else 255
            self.ending = time.monotonic() + AFTER_STATUS_S
        elif letter == "w":
            self.wanted = min(int(payload), INPUT_MAX) if payload.isdigit() else INPUT_MAX

    def _answer(self, process: subprocess.Popen[bytes]) -> None:
        data = os.read(self.stdin, self.wanted) if self.stdin is not None and self.wanted else b""
        while self.whole_input and data and len(data) < self.wanted:
            more = os.read(self.stdin, self.wanted - len(data))
            if not more:
                break
            data += more
        self.wanted = None
        try:
            process.stdin.write(frame(b"i", data))
            process.stdin.flush()
        except BrokenPipeError:
            pass

    def _wait_s(self) -> float | None:
        times = [t for t in (self.deadline, self.ending) if t is not None]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _pump(self, process: subprocess.Popen[bytes]) -> bool:
        """Until the machine ends; false when it ran out of time."""
        demux = Demux()
        serial = process.stdout.fileno()
        while True:
            if self.wanted is not None and self.stdin is None:
                self._answer(process)
            watched = [serial] + ([self.stdin] if self.wanted is not None and self.stdin is not None else [])
            ready, _, _ = select.select(watched, [], [], self._wait_s())
            if not ready:
                return self.status is not None or self.panicked
            if serial in ready:
                data = os.read(serial, 65536)
                if not data:
                    return True
                for letter, payload in demux.feed(data):
                    self._frame(letter, payload)
            elif self.wanted is not None:
                self._answer(process)

    def run(self) -> Result:
        began = time.monotonic()
        process = subprocess.Popen(self.line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   cwd=self.cwd, start_new_session=True)
        try:
            in_time = self._pump(process)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            self.log_file.close()
        seconds = time.monotonic() - began
        if self.panicked:
            return Result("panic", PANICKED, bytes(self.log), seconds)
        if self.status is not None:
            return Result("status", self.status, bytes(self.log), seconds)
        if not in_time:
            return Result("timeout", TIMED_OUT, bytes(self.log), seconds)
        return Result("died", PANICKED, bytes(self.log), seconds)
