# SPDX-License-Identifier: MIT
"""What the deterministic world costs: boots, seeds and simulated time for a second of the host, on one processor.

The figures are of one process at a time (on a machine with nothing else to do they are those of a core), medians where there are
several runs. Beside them: the boot of User-Mode Linux, measured here, and what is published of littlefs's simulated disks.
"""

from __future__ import annotations

import re
import statistics
import time

from . import build, explore, run
from .machine import Setup
from .ui import Failure, step

BOOTS = 15
MEMORIES = (64, 256)         # MiB: a page descriptor is made for each page
PROGRAM_SEEDS = 25
MODEL_SEEDS = 200            # of each model
IDLE_S = 100_000             # of simulated sleep
LITTLEFS = (400, 1127)       # crash-and-recover cycles a second and core of lfs_emubd, as published
COMMAND = ["busybox", "sh", "-c", "seq 1 1000 | busybox md5sum"]
COST = re.compile(r"took ([0-9.]+) s of the host, ([0-9.]+) s to the first program; simulated time ran ([0-9.]+) times as fast")


def _cost(seed: int, command: list[str], memory: int = 256) -> tuple[float, float, float]:
    """(seconds of the host, of those until the first program, simulated seconds a second)."""
    result = run.execute(Setup(machine="sim", memory=memory, world=["--seed", str(seed)]), command, timeout_s=300)
    found = COST.search(result.log.decode(errors="replace"))
    if result.end != "status" or not found:
        raise Failure(f"seed {seed}: {result.end}\n{result.log_tail()}")
    return float(found[1]), float(found[2]), float(found[3])


def _models() -> dict[str, float]:
    """Seeds a second of each model that is not wrong on purpose."""
    program = build.explorer("plain")
    rates = {}
    for name, entry in explore.targets_of(program).items():
        if entry["faulty"]:
            continue
        totals = explore.Totals()
        failed = explore.Slice(program, "plain", name, 1, MODEL_SEEDS, [], True).run(totals, explore.threading.Lock())
        if failed:
            raise Failure(f"model {name} fails: ./cloudos explore {name} --seed 1")
        seeds, ns = totals.by_target[name]
        rates[name] = seeds / (ns / 1e9)
    return rates


def _uml_boot(uml) -> float:
    times = []
    for _ in range(3):
        began = time.monotonic()
        uml(["true"], [])
        times.append(time.monotonic() - began)
    return statistics.median(times)


def measure(uml) -> dict[str, object]:
    """`uml(command, added)` boots User-Mode Linux for one command."""
    build.kernel("sim")
    with step(f"booting {BOOTS} times"):
        boots = [[_cost(seed, ["true"], memory)[1] for memory in MEMORIES] for seed in range(1, BOOTS + 1)]
    with step(f"running {PROGRAM_SEEDS} seeds of programs"):
        programs = [_cost(seed, COMMAND)[0] for seed in range(1, PROGRAM_SEEDS + 1)]
    with step(f"sleeping {IDLE_S} simulated seconds"):
        idle = _cost(1, ["sleep", str(IDLE_S)])
    with step(f"running {MODEL_SEEDS} seeds of each model"):
        models = _models()
    found: dict[str, object] = {
        "boot_to_first_program_ms": {memory: statistics.median(boot[i] for boot in boots) * 1e3 for i, memory in enumerate(MEMORIES)},
        "program_seeds_per_second": 1 / statistics.median(programs),
        "model_seeds_per_second": statistics.harmonic_mean(models.values()),
        "models": models,
        "idle_simulated_seconds_per_second": idle[2],
    }
    with step("booting User-Mode Linux 3 times"):
        found["uml_boot_ms"] = _uml_boot(uml) * 1e3
    return found


def show(found: dict[str, object]) -> None:
    print("\nthe deterministic world, one processor")
    boots = [(f"boot to the first program, {memory} MiB", f"{ms:.1f} ms", f"User-Mode Linux, whole boot {found['uml_boot_ms']:.0f} ms")
             for memory, ms in found["boot_to_first_program_ms"].items()]
    rows = [*boots, ("seeds with user programs", f"{found['program_seeds_per_second']:.0f} a second", ""),
            ("seeds of models, all together", f"{found['model_seeds_per_second']:.0f} a second",
             f"littlefs's simulated disks: {LITTLEFS[0]} to {LITTLEFS[1]} crash-and-recover cycles"),
            ("asleep: simulated time", f"{found['idle_simulated_seconds_per_second']:.0f} times real time", "")]
    for what, value, beside in rows:
        print(f"{what:34}{value:>22}   {beside}")
    for name, rate in sorted(found["models"].items(), key=lambda item: item[1]):
        print(f"    {name:30}{rate:>13.0f} a second")
