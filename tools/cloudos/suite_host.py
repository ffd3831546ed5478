# SPDX-License-Identifier: MIT
"""Suites of this machine alone: style, tools, compilers, unit tests and fuzzers' corpora with sanitizers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from . import build
from .outcome import FAILED, PASSED, SKIPPED, Job, Outcome, simple
from .paths import ROOT
from .ui import Failure


def tidy() -> list[Job]:
    def check() -> str:
        done = subprocess.run([ROOT / "tools" / "tidy"], capture_output=True, text=True)
        return "" if done.returncode == 0 else done.stdout + done.stderr
    return [simple("tidy", check), simple("docs/abi", _abi_document)]


def _abi_document() -> str:
    """docs/ABI.md is what the table of system calls says."""
    with tempfile.NamedTemporaryFile() as file:
        tables = sorted((ROOT / "src/kernel/syscall/table").glob("*.tbl"))
        subprocess.run([sys.executable, "-B", ROOT / "tools/gen_syscalls.py", "--document", file.name, *tables],
                       check=True, capture_output=True)
        document = ROOT / "docs" / "ABI.md"
        if document.exists() and document.read_bytes() == Path(file.name).read_bytes():
            return ""
    return "out of date: tools/gen_syscalls.py --document docs/ABI.md src/kernel/syscall/table/*.tbl"


def tools() -> list[Job]:
    def job(path: Path) -> Job:
        def check() -> str:
            done = subprocess.run([sys.executable, "-B", str(path)], capture_output=True, text=True,
                                  env={**os.environ, "PYTHONPATH": str(ROOT / "tools")})
            return "" if done.returncode == 0 else done.stdout + done.stderr
        return simple(f"tools/{path.stem.removesuffix('_test')}", check)
    return [job(path) for path in sorted((ROOT / "tests" / "tools").glob("*_test.py"))]


def builds() -> list[Job]:
    """Compilers and options that nothing else here uses must build without a warning as well."""
    def check(name: str) -> Callable[[], str]:
        def compile_it() -> str:
            try:
                build.compile(name)
            except Failure as failure:
                return str(failure)
            return ""
        return compile_it
    return [simple(f"build/{name}", check(name), alone=True) for name in ("sim-clang",)]


# ---- what Meson runs: unit tests and the fuzzers' corpora, with sanitizers ----

def meson_tests(folder: Path) -> list[str]:
    listed = subprocess.run(["meson", "introspect", "--tests", str(folder)], capture_output=True, text=True, check=True)
    return [f"{test['suite'][0].rpartition(':')[2]}/{test['name']}" for test in json.loads(listed.stdout)]


def meson_run(folder: Path, chosen: list[str], prefix: str = "",
               environment: dict[str, str] | None = None) -> Iterator[Outcome]:
    names = {name.removeprefix(prefix).partition("/")[2]: name for name in chosen}
    log = folder / "meson-logs" / "testlog.json"
    log.unlink(missing_ok=True)
    subprocess.run(["meson", "test", "-C", str(folder), "--no-rebuild", "--num-processes", "2", *names],
                   capture_output=True, stdin=subprocess.DEVNULL, env=environment)
    for line in log.read_text().splitlines():
        entry = json.loads(line)
        name = names.get(entry["name"].rpartition(" / ")[2])
        if name is None:
            continue
        good = entry["result"] in ("OK", "EXPECTEDFAIL")
        yield Outcome(name, PASSED if good else SKIPPED if entry["result"] == "SKIP" else FAILED, entry["duration"],
                      f"{entry['result']}\n{entry.get('stdout') or ''}\n{entry.get('stderr') or ''}")


def meson() -> list[Job]:
    folder = build.compile("sim-test")
    names = meson_tests(folder)
    return [Job(names, lambda chosen: meson_run(folder, chosen), alone=True)] if names else []
