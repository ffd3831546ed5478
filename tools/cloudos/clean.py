# SPDX-License-Identifier: MIT
"""cloudos clean: removes what was built. Downloads from Debian stay unless --all."""

from __future__ import annotations

import argparse
import shutil

from .debian import SOURCES
from .paths import BUILD, DEBIAN, PACKAGECACHE, ROOT

SUMMARY = "remove what was built"


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="cloudos clean", description=SUMMARY)
    parser.add_argument("--all", action="store_true", help="what was downloaded from Debian too")
    args = parser.parse_args(words)
    if BUILD.is_dir():
        for entry in BUILD.iterdir():
            if entry != DEBIAN or args.all:
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    for name, *_ in SOURCES:
        for folder in (ROOT / "subprojects").glob(f"{name.removeprefix('lib')}-*"):
            shutil.rmtree(folder)
    if args.all:
        shutil.rmtree(PACKAGECACHE, ignore_errors=True)
    return 0
