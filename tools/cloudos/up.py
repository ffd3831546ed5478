# SPDX-License-Identifier: MIT
"""cloudos up: boots CloudOS in QEMU, from a disk through GRUB unless told otherwise, to a shell on this terminal."""

from __future__ import annotations

import argparse
import subprocess

from . import machine
from .ui import Failure, say

SUMMARY = "boot CloudOS in QEMU to a shell on this terminal"
DEFAULT_BOOT = {"x86_64": "bios", "aarch64": "uefi"}


def interact(setup: machine.Setup, words: str = "") -> int:
    """Hands this terminal to a machine until it switches itself off."""
    folder = machine.fresh_folder(f"up-{setup.machine}")
    try:
        line = machine.command_line(setup, folder, words=words)
        if setup.machine != "sim":
            line += ["-chardev", "stdio,id=c,mux=on,signal=off", "-serial", "chardev:c", "-mon", "chardev=c"]
            say("starting; leave by `exit`, or by Ctrl-A x")
        return subprocess.run(line).returncode
    except FileNotFoundError as error:
        raise Failure(f"cannot start {error.filename}") from error
    finally:
        machine.forget(folder)


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="cloudos up", description=SUMMARY)
    parser.add_argument("--arch", choices=machine.ARCHES, default="x86_64")
    machine.add_arguments(parser)
    args = parser.parse_args(words)
    return interact(machine.from_arguments(args, args.arch, DEFAULT_BOOT[args.arch]))
