#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What people run, timed by the clock of the machine that it runs on: a line `NAME MILLISECONDS ms` each.

Arguments name rows; what a row needs is made before the clock starts, on whatever /tmp is. Each row is the shortest of some turns: with
instructions for a clock they hardly differ, without, other load only adds.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

FILES, FOLDERS = 10_000, 100        # of the git repository
INSERTS = 300                       # each a transaction of its own
REQUESTS = 2_000                    # to redis, of each of two kinds
SHELLS = 100
SOURCES = 12                        # files that make compiles
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
SOURCE = """#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static int order(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }
int work_%(n)d(int n) {
	char **words = malloc(n * sizeof(*words)), line[64];
	for (int i = 0; i < n; i++) { snprintf(line, sizeof(line), "%%d-%(n)d", i * 7919 %% n); words[i] = strdup(line); }
	qsort(words, n, sizeof(*words), order);
	for (int i = 0; i < n; i++) { puts(words[i]); free(words[i]); }
	free(words);
	return 0;
}
"""


def shortest(turns: int, fn: Callable[[], object], before: Callable[[], object] = lambda: None) -> float:
    """Milliseconds."""
    found = []
    for _ in range(turns):
        before()
        began = time.monotonic_ns()
        fn()
        found.append(time.monotonic_ns() - began)
    return min(found) / 1e6


def call(*command: str, **more: object) -> None:
    subprocess.run(command, check=True, **{**QUIET, **more})


def python_start(folder: Path) -> float:
    return shortest(3, lambda: call("python3", "-c", "pass"))


def git_status(folder: Path) -> float:
    stream = ["commit refs/heads/main\ncommitter a <a@b> 1 +0000\ndata 1\n.\n"]
    for i in range(FILES):
        path, text = f"d{i % FOLDERS}/f{i}", f"file {i}\n"
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)
        stream.append(f"M 644 inline {path}\ndata {len(text)}\n{text}\n")
    call("git", "init", "-q", "-b", "main", cwd=folder)
    call("git", "fast-import", "--quiet", cwd=folder, input="".join(stream).encode())
    call("git", "reset", "-q", cwd=folder)
    return shortest(2, lambda: call("git", "status", cwd=folder))


def sqlite_inserts(folder: Path) -> float:
    script = "".join(f"insert into t values({i},'a row of this table');\n" for i in range(INSERTS)).encode()

    def before() -> None:
        (folder / "db").unlink(missing_ok=True)
        call("sqlite3", str(folder / "db"), "create table t(n integer primary key, s text);")
    return shortest(2, lambda: call("sqlite3", str(folder / "db"), input=script), before)


def redis_unix(folder: Path) -> float:
    socket = str(folder / "socket")
    server = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--dir", str(folder)], **QUIET)
    try:
        while subprocess.run(["redis-cli", "-s", socket, "ping"], **QUIET).returncode:
            time.sleep(0.05)
        return shortest(2, lambda: call("redis-benchmark", "-s", socket, "-t", "set,get", "-n", str(REQUESTS), "-q"))
    finally:
        server.terminate()
        server.wait()


def gcc_compile(folder: Path) -> float:
    (folder / "a.c").write_text(SOURCE % {"n": 0})
    return shortest(2, lambda: call("gcc", "-O2", "-c", "a.c", cwd=folder))


def shells(folder: Path) -> float:
    return shortest(2, lambda: call("sh", "-c", f"i=0; while [ $i -lt {SHELLS} ]; do sh -c :; i=$((i + 1)); done"))


def make_j4(folder: Path) -> float:
    names = [f"f{i}.o" for i in range(SOURCES)]
    for i in range(SOURCES):
        (folder / f"f{i}.c").write_text(SOURCE % {"n": i})
    (folder / "Makefile").write_text(f"all: {' '.join(names)}\n%.o: %.c\n\tgcc -O2 -c -o $@ $<\n")

    def before() -> None:
        for name in names:
            (folder / name).unlink(missing_ok=True)
    return shortest(3, lambda: call("make", "-j4", cwd=folder), before)


ROWS = (python_start, git_status, sqlite_inserts, redis_unix, gcc_compile, shells, make_j4)


def main(names: list[str]) -> None:
    os.environ.update(HOME="/tmp", PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    for row in ROWS:
        if names and row.__name__ not in names:
            continue
        folder = Path(tempfile.mkdtemp())
        try:
            print(f"{row.__name__} {row(folder):.3f} ms", flush=True)
        except (OSError, subprocess.CalledProcessError) as error:     # a program that is not there: the row is left out
            print(f"{row.__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


main(sys.argv[1:])
