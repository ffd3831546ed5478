# SPDX-License-Identifier: MIT
"""cloudos explore --planted: puts bugs into a copy of the sources, one at a time, and counts how many the models find.

A bug is a patch, tests/planted/NAME.patch. Lines before its first `---` say what it is and where to look:

    what: a futex waiter is queued after its lock is released
    target: futexes
    build: points               (plain, points or either; without the line, either)
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import build
from .paths import BUILD, ROOT
from .shrink import Failing
from .ui import Failure, say, step

PATCHES = ROOT / "tests" / "planted"
FOLDER = BUILD / "planted"
TREE = FOLDER / "tree"
BATCH = 250                  # seeds of one process
KINDS = {"plain": "explore", "points": "explore-points"}


@dataclass
class Bug:
    name: str
    patch: Path
    what: str = ""
    targets: list[str] = field(default_factory=list)
    builds: list[str] = field(default_factory=lambda: ["plain", "points"])
    seeds: int = 0
    seconds: float = 0.0
    found: Failing | None = None
    error: str = ""


def read(path: Path) -> Bug:
    bug = Bug(path.stem, path)
    for line in path.read_text().partition("\n---")[0].splitlines():
        word, _, value = line.partition(":")
        if word == "what":
            bug.what = value.strip()
        elif word == "target":
            bug.targets += value.split()
        elif word == "build":
            bug.builds = value.split()
    if not bug.what or not bug.targets:
        raise Failure(f"{path.name}: a planted bug says `what:` it is and which `target:` looks for it")
    return bug


def _copy_tree() -> None:
    """The sources as they stand, without what is built; unchanged files keep their times, so that little is compiled again."""
    TREE.mkdir(parents=True, exist_ok=True)
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                            capture_output=True, text=True)
    if listed.returncode == 0:
        names = [name for name in listed.stdout.split("\0") if name]
    else:
        names = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file() and BUILD not in path.parents]
    for name in names:
        source, target = ROOT / name, TREE / name
        if not source.is_file():
            continue
        if target.exists() and target.read_bytes() == source.read_bytes():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
    cache = TREE / "subprojects" / "packagecache"
    if not cache.exists():
        cache.symlink_to(ROOT / "subprojects" / "packagecache")


def _compile(kind: str) -> str:
    """Builds the explorer in the copy; '' or the compiler's complaint."""
    folder = FOLDER / KINDS[kind]
    if not (folder / "build.ninja").exists():
        build.prepare(KINDS[kind])
        done = subprocess.run(["meson", "setup", str(folder), str(TREE), *build.CONFIGURATIONS[KINDS[kind]], "-Dwerror=false"],
                              capture_output=True, text=True, env=build.meson_environment())
        if done.returncode:
            raise Failure(f"configuring the copy failed:\n{done.stdout[-2000:]}")
    done = subprocess.run(["ninja", "-C", str(folder), "tests/model/cloudos-explore"], capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stdout[-1500:]


def _patch(bug: Bug, back: bool) -> str:
    line = ["patch", "-p1", "-s", "-N", *(["-R"] if back else []), "-i", str(bug.patch)]
    done = subprocess.run(line, cwd=TREE, capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def _search(kind: str, target: str, first: int, count: int) -> tuple[int, Failing | None]:
    """(seeds run, what was found)."""
    program = FOLDER / KINDS[kind] / "tests" / "model" / "cloudos-explore"
    done = subprocess.run([program, "--target", target, "--seeds", str(first), str(count)], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    seeds, found = 0, None
    for line in done.stdout.splitlines():
        words = json.loads(line)
        if "failed" in words and not found:
            found = Failing(kind, target, words["failed"], words["status"], words["text"])
        seeds = words.get("end", seeds)
    return seeds, found


def _hunt(bug: Bug, seeds_max: int, seconds_max: float) -> None:
    began, first = time.monotonic(), 1
    ways = [(kind, target) for target in bug.targets for kind in bug.builds]
    while bug.seeds < seeds_max and time.monotonic() - began < seconds_max and not bug.found:
        for kind, target in ways:
            seeds, bug.found = _search(kind, target, first, BATCH)
            bug.seeds += seeds
            if bug.found:
                break
        first += BATCH
    bug.seconds = time.monotonic() - began


def _try(bug: Bug, args: argparse.Namespace) -> None:
    bug.error = _patch(bug, False)
    if bug.error:
        return
    try:
        for kind in bug.builds:
            bug.error = bug.error or _compile(kind)
        if not bug.error:
            _hunt(bug, args.seeds, args.planted_seconds)
    finally:
        if wrong := _patch(bug, True):
            raise Failure(f"{bug.name} could not be taken out again:\n{wrong}")


def _line(bug: Bug) -> str:
    if bug.error:
        return f"ERROR   {bug.name}: {bug.error.strip().splitlines()[0]}"
    if bug.found:
        return f"found   {bug.name:32} {bug.seeds:7} seeds {bug.seconds:6.1f} s  {bug.found.target}: {bug.found.headline()[:90]}"
    return f"missed  {bug.name:32} {bug.seeds:7} seeds {bug.seconds:6.1f} s  {bug.what}"


def main(args: argparse.Namespace) -> int:
    bugs = [read(path) for path in sorted(PATCHES.glob("*.patch"))]
    if args.target:
        bugs = [bug for bug in bugs if any(bug.name.startswith(name) for name in args.target)]
    if not bugs:
        raise Failure("no planted bug has such a name (tests/planted)", 2)
    with step("copying the sources"):
        _copy_tree()
    for kind in KINDS:
        with step(f"building the copy ({kind})"):
            if wrong := _compile(kind):
                raise Failure(f"the copy does not compile:\n{wrong}")
    for number, bug in enumerate(bugs, 1):
        _try(bug, args)
        say(f"{number}/{len(bugs)} {_line(bug)}")
    found = [bug for bug in bugs if bug.found]
    result = {"planted": len(bugs), "found": len(found),
              "median_seeds": statistics.median(bug.seeds for bug in found) if found else None,
              "missed": [{"name": bug.name, "what": bug.what, "seeds": bug.seeds, "error": bug.error}
                         for bug in bugs if not bug.found],
              "bugs": [{"name": bug.name, "found": bool(bug.found), "seeds": bug.seeds, "seconds": round(bug.seconds, 2),
                        "by": bug.found.headline() if bug.found else None} for bug in bugs]}
    if args.json:
        print(json.dumps(result, indent=1))
    else:
        print(f"{len(found)} of {len(bugs)} planted bugs found; median {result['median_seeds']} seeds")
        for bug in bugs:
            if not bug.found:
                print(_line(bug))
    (FOLDER / "result.json").write_text(json.dumps(result, indent=1))
    return 0 if len(found) >= 0.95 * len(bugs) else 1
