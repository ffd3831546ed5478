# SPDX-License-Identifier: MIT
"""cloudos explore: runs models (tests/model) with seed after seed, shrinks what fails, and keeps it as a scenario.

A slice is one process of cloudos-explore on some hundred seeds of one target; slices of all targets take turns, alternately in
the plain build and in the one with scheduling points at every basic block. docs/SIM.md tells how to read what comes out.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import random
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import build, check, planted
from .paths import ROOT
from .shrink import Failing, shrink
from .ui import Failure, say, step

SUMMARY = "run the kernel's models with seed after seed in the deterministic world"
SLICE = {"plain": 200, "points": 100, "asan": 50}        # seeds of a slice
SEEDS = ROOT / "tests" / "seeds"


@dataclass
class Totals:
    """What all slices together did."""

    seeds: int = 0
    virtual_ns: int = 0
    busy_ns: int = 0                     # host time of the slices, added up
    states: dict[str, int] = field(default_factory=dict)      # most that one slice of a target saw
    failures: list[Failing] = field(default_factory=list)
    by_target: dict[str, list[int]] = field(default_factory=dict)     # seeds, host ns


class Slice:
    """One process of the explorer; reads its lines as they come."""

    def __init__(self, program: Path, kind: str, target: str, first: int, count: int, sets: list[str], keep_going: bool) -> None:
        self.kind, self.target, self.first = kind, target, first
        line = [str(program), "--target", target, "--seeds", str(first), str(count)]
        for text in sets:
            line += ["--set", text]
        self.process = subprocess.Popen(line + (["--all"] if keep_going else []), stdout=subprocess.PIPE,
                                        stdin=subprocess.DEVNULL, text=True)

    def run(self, totals: Totals, lock: threading.Lock) -> list[Failing]:
        failed, seen_seeds, seen_ns = [], 0, 0
        for line in self.process.stdout:
            words = json.loads(line)
            if "failed" in words:
                failed.append(Failing(self.kind, self.target, words["failed"], words["status"], words["text"]))
                continue
            seeds = words.get("seeds", words.get("end"))
            with lock:
                totals.seeds += seeds - seen_seeds
                totals.virtual_ns += words["virtual_ns"] - seen_ns
                if "end" in words:
                    totals.busy_ns += words["ns"]
                    totals.states[self.target] = max(totals.states.get(self.target, 0), words["states"])
                    entry = totals.by_target.setdefault(self.target, [0, 0])
                    entry[0] += seeds
                    entry[1] += words["ns"]
            seen_seeds, seen_ns = seeds, words["virtual_ns"]
        self.process.wait()
        return failed


class Exploration:
    """Worker threads that take slices in turn until the time is over, or something failed."""

    def __init__(self, targets: list[str], kinds: list[str], first: int, args: argparse.Namespace) -> None:
        self.programs = {kind: build.explorer(kind) for kind in kinds}
        self.targets, self.kinds, self.args = targets, kinds, args
        self.totals, self.lock = Totals(), threading.Lock()
        self.began = time.monotonic()
        self.deadline = self.began + args.seconds
        self.stop = threading.Event()
        self.work: queue.Queue[tuple[str, str, int]] = queue.Queue()
        self.next_seed = {(kind, target): first for kind in kinds for target in targets}
        for target in targets:
            for kind in kinds:
                self.work.put((kind, target, 0))

    def _worker(self) -> None:
        while not self.stop.is_set() and time.monotonic() < self.deadline:
            kind, target, _ = self.work.get()
            with self.lock:
                first = self.next_seed[kind, target]
                self.next_seed[kind, target] = first + SLICE[kind]
            failed = Slice(self.programs[kind], kind, target, first, SLICE[kind], self.args.set,
                           self.args.keep_going).run(self.totals, self.lock)
            self.work.put((kind, target, 0))
            if failed:
                with self.lock:
                    self.totals.failures += failed
                if not self.args.keep_going:
                    self.stop.set()

    def line(self) -> str:
        took = max(time.monotonic() - self.began, 1e-3)
        t = self.totals
        return (f"{t.seeds} seeds, {t.seeds / took:.0f} a second, {t.virtual_ns / 3.6e12:.4f} simulated hours, "
                f"{sum(t.states.values())} states, {len(t.failures)} failures, {max(0, self.deadline - time.monotonic()):.0f} s left")

    def run(self, jobs: int) -> Totals:
        workers = [threading.Thread(target=self._worker) for _ in range(jobs)]
        for worker in workers:
            worker.start()
        live = sys.stderr.isatty()
        while any(worker.is_alive() for worker in workers):
            time.sleep(0.3)
            if live:
                print(f"\r\x1b[K{self.line()}", end="", file=sys.stderr, flush=True)
        if live:
            print("\r\x1b[K", end="", file=sys.stderr)
        return self.totals


def targets_of(program: Path) -> dict[str, dict[str, object]]:
    """name -> what the explorer says of it."""
    done = subprocess.run([program, "--list"], capture_output=True, text=True, check=True)
    return {entry["target"]: entry for entry in map(json.loads, done.stdout.splitlines())}


def choose(names: list[str], known: dict[str, dict[str, object]]) -> list[str]:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise Failure(f"there is no target {unknown[0]}; there are: {', '.join(known)}", 2)
    return names or [name for name, entry in known.items() if not entry["faulty"]]


def replay(path: Path) -> str:
    """Runs a scenario that once failed; '' if it passes now, else what it says."""
    from .sim import explorer, scenario_words
    done = subprocess.run([explorer(scenario_words(path)), "--scenario", path], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=120)
    return "" if done.returncode == 0 else f"status {done.returncode}\n{done.stderr}"


def hashes(program: Path, target: str, first: int, count: int, prefix: list[str]) -> dict[int, tuple[str, int]]:
    """seed -> (hash, events) of the runs that ended well."""
    done = subprocess.run([*prefix, program, "--target", target, "--seeds", str(first), str(count), "--hashes", "--all"],
                          capture_output=True, text=True, stdin=subprocess.DEVNULL)
    lines = map(json.loads, done.stdout.splitlines())
    return {line["seed"]: (line["hash"], line["events"]) for line in lines if "hash" in line}


def compare_hashes(program: Path, target: str, first: int, count: int) -> tuple[int, list[str]]:
    """The same seeds twice, the second time with another heap and stack and on a busy machine: (seeds compared, what differs)."""
    one = hashes(program, target, first, count, [])
    with check.load():
        other = hashes(program, target, first, count, check.PERTURBED)
    wrong = [f"{target}, seed {seed}: {one.get(seed)} and {other.get(seed)}" for seed in sorted(one.keys() | other.keys())
             if one.get(seed) != other.get(seed)]
    return len(one), wrong


def check_seeds(targets: list[str], first: int, count: int) -> int:
    program = build.explorer("plain")
    share, total, wrong = -(-count // len(targets)), 0, []
    for target in targets:
        with step(f"{share} seeds of {target}, twice"):
            compared, differ = compare_hashes(program, target, first, share)
        total += compared
        wrong += differ
    print(f"{total} seeds compared, {len(wrong)} mismatches")
    for line in wrong:
        print(line)
    return 1 if wrong or total < len(targets) * share else 0


def keep(failing: Failing, scenario: str, folder: Path) -> Path:
    """Stores a shrunk scenario, with what it said in comments."""
    target = folder / failing.target / f"{failing.name()}.scenario"
    target.parent.mkdir(parents=True, exist_ok=True)
    head = "".join(f"# {line}\n" for line in failing.headline().splitlines()[:2])
    target.write_text(head + scenario)
    return target


def last_events(path: Path, lines: int = 30) -> str:
    """The end of a scenario's timeline, without draws."""
    from .sim import explorer, scenario_words
    with tempfile.NamedTemporaryFile("r", errors="replace") as file:
        subprocess.run([explorer(scenario_words(path)), "--scenario", path, "--trace", file.name], capture_output=True,
                       stdin=subprocess.DEVNULL)
        found = [line.rstrip() for line in file if " draw    " not in line]
    return "\n".join(found[-lines:])


def report_failures(totals: Totals, args: argparse.Namespace) -> None:
    seen = set()
    for failing in totals.failures:
        if failing.signature() in seen:
            continue
        seen.add(failing.signature())
        print(f"\n{failing.target}, seed {failing.seed} ({failing.kind} build):\n{failing.text.strip()}")
        if args.no_shrink:
            continue
        scenario, tries = shrink(failing, build.explorer(failing.kind), args.shrink_seconds)
        path = keep(failing, scenario, args.keep or SEEDS)
        name = os.path.relpath(path, ROOT) if ROOT in path.resolve().parents else str(path)
        print(f"shrunk in {tries} runs to {name}:\n{scenario}\nIts last events:\n{last_events(path)}\n"
              f"All of them: ./cloudos sim --scenario {name} --trace (or --html FILE, or --gdb EVENT)")


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="cloudos explore", description=SUMMARY)
    parser.add_argument("target", nargs="*", metavar="TARGET", help="models; without one, all")
    parser.add_argument("--list", action="store_true", help="what targets there are")
    parser.add_argument("--seconds", type=float, default=60, metavar="S")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="J")
    parser.add_argument("--seed", type=int, metavar="N", help="the first seed (default: a random one)")
    parser.add_argument("--build", action="append", choices=("plain", "points", "asan"), help="default: plain and points")
    parser.add_argument("--set", action="append", default=[], metavar="LINE", help="a line of a scenario for all runs")
    parser.add_argument("--keep-going", action="store_true", help="collect failures instead of stopping at the first")
    parser.add_argument("--no-shrink", action="store_true")
    parser.add_argument("--shrink-seconds", type=float, default=60, metavar="S", help="for each failure")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where scenarios go (default: tests/seeds)")
    parser.add_argument("--check", type=int, metavar="N", help="run N seeds of all targets twice and compare their hashes")
    parser.add_argument("--planted", action="store_true", help="plant bugs (tests/planted) and count how many are found")
    parser.add_argument("--seeds", type=int, default=100_000, metavar="N", help="--planted: at most for each bug")
    parser.add_argument("--planted-seconds", type=float, default=600, metavar="S", help="--planted: at most for each bug")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    args = parser.parse_args(words)
    if args.planted:
        return planted.main(args)
    known = targets_of(build.explorer("plain"))
    if args.list:
        for name, entry in known.items():
            print(f"{name:12} {entry['what']}")
        return 0
    targets = choose(args.target, known)
    first = args.seed if args.seed is not None else random.randrange(1, 1 << 40)
    if args.check:
        return check_seeds(targets, first, args.check)
    exploration = Exploration(targets, args.build or ["plain", "points"], first, args)
    say(f"exploring {', '.join(targets)} from seed {first} for {args.seconds:g} s")
    totals = exploration.run(max(1, args.jobs))
    if args.json:
        print(json.dumps(summary(exploration, first), indent=1))
    else:
        print(exploration.line().rpartition(",")[0])
        for name, (seeds, ns) in sorted(totals.by_target.items()):
            print(f"  {name:12} {seeds:8} seeds {seeds / max(ns / 1e9, 1e-9):8.0f} a second and job")
    report_failures(totals, args)
    return 1 if totals.failures else 0


def summary(exploration: Exploration, first: int) -> dict[str, object]:
    t = exploration.totals
    took = time.monotonic() - exploration.began
    return {"first_seed": first, "seconds": took, "seeds": t.seeds, "seeds_per_second": t.seeds / took,
            "seeds_per_second_and_job": t.seeds / max(t.busy_ns / 1e9, 1e-9), "simulated_seconds": t.virtual_ns / 1e9,
            "states": sum(t.states.values()),
            "targets": {name: {"seeds": seeds, "seeds_per_second_and_job": seeds / max(ns / 1e9, 1e-9)}
                        for name, (seeds, ns) in t.by_target.items()},
            "failures": [{"target": f.target, "seed": f.seed, "build": f.kind, "text": f.text} for f in t.failures]}
