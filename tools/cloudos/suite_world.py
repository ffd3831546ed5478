# SPDX-License-Identifier: MIT
"""Suites of the deterministic world: what it finds, that it replays, and that nothing is found; and the simulator under ThreadSanitizer."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

from . import build, check, explore, guests, tsan
from .machine import Setup
from .outcome import Job, simple
from .paths import ROOT
from .suite_guests import simulator_jobs
from .suite_host import meson_run, meson_tests
from .suite_machines import SORTED, run_command
from .ui import Failure


MODEL_SEEDS = {"plain": 60, "points": 25}         # of each model, always the same ones
CHECK_SEEDS = 10
FAULTY_SEEDS = 400                                # within which a model that is wrong on purpose must be convicted


def _explore(kind: str, target: str, first: int, count: int) -> list[dict[str, object]]:
    done = subprocess.run([build.explorer(kind), "--target", target, "--seeds", str(first), str(count)],
                          capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return [json.loads(line) for line in done.stdout.splitlines()]


def _model(kind: str, target: str) -> str:
    failed = [line for line in _explore(kind, target, 1, MODEL_SEEDS[kind]) if "failed" in line]
    return "".join(f"seed {line['failed']} ({kind} build)\n{line['text']}" for line in failed)


def _faulty(target: str, verdict: str) -> str:
    """A model that is wrong on purpose is convicted, and of the right thing."""
    failed = [line for line in _explore("plain", target, 1, FAULTY_SEEDS) if "failed" in line]
    if not failed:
        return f"{FAULTY_SEEDS} seeds found nothing wrong"
    return "" if f"verdict: {verdict}" in failed[0]["text"] else failed[0]["text"]


def _same_hashes(target: str) -> str:
    """The same seeds, with another heap and stack and on a busy machine: the same hashes."""
    compared, wrong = explore.compare_hashes(build.explorer("plain"), target, 1, CHECK_SEEDS)
    return "\n".join(wrong) or ("" if compared == CHECK_SEEDS else f"only {compared} of {CHECK_SEEDS} seeds ended well")


def _program_check(back_end: str, seed: int) -> str:
    """User programs under one seed: twice the same events, and the right answer."""
    world = ["--seed", str(seed), *back_end.split()]
    setup, command = Setup(machine="sim", smp=2, world=world), ["busybox", "sh", "-c", "seq 1 1000 | busybox md5sum"]
    written = []

    def once(record: Path, timeline: Path | None, again: bool) -> str:
        more = ["--record", str(record)] + (["--trace", str(timeline)] if timeline else [])
        result, out, _ = run_command(replace(setup, world=world + more, prefix=check.PERTURBED if again else []), command)
        written.append(out)
        return result.report() or result.log_tail()

    try:
        check.compare(once)
    except Failure as failure:
        return str(failure)
    wanted, _ = guests.on_host("seq 1 1000 | md5sum")
    return "" if {out.decode() for out in written} == {wanted} else f"{setup.world}: {written[0]!r}, Linux: {wanted!r}"


def _same_back_ends(seed: int) -> str:
    """Both ways to run user programs are one run, event by event."""
    reports = [run_command(Setup(machine="sim", smp=3, world=["--seed", str(seed), "--user", how]), SORTED)[0].report()
               for how in ("ptrace", "seccomp")]
    return "" if reports[0] == reports[1] and reports[0] else "\n".join(reports)


def _spinning_program() -> str:
    """A program that computes for ever is convicted, and named."""
    world = ["--seed", "1", "--set", "user-limit 1"]
    result, _, _ = run_command(Setup(machine="sim", world=world), ["busybox", "awk", "BEGIN { while (1); }"])
    text = result.log.decode(errors="replace")
    return "" if "verdict: livelock: the program" in text and "thread busybox[" in text else text


def deterministic() -> list[Job]:
    known = explore.targets_of(build.explorer("plain"))
    build.explorer("points")
    jobs = [simple(f"sim/check/programs-{seed}", lambda seed=seed: _program_check("", seed)) for seed in (1, 42)]
    jobs.append(simple("sim/check/programs-ptrace", lambda: _program_check("--user ptrace", 42)))
    jobs.append(simple("sim/check/back-ends", lambda: _same_back_ends(7)))
    jobs.append(simple("sim/convicts/spinning-program", _spinning_program))
    for name, entry in known.items():
        if entry["faulty"]:
            jobs.append(simple(f"sim/convicts/{name}", lambda name=name, entry=entry: _faulty(name, entry["faulty"])))
            continue
        jobs += [simple(f"sim/model/{name}-{kind}", lambda kind=kind, name=name: _model(kind, name)) for kind in MODEL_SEEDS]
        jobs.append(simple(f"sim/check/{name}", lambda name=name: _same_hashes(name)))
    for path in sorted((ROOT / "tests" / "seeds").glob("*/*.scenario")):
        jobs.append(simple(f"sim/seeds/{path.parent.name}/{path.stem}", lambda path=path: explore.replay(path)))
    return jobs


# ---- all that runs in the simulator, once more, under ThreadSanitizer ----

def races() -> list[Job]:
    folder = build.compile("sim-tsan")
    names = [f"tsan/{name}" for name in meson_tests(folder)]
    jobs = [Job(names, lambda chosen: meson_run(folder, chosen, "tsan/", tsan.environment()), alone=True)]
    reports = folder / "reports" / "report"
    kernel = tsan.kernel(folder / "cloudos-sim", reports)
    return jobs + [replace(tsan.watched(job, reports), alone=True) for job in simulator_jobs(kernel, 4, "tsan/")]
