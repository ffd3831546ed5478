# SPDX-License-Identifier: MIT
"""cloudos sim: the same kernel and root file system in the simulator, to the same shell."""

from __future__ import annotations

import argparse

from . import machine
from .up import interact

SUMMARY = "run CloudOS as a process of this machine, to a shell on this terminal"


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="cloudos sim", description=SUMMARY)
    machine.add_arguments(parser)
    return interact(machine.from_arguments(parser.parse_args(words), "sim", "direct"))
