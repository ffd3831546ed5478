# SPDX-License-Identifier: MIT
"""Configures and compiles what a verb needs: one Meson build directory a machine (meson.build says why)."""

from __future__ import annotations

import functools
import os
import platform
import shutil
import subprocess
import threading
from pathlib import Path

from . import debian
from .paths import BUILD, ROOT
from .ui import Failure, step

NATIVE = platform.machine()

# name of the build directory -> what Meson is told
CONFIGURATIONS: dict[str, list[str]] = {
    "x86_64": ["-Dmachine=x86_64"],
    "aarch64": ["-Dmachine=aarch64", "--cross-file", "tools/cross/aarch64.ini"],
    "sim": ["-Dmachine=sim"],
    "sim-test": ["-Dmachine=sim", "-Dtests=true", "-Ddebug_locks=true", "-Db_sanitize=address,undefined"],
    "sim-coverage": ["-Dmachine=sim", "-Dtests=true", "-Ddebug_locks=true", "-Db_coverage=true", "-Doptimization=1",
                     "-Dwerror=false"],      # a build to measure with: other levels warn otherwise
    "sim-tsan": ["-Dmachine=sim", "-Dtests=true", "-Db_sanitize=thread"],
    "sim-fuzz": ["-Dmachine=sim", "-Dfuzz=true", "--native-file", "tools/cross/clang.ini", "-Ddebug_locks=true",
                 "-Db_sanitize=address,undefined"],
    "sim-clang": ["-Dmachine=sim", "--native-file", "tools/cross/clang.ini"],
    "explore": ["-Dmachine=sim", "-Dmodels=true", "-Ddebug_locks=true"],
    "explore-points": ["-Dmachine=sim", "-Dmodels=true", "-Ddebug_locks=true", "-Dpoints=true"],
    "explore-asan": ["-Dmachine=sim", "-Dmodels=true", "-Ddebug_locks=true", "-Db_sanitize=address,undefined"],
    "user-x86_64": ["-Dmachine=user"],
    "user-aarch64": ["-Dmachine=user", "--cross-file", "tools/cross/aarch64.ini"],
}


def meson_environment() -> dict[str, str]:
    # What the user's shell says of compilers must not change what is built.
    return {key: value for key, value in os.environ.items() if key not in ("CC", "CFLAGS", "LDFLAGS", "CPPFLAGS")}


def prepare(name: str) -> None:
    """Packages and sources that a configuration needs."""
    packages = dict(debian.BUILD_PACKAGES)
    if name.endswith("aarch64"):
        packages |= debian.ARM_PACKAGES
    if name in ("sim-test", "sim-coverage", "sim-tsan"):
        packages |= {"libcmocka-dev": "/usr/include/cmocka.h", "pkg-config": "/usr/bin/pkg-config"}
    if name in ("sim-fuzz", "sim-clang"):
        packages |= {"clang": "/usr/bin/clang", "libclang-rt-14-dev": "/usr/lib/llvm-14/lib/clang/14.0.6/lib/linux"}
    debian.install(packages)
    if not name.startswith("user"):
        debian.wrap_sources()


def _run(what: str, command: list[str]) -> str:
    done = subprocess.run(command, cwd=ROOT, env=meson_environment(), capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise Failure(f"{what} failed:\n" + "\n".join(lines[-40:]))
    return done.stdout


_lock = threading.Lock()


@functools.cache
def _compile(name: str, targets: tuple[str, ...] = ()) -> Path:
    folder = BUILD / name
    if not (folder / "build.ninja").exists():
        prepare(name)
        with step(f"configuring {name}"):
            shutil.rmtree(folder, ignore_errors=True)
            _run(f"configuring {name}", ["meson", "setup", str(folder), *CONFIGURATIONS[name]])
    with step(f"building {name}", least_s=1.0) as this:
        this.idle = "no work to do" in _run(f"building {name}", ["ninja", "-C", str(folder), *targets])
    return folder


def compile(name: str, *targets: str) -> Path:
    """Brings a build directory (or some targets of it) up to date, once in the life of this command; its path."""
    with _lock:
        return _compile(name, targets)


def kernel(machine: str) -> Path:
    """What boots on a machine: the file that QEMU or the host executes."""
    files = {"x86_64": "cloudos.elf", "aarch64": "Image", "sim": "cloudos-sim"}
    path = compile(machine) / files[machine]
    if not path.exists():
        raise Failure(f"the build left no {path}")
    return path


def explorer(kind: str) -> Path:
    """The program that runs models: `plain`, with scheduling points at every basic block (`points`), or with sanitizers (`asan`)."""
    name = "explore" if kind == "plain" else f"explore-{kind}"
    if name not in CONFIGURATIONS:
        raise Failure(f"there is no build {kind}: plain, points and asan are", 2)
    return compile(name, "tests/model/cloudos-explore") / "tests" / "model" / "cloudos-explore"


def program(arch: str, name: str) -> Path:
    """A static user program of ours."""
    return compile(f"user-{arch}") / name
