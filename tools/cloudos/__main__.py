# SPDX-License-Identifier: MIT
"""Chooses the verb."""

from __future__ import annotations

import importlib
import subprocess
import sys

from .ui import Failure

VERBS = ("up", "sim", "run", "test", "bench", "coverage", "fuzz", "explore", "image", "rootfs", "clean")

HELP = """\
CloudOS: a small cloud operating system that runs unmodified Linux programs.

  ./cloudos up      boot it in QEMU, to a shell            [--arch x86_64|aarch64] [--bios|--uefi|--direct]
  ./cloudos sim     the same kernel as a process here      [--smp N] [--seed N [--check]] [--scenario FILE] [-- COMMAND...]
  ./cloudos run     run one command in it, as if here      [--machine x86_64|aarch64|sim] [--rootfs PACKAGE,...]
                                                           [--add FILE:/PATH] [--timeout S] ... -- COMMAND...
  ./cloudos test    build and test everything              [NAME...]
  ./cloudos bench   measure it against Linux               [boot|posix|sim] [--json] [--html FILE]
  ./cloudos coverage  lines that the tests reach, as HTML
  ./cloudos fuzz    search one entry point for faults      TARGET [--seconds N]
  ./cloudos explore run the kernel's models, seed by seed  [TARGET...] [--seconds S] [--list] [--planted]
  ./cloudos image   make a disk image                      [--arch A] [--format raw|iso|qcow2]
  ./cloudos rootfs  make an initramfs of Debian packages   PACKAGE... -o FILE [--arch A]
  ./cloudos clean   remove what was built                  [--all]

Each installs what it lacks from Debian (as root or through sudo), builds what is out of date, then works.
`./cloudos VERB --help` tells a verb's options. Leave a booted machine by `exit`, or by Ctrl-A x.
"""


def main() -> int:
    words = sys.argv[1:]
    if not words or words[0] in ("help", "-h", "--help"):
        print(HELP, end="")
        return 0
    if words[0] not in VERBS:
        print(f"cloudos: there is no {words[0]!r}; ./cloudos help lists what there is", file=sys.stderr)
        return 2
    try:
        return importlib.import_module(f".{words[0]}", __package__).main(words[1:])
    except Failure as failure:
        print(f"cloudos: {failure}", file=sys.stderr)
        return failure.status
    except subprocess.CalledProcessError as error:
        print(f"cloudos: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
