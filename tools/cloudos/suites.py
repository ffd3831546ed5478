# SPDX-License-Identifier: MIT
"""The suites of `cloudos test`: each function in suite_*.py gives jobs. SUITES names them; what is chosen gets what it needs built first."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

from . import build, debian, guests, initramfs, judges, suite_guests, suite_host, suite_machines, suite_world
from .guests import MACHINES
from .outcome import FAILED, PASSED, Job, Outcome
from .ui import Failure

SUITES: dict[str, Callable[[], list[Job]]] = {
    "tidy": suite_host.tidy, "docs": suite_host.tidy, "tools": suite_host.tools, "build": suite_host.builds,
    "unit": suite_host.meson, "fuzz": suite_host.meson, "sim": suite_world.deterministic,
    "boot": suite_machines.boot, "run": suite_machines.running, "abi": suite_guests.abi, "disk": suite_machines.disks,
    "debian": suite_guests.debian_programs, "applets": suite_guests.applets, "random": suite_guests.random_walks,
    "tsan": suite_world.races,
}
APART = ("judges",)                  # too long to be run unless asked for by name

GUEST_SUITES = ("boot", "run", "abi", "disk", "debian", "applets", "random", "judges")


def _overlap(a: str, b: str) -> bool:
    return a.startswith(b) or b.startswith(a)


def _prepare_machine(name: str) -> None:
    """Builds and installs what a machine's tests need, before they start, so that they do not do it side by side."""
    arch = guests.arch_of(name)
    build.kernel(name)
    build.program(arch, "src/services/init/init")
    for needed in (debian.QEMU_PACKAGES, debian.IMAGE_PACKAGES, debian.FIRMWARE_PACKAGES):
        debian.install(needed.get(name, {}))
    initramfs.base(arch)


def _machine_jobs(filters: list[str]) -> list[Job]:
    """A test `build/MACHINE` for each machine that is needed; those that pass serve the suites."""
    jobs = []
    for name in MACHINES:
        needed = [f"{suite}/{name}/" for suite in GUEST_SUITES] + [f"build/{name}", f"abi/{name}-{suite_guests.SLOW_USER}/"]
        if filters and not any(_overlap(place, f) for place in needed for f in filters):
            continue
        began = time.monotonic()
        try:
            _prepare_machine(name)
            outcome = Outcome(f"build/{name}", PASSED, time.monotonic() - began)
            guests.ready.append(name)
        except Failure as failure:
            outcome = Outcome(f"build/{name}", FAILED, time.monotonic() - began, str(failure))
        jobs.append(Job([outcome.name], lambda names, outcome=outcome: iter([outcome]), required=True))
    return jobs


def _suite_jobs(name: str, filters: list[str], full: bool) -> list[Job]:
    def wanted(place: str) -> bool:
        return any(_overlap(place, f) for f in filters)
    try:
        return judges.jobs(guests.ready, wanted, full) if name == "judges" else SUITES[name]()
    except (Failure, subprocess.SubprocessError) as error:
        outcome = Outcome(name, FAILED, 0, str(error))
        return [Job([name], lambda names: iter([outcome]), required=True)]


def jobs_for(filters: list[str], full: bool) -> list[Job]:
    chosen = [name for name in SUITES if not filters or any(_overlap(f"{name}/", f) for f in filters)]
    chosen += [name for name in APART if any(_overlap(f"{name}/", f) for f in filters)]
    if not chosen:
        raise Failure(f"no test's name starts with {' or '.join(filters)}; suites: {', '.join([*SUITES, *APART])}", 2)
    jobs, seen = _machine_jobs(filters), set()
    for name in chosen:
        if SUITES.get(name, name) not in seen:
            seen.add(SUITES.get(name, name))
            jobs += _suite_jobs(name, filters, full)
    return jobs
