# SPDX-License-Identifier: MIT
"""What the user sees: a line a step with the time it took, and errors that say what to do.

All of it goes to standard error, so that standard output carries a command's own results alone.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

quiet = False


class Failure(Exception):
    """An error with a message for the user; `status` is what ./cloudos exits with."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


def say(text: str) -> None:
    if not quiet:
        print(text, file=sys.stderr, flush=True)


class Step:
    """A step under way; one that turns out to have had nothing to do leaves no line."""

    def __init__(self) -> None:
        self.idle = False


@contextlib.contextmanager
def step(what: str, least_s: float = 0.0) -> Iterator[Step]:
    """Announces a step and, at its end, the time it took. Shorter ones than least_s leave no line."""
    this = Step()
    terminal = sys.stderr.isatty() and not quiet
    began = time.monotonic()
    if terminal:
        print(f"· {what} …", end="\r", file=sys.stderr, flush=True)
    try:
        yield this
    except BaseException:
        say(f"\r✗ {what}{' ' * 12}" if terminal else f"✗ {what}")
        raise
    took = time.monotonic() - began
    if terminal:
        print("\r\x1b[K", end="", file=sys.stderr)
    if took >= least_s and not this.idle:
        say(f"✓ {what} ({took:.1f} s)")
