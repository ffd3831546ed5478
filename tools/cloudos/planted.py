# SPDX-License-Identifier: MIT
"""cloudos explore --planted: puts bugs into a copy of the sources, one at a time, and counts how many the models find.

A bug is a patch, tests/planted/NAME.patch. Lines before its first `---` say what it is and where to look:

    what: a futex waiter is queued after its lock is released
    target: futexes
    build: points               (plain, points or both; without the line, both)
    missed: why no model finds it (only where that is known)

The plain build looks first; the one with scheduling points everywhere, which is slower, looks for what the plain one did not find
soon, and so on in turns. A failure counts only if the sources without the bug do not fail with the same seed.
"""

from __future__ import annotations

import argparse
import json
import queue
import shutil
import statistics
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import build, debian
from .paths import BUILD, ROOT
from .shrink import Failing
from .ui import Failure, say, step

PATCHES = ROOT / "tests" / "planted"
FOLDER = BUILD / "planted"
BATCH = {"plain": 100, "points": 50}         # seeds of one process
ROUND = {"plain": 100, "points": 100}        # seeds before the other build has its turn; four times as many in the next round
HANG_S = 5                                   # of CPU time for a seed; most take some milliseconds
KINDS = {"plain": "explore", "points": "explore-points"}
PROGRAM = "tests/model/cloudos-explore-first"    # without symbols: a link less for each bug


@dataclass
class Bug:
    name: str
    patch: Path
    what: str = ""
    targets: list[str] = field(default_factory=list)
    builds: list[str] = field(default_factory=lambda: ["plain", "points"])
    missed: str = ""
    next_seed: dict[tuple[str, str], int] = field(default_factory=dict)       # by build and target
    rounds: int = 0
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
        elif word == "missed":
            bug.missed = value.strip()
    if not bug.what or not bug.targets:
        raise Failure(f"{path.name}: a planted bug says `what:` it is and which `target:` looks for it")
    if not set(bug.builds) <= set(KINDS):
        raise Failure(f"{path.name}: a build is {' or '.join(KINDS)}")
    return bug


class Copy:
    """A copy of the sources with one build, for one bug at a time."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.tree = FOLDER / kind / "tree"
        self.build = FOLDER / kind / KINDS[kind]
        self.program = self.build / PROGRAM
        self.without = FOLDER / kind / "without"

    def _refresh(self) -> None:
        """The sources as they stand, without what is built; unchanged files keep their times, so that little is compiled again."""
        self.tree.mkdir(parents=True, exist_ok=True)
        git = shutil.which("git") and subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                                                     capture_output=True, text=True)
        if git and git.returncode == 0:
            names = [name for name in git.stdout.split("\0") if name]
        else:
            names = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file() and BUILD not in path.parents]
        for name in names:
            source, target = ROOT / name, self.tree / name
            if not source.is_file():
                continue
            if target.exists() and target.read_bytes() == source.read_bytes():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)      # with the time of now: a bug that was left there may be newer than the source
            shutil.copymode(source, target)
        cache = self.tree / "subprojects" / "packagecache"
        if not cache.exists():
            cache.symlink_to(ROOT / "subprojects" / "packagecache")

    def compile(self) -> str:
        """Builds the explorer of the copy; '' or the compiler's complaint."""
        if not (self.build / "build.ninja").exists():
            build.prepare(KINDS[self.kind])
            done = subprocess.run(["meson", "setup", str(self.build), str(self.tree), *build.CONFIGURATIONS[KINDS[self.kind]],
                                   "-Dwerror=false"], capture_output=True, text=True, env=build.meson_environment())
            if done.returncode:
                raise Failure(f"configuring the copy failed:\n{done.stdout[-2000:]}")
        done = subprocess.run(["ninja", "-C", str(self.build), PROGRAM], capture_output=True, text=True)
        return "" if done.returncode == 0 else done.stdout[-1500:]

    def prepare(self) -> None:
        """Builds what the bugs are compared with: the explorer without any."""
        self._refresh()
        if wrong := self.compile():
            raise Failure(f"the copy does not compile:\n{wrong}")
        shutil.copy2(self.program, self.without)

    def _patch(self, bug: Bug, back: bool) -> str:
        line = ["patch", "-p1", "-s", "-N", "--no-backup-if-mismatch", *(["-R"] if back else []), "-i", str(bug.patch)]
        done = subprocess.run(line, cwd=self.tree, capture_output=True, text=True)
        return "" if done.returncode == 0 else done.stdout + done.stderr

    def _run(self, program: Path, target: str, first: int, count: int) -> tuple[int, Failing | None]:
        """(seeds run, what was found)."""
        done = subprocess.run([program, "--target", target, "--seeds", str(first), str(count), "--limit", str(HANG_S)],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL)
        seeds, found = 0, None
        for line in done.stdout.splitlines():
            words = json.loads(line)
            if "failed" in words and not found:
                found = Failing(self.kind, target, words["failed"], words["status"], words["text"])
            seeds = words.get("end", seeds)
        if not seeds:
            raise Failure(f"{program} {target} ran nothing: {done.stderr.strip()[-500:]}")
        return seeds, found

    def _search(self, bug: Bug, target: str) -> None:
        """A batch of seeds. Those with which the sources fail by themselves are passed over."""
        first = bug.next_seed.get((self.kind, target), 1)
        last = first + BATCH[self.kind]
        while first < last and not bug.found:
            seeds, failing = self._run(self.program, target, first, last - first)
            bug.seeds += failing.seed - first + 1 if failing else seeds
            first = failing.seed + 1 if failing else last
            if failing and self._run(self.without, target, failing.seed, 1)[1]:
                say(f"{bug.name}: {target} fails with seed {failing.seed} ({self.kind}) without it, too: {failing.headline()}")
            else:
                bug.found = failing
        bug.next_seed[self.kind, target] = last

    def _hunt(self, bug: Bug, seeds: int, seconds: float) -> None:
        began, goal = time.monotonic(), bug.seeds + seeds
        bug.error = self.compile()
        while not bug.error and not bug.found and bug.seeds < goal and time.monotonic() - began < seconds:
            for target in bug.targets:
                if not bug.found:
                    self._search(bug, target)
        bug.seconds += time.monotonic() - began

    def plant(self, bug: Bug, seeds: int, seconds: float) -> None:
        """Looks for the bug with so many seeds more, in at most so much time."""
        bug.error = self._patch(bug, False)
        if bug.error:
            return
        try:
            self._hunt(bug, seeds, seconds)
        finally:
            if wrong := self._patch(bug, True):
                raise Failure(f"{bug.name} could not be taken out again:\n{wrong}")


def _line(bug: Bug) -> str:
    if bug.error:
        return f"ERROR   {bug.name}: {bug.error.strip().splitlines()[0]}"
    if bug.found:
        return (f"found   {bug.name:36} {bug.seeds:7} seeds {bug.seconds:6.1f} s  {bug.found.target}, {bug.found.kind}: "
                f"{bug.found.headline()[:100]}")
    return f"missed  {bug.name:36} {bug.seeds:7} seeds {bug.seconds:6.1f} s  {bug.missed or bug.what}"


class Hunt:
    """All bugs, over a copy of each build side by side. What one did not find within a round goes on to the next."""

    def __init__(self, bugs: list[Bug], args: argparse.Namespace) -> None:
        self.bugs, self.args, self.done = bugs, args, 0
        self.left = {kind: queue.Queue() for kind in KINDS}
        self.lock, self.began, self.wrong = threading.Lock(), time.monotonic(), ""
        for bug in bugs:
            self.left[bug.builds[0]].put(bug)

    def _over(self, bug: Bug) -> bool:
        return bool(bug.found or bug.error or bug.seeds >= self.args.seeds or bug.seconds >= self.args.planted_seconds)

    def _pass_on(self, bug: Bug, kind: str) -> None:
        if not self._over(bug):
            bug.rounds += 1
            self.left[bug.builds[(bug.builds.index(kind) + 1) % len(bug.builds)]].put(bug)
            return
        with self.lock:
            self.done += 1
            each = (time.monotonic() - self.began) / self.done
            say(f"{self.done}/{len(self.bugs)} {_line(bug)} [about {each * (len(self.bugs) - self.done) / 60:.0f} min left]")
            with (FOLDER / "journal").open("a") as journal:
                journal.write(json.dumps(_words(bug)) + "\n")

    def _work(self, copy: Copy) -> None:
        try:
            with step(f"building the copy ({copy.kind})"):
                copy.prepare()
            while not self.wrong and self.done < len(self.bugs):
                try:
                    bug = self.left[copy.kind].get(timeout=1)
                except queue.Empty:
                    continue
                seeds = min(ROUND[copy.kind] * 4 ** (bug.rounds // len(bug.builds)), self.args.seeds - bug.seeds)
                copy.plant(bug, seeds, self.args.planted_seconds - bug.seconds)
                self._pass_on(bug, copy.kind)
        except Failure as failure:
            self.wrong = str(failure)

    def run(self) -> None:
        kinds = {kind for bug in self.bugs for kind in bug.builds}
        workers = [threading.Thread(target=self._work, args=(Copy(kind),)) for kind in sorted(kinds)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if self.wrong:
            raise Failure(self.wrong)


def _words(bug: Bug) -> dict:
    return {"name": bug.name, "what": bug.what, "found": bool(bug.found), "seeds": bug.seeds, "seconds": round(bug.seconds, 2),
            "build": bug.found.kind if bug.found else None, "by": bug.found.headline() if bug.found else None,
            "why_missed": bug.missed, "error": bug.error}


def _result(bugs: list[Bug]) -> dict:
    found = [bug for bug in bugs if bug.found]
    return {"planted": len(bugs), "found": len(found),
            "median_seeds": statistics.median(bug.seeds for bug in found) if found else None,
            "missed": [_words(bug) for bug in bugs if not bug.found], "bugs": [_words(bug) for bug in bugs]}


def main(args: argparse.Namespace) -> int:
    debian.install(debian.PATCH_PACKAGES)
    bugs = [read(path) for path in sorted(PATCHES.glob("*.patch"))]
    if args.target:
        bugs = [bug for bug in bugs if any(bug.name.startswith(name) for name in args.target)]
    if not bugs:
        raise Failure("no planted bug has such a name (tests/planted)", 2)
    if args.build:
        for bug in bugs:
            bug.builds = [kind for kind in bug.builds if kind in args.build]
        bugs = [bug for bug in bugs if bug.builds]
    FOLDER.mkdir(parents=True, exist_ok=True)
    Hunt(bugs, args).run()
    result = _result(bugs)
    if args.json:
        print(json.dumps(result, indent=1))
    else:
        print(f"{result['found']} of {len(bugs)} planted bugs found; median {result['median_seeds']} seeds")
        for bug in bugs:
            if not bug.found:
                print(_line(bug))
    (FOLDER / "result.json").write_text(json.dumps(result, indent=1))
    return 0 if result["found"] >= 0.95 * len(bugs) else 1
