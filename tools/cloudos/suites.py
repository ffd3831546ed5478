# SPDX-License-Identifier: MIT
"""The suites of `cloudos test`: each function gives jobs. SUITES, at the end, names them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from . import build, check, debian, explore, guests, initramfs, judges, packages, run, tsan
from .guests import MACHINES, Program
from .machine import Setup
from .outcome import FAILED, PASSED, SKIPPED, Job, Outcome, simple
from .paths import BUILD, ROOT
from .session import Result
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

def _meson_tests(folder: Path) -> list[str]:
    listed = subprocess.run(["meson", "introspect", "--tests", str(folder)], capture_output=True, text=True, check=True)
    return [f"{test['suite'][0].rpartition(':')[2]}/{test['name']}" for test in json.loads(listed.stdout)]


def _meson_run(folder: Path, chosen: list[str], prefix: str = "",
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
    names = _meson_tests(folder)
    return [Job(names, lambda chosen: _meson_run(folder, chosen), alone=True)] if names else []


SLOW_USER = "ptrace"        # the simulator's way to run user programs that is not its default

# ---- the system-call ABI: the same program everywhere, this machine's Linux as the oracle ----

def _abi_programs(arch: str) -> dict[str, Path]:
    build.program(arch, "src/services/init/init")
    folder = BUILD / f"user-{arch}" / "tests" / "abi"
    return {path.name: path for path in sorted(folder.glob("*")) if path.is_file() and os.access(path, os.X_OK)}


def _abi_expect(oracle: dict[str, tuple[str, int]], name: str) -> Callable[[str, int], str]:
    def expect(text: str, status: int) -> str:
        want, want_status = oracle.get(name, (None, 0))
        wrong = [line for line in text.splitlines() if line.startswith("not ok")]
        if status != 0 or wrong:
            return f"status {status}\n{text}"
        if want is not None and not want.startswith("skipped:") and text != want:
            return f"differs from Linux.\nLinux:\n{want}\nCloudOS:\n{text}"
        return ""
    return expect


def _abi_guest(name: str, oracle: dict[str, tuple[str, int]], setup: Setup, prefix: str = "") -> list[Job]:
    found = _abi_programs(guests.arch_of(name))
    programs = [Program(test, f"cd /tmp && /abi/{test}", _abi_expect(oracle, test)) for test in found]
    added = [(path, f"/abi/{test}") for test, path in found.items()]
    title = f"{name}-{setup.user}" if setup.user else name
    return guests.batch(f"{prefix}abi/{title}", setup, programs, added)


def abi() -> list[Job]:
    native = _abi_programs(build.NATIVE)
    oracle: dict[str, tuple[str, int]] = {}
    jobs = []

    def host(path: Path) -> Callable[[], str]:
        def check() -> str:
            with tempfile.TemporaryDirectory() as folder:
                text, status = guests.on_host(str(path), Path(folder))
            oracle[path.name] = (text, status)
            return "" if status == 0 and "not ok" not in text else f"status {status}\n{text}"
        return check

    jobs += [simple(f"abi/host/{name}", host(path)) for name, path in native.items()]
    for name in _machines:
        jobs += _abi_guest(name, oracle, Setup(machine=name, smp=2))
    if "sim" in _machines:
        jobs += _abi_guest("sim", oracle, Setup(machine="sim", smp=2, user=SLOW_USER))
    return jobs


# ---- every way to boot, and what `cloudos run` promises ----

SORTED = ["busybox", "sh", "-c", "for i in 1 2 3; do echo $i; done | busybox sort -r; exit 7"]
PATHS = (("x86_64", "direct"), ("x86_64", "bios"), ("x86_64", "uefi"), ("aarch64", "direct"), ("aarch64", "uefi"),
         ("sim", "direct"))
BOOT_LIMIT_S = 120


def _run(setup: Setup, command: list[str], added: list[tuple[Path, str]] | None = None, stdin: bytes | None = None,
         timeout_s: float = BOOT_LIMIT_S) -> tuple[Result, bytes, bytes]:
    written = {"o": bytearray(), "e": bytearray()}
    with tempfile.TemporaryFile() as file:
        if stdin is not None:
            file.write(stdin)
            file.seek(0)
        result = run.execute(setup, command, added, file.fileno() if stdin is not None else None,
                             lambda letter, data: written[letter].extend(data), timeout_s)
    return result, bytes(written["o"]), bytes(written["e"])


def _differs(got: tuple[Result, bytes, bytes], status: int, out: bytes, err: bytes | None = b"") -> str:
    result, *texts = got
    if result.status == status and texts[0] == out and err in (None, texts[1]):
        return ""
    return (f"{result.end}, status {result.status} (want {status})\nstdout {texts[0][-800:]!r}\n"
            f"stderr {texts[1][-800:]!r}\nlog:\n{result.log_tail()}")


def boot() -> list[Job]:
    def check(name: str, path: str, smp: int) -> Callable[[], str]:
        return lambda: _differs(_run(Setup(machine=name, boot=path, smp=smp), SORTED), 7, b"3\n2\n1\n")
    jobs = [simple(f"boot/{name}/{path}/smp{smp}", check(name, path, smp)) for name, path in PATHS if name in _machines
            for smp in (1, 4)]

    def selftest(name: str) -> Callable[[], str]:
        def check_log() -> str:
            got = _run(Setup(machine=name, append="cloudos.selftest"), ["true"])
            return _differs(got, 0, b"") or ("" if b"selftest: ok" in got[0].log else
                                             f"no `selftest: ok` in the log:\n{got[0].log_tail(60)}")
        return check_log
    def compressed(name: str, how: str) -> Callable[[], str]:
        return lambda: _differs(_run(Setup(machine=name, compress=how), SORTED), 7, b"3\n2\n1\n")
    jobs += [simple(f"boot/{name}/initramfs-{how}", compressed(name, how))
             for name in _machines for how in initramfs.COMPRESSORS]
    return jobs + [simple(f"boot/{name}/selftest", selftest(name)) for name in _machines]


def _added_files(name: str) -> str:
    """--add keeps modes and content; both streams and the input pass through untouched."""
    content = bytes(range(256)) * 300
    with tempfile.TemporaryDirectory() as folder:
        script, data = Path(folder) / "script", Path(folder) / "data"
        script.write_text("#!/bin/sh\ncat /opt/data; echo error >&2; cat; stat -c '%a' /opt/script /opt/data\n")
        script.chmod(0o751)
        data.write_bytes(content)
        data.chmod(0o604)
        got = _run(Setup(machine=name), ["/opt/script"], [(script, "/opt/script"), (data, "/opt/data")], content[::-1])
    return _differs(got, 0, content + content[::-1] + b"751\n604\n", b"error\n")


def _time_out(name: str) -> str:
    result, *_ = _run(Setup(machine=name), ["sleep", "1000"], timeout_s=20)
    return "" if result.status == 124 else f"{result.end}, status {result.status} (want 124)"


def _crash(name: str) -> str:
    """A deliberate fault of the kernel: status 125, and a backtrace that names functions."""
    result, *_ = _run(Setup(machine=name, append="cloudos.crash=1"), ["sh", "-c", "echo fault > /proc/cloudos/crash"])
    text = result.panic_text()
    if result.status != 125:
        return f"{result.end}, status {result.status} (want 125)\n{result.log_tail()}"
    return "" if "+0x" in text else f"no symbol in the backtrace:\n{text}"


def running() -> list[Job]:
    jobs = []
    for name in _machines:
        for what, command, status, error in (
            ("not-found", ["no-such-command"], 127, b"cloudos: no-such-command: not found\n"),
            ("not-executable", ["/etc/passwd"], 126, None),
            ("signal", ["sh", "-c", "kill -9 $$"], 137, b""),
        ):
            jobs.append(simple(f"run/{name}/{what}", lambda name=name, command=command, status=status, error=error:
                               _differs(_run(Setup(machine=name), command), status, b"", error)))
        jobs.append(simple(f"run/{name}/added-files", lambda name=name: _added_files(name)))
        jobs.append(simple(f"run/{name}/time-out", lambda name=name: _time_out(name)))
        jobs.append(simple(f"run/{name}/crash", lambda name=name: _crash(name)))
    return jobs


# ---- Debian's own programs, dynamic, from their packages (docs/rootfs.md) ----

DEBIAN_FOLDER = ROOT / "tests" / "debian"        # programs that print `ok`
DEBIAN_PACKAGES = ("bash", "bubblewrap", "coreutils", "fio", "gdb", "git", "hostname", "perl", "procps", "python3", "redis-server", "sqlite3",
                   "strace", "util-linux")


def debian_programs() -> list[Job]:
    def expect(text: str, status: int) -> str:
        return "" if (text, status) == ("ok\n", 0) else f"status {status}\n{text}"

    files = sorted(path for path in DEBIAN_FOLDER.iterdir() if path.suffix in (".pl", ".py", ".sh"))
    programs = [Program(path.stem, f"/debian/{path.name}", expect) for path in files]
    added = [(path, f"/debian/{path.name}") for path in files]
    ways = [(name, name, []) for name in _machines]
    if "sim" in _machines:
        ways.append((f"sim-seed-{WORLDS[0]}", "sim", ["--seed", str(WORLDS[0])]))
    jobs = []
    for title, name, world in ways:
        setup = Setup(machine=name, smp=2, memory=0, packages=packages.check_names([*DEBIAN_PACKAGES]), world=world)
        debugged = build.program(guests.arch_of(name), "tests/debian/debugged")
        jobs += guests.batch(f"debian/{title}", setup, programs, [*added, (debugged, "/debian/debugged")])
    return jobs


# ---- disks: a program writes one in every way, and the host looks at the image ----

DISK_SECTORS, DISK_PATTERNED = 4096, 1024        # of the image; those that tests/disk/disk_check.c fills
DISK_WAYS = (("sim", {}), ("x86_64", {}), ("aarch64", {}), ("aarch64", {"gic": "2"}))


def _disk_image() -> bytes:
    """What the image holds afterwards: tests/disk/disk_check.c says it too."""
    image = bytearray(DISK_SECTORS * 512)
    for sector in range(DISK_PATTERNED):
        image[sector * 512:sector * 512 + 512] = bytes((sector * 13 + i * 7 + sector // 256) % 256 for i in range(512))
    image[1001:6000] = bytes(ord("A") + at % 5 for at in range(1001, 6000))
    return bytes(image)


def _disk_check(name: str, options: dict[str, str]) -> str:
    program = build.program(guests.arch_of(name), "tests/disk/disk_check")
    with tempfile.NamedTemporaryFile() as file:
        file.truncate(DISK_SECTORS * 512)
        setup = Setup(machine=name, smp=2, disks=[Path(file.name)], **options)
        wrong = _differs(_run(setup, ["/run/disk_check", "/dev/vda"], [(program, "/run/disk_check")]), 0, b"ok\n")
        if wrong:
            return wrong
        got, want = Path(file.name).read_bytes(), _disk_image()
    at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), None)
    return "" if at is None else f"the image differs from byte {at} on: {got[at:at + 16]!r}, not {want[at:at + 16]!r}"


def disks() -> list[Job]:
    jobs = []
    for name, options in DISK_WAYS:
        suffix = "".join(f"-{key}{value}" for key, value in options.items())
        if name in _machines:
            jobs.append(simple(f"disk/{name}/check{suffix}",
                               lambda name=name, options=options: _disk_check(name, options)))
    return jobs


# ---- busybox's applets: the same output and status as the same binary has on Linux ----

SWEEP = ROOT / "tests" / "applets" / "sweep.txt"
SWEEP_MIB = 24      # the smallest machine that is promised


def _sweep_lines() -> list[tuple[str, str]]:
    """(name, command): lines of sweep.txt, numbered by their applet. Lines that start with # are comments."""
    found, seen = [], {}
    for line in SWEEP.read_text().splitlines() if SWEEP.exists() else []:
        if line.strip() and not line.startswith("#"):
            word = line.split()[0].lstrip("(")
            seen[word] = seen.get(word, 0) + 1
            found.append((f"{word}-{seen[word]}", line))
    return found


def _in_fresh_folder(command: str) -> str:
    return f"rm -rf /tmp/sweep; mkdir /tmp/sweep; cd /tmp/sweep; {command}"


def applets() -> list[Job]:
    lines = _sweep_lines()
    oracles: dict[str, dict[str, tuple[str, int]]] = {}

    def expect(arch: str, name: str, command: str) -> Callable[[str, int], str]:
        def compare(text: str, status: int) -> str:
            want, want_status = oracles[arch].get(name, ("(Linux gave no answer)", -1))
            if (text, status) == (want, want_status):
                return ""
            return f"{command}\nLinux, status {want_status}:\n{want}\nCloudOS, status {status}:\n{text}"
        return compare

    jobs = []
    for name in _machines if lines else ():
        arch = guests.arch_of(name)
        programs = [Program(test, _in_fresh_folder(command), expect(arch, test, command)) for test, command in lines]
        if arch not in oracles:
            oracles[arch] = guests.on_linux(arch, programs)
        jobs += guests.batch(f"applets/{name}", Setup(machine=name, smp=2, memory=SWEEP_MIB), programs, [], size=100)
    return jobs


def simulator_jobs(kernel: Path, smp: int = 2, prefix: str = "") -> list[Job]:
    """The programs of `abi` and `applets` in a simulator built otherwise (for coverage, for ThreadSanitizer)."""
    programs = [Program(test, _in_fresh_folder(command), lambda text, status: "") for test, command in _sweep_lines()]
    setup = Setup(machine="sim", smp=smp, kernel=kernel)
    return (_abi_guest("sim", {}, setup, prefix)
            + guests.batch(f"{prefix}applets/sim", setup, programs, [], size=100))


# ---- all that runs in the simulator, once more, under ThreadSanitizer ----

def races() -> list[Job]:
    folder = build.compile("sim-tsan")
    names = [f"tsan/{name}" for name in _meson_tests(folder)]
    jobs = [Job(names, lambda chosen: _meson_run(folder, chosen, "tsan/", tsan.environment()), alone=True)]
    reports = folder / "reports" / "report"
    kernel = tsan.kernel(folder / "cloudos-sim", reports)
    return jobs + [replace(tsan.watched(job, reports), alone=True) for job in simulator_jobs(kernel, 4, "tsan/")]


# ---- random system calls, with this machine's Linux as the oracle ----

WALKS, WALK_STEPS = 40, 150
WORLDS = (1, 2, 3)           # seeds of the deterministic world in which the same walks must give the same answers


def _walk_expect(seed: int) -> Callable[[str, int], str]:
    def expect(text: str, status: int) -> str:
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:        # a tmpfs, as the guests' is
            program = build.program(build.NATIVE, "tests/random/walk")
            wanted, wanted_status = guests.on_host(f"TMPDIR={folder} {program} {seed} {WALK_STEPS}", Path(folder))
        if (text, status) == (wanted, wanted_status):
            return ""
        pairs = list(zip(wanted.splitlines() + ["(end)"], text.splitlines() + ["(end)"]))
        at = next((i for i, (a, b) in enumerate(pairs) if a != b), len(pairs) - 1)
        before = "\n".join(a for a, _ in pairs[max(0, at - 8):at])
        return f"status {status}, Linux {wanted_status}; after\n{before}\nLinux: {pairs[at][0]}\nhere: {pairs[at][1]}"
    return expect


def random_walks() -> list[Job]:
    programs = [Program(f"walk-{seed}", f"/random/walk {seed} {WALK_STEPS}", _walk_expect(seed)) for seed in range(1, WALKS + 1)]
    build.program(build.NATIVE, "tests/random/walk")
    jobs = []
    for name in _machines:
        added = [(build.program(guests.arch_of(name), "tests/random/walk"), "/random/walk")]
        worlds = [(f"sim-seed-{seed}", ["--seed", str(seed)]) for seed in WORLDS] if name == "sim" else [(name, [])]
        for title, world in worlds:
            jobs += guests.batch(f"random/{title}", Setup(machine=name, smp=2, world=world), programs, added)
    return jobs


# ---- the deterministic world: what it finds, that it replays, and that nothing is found ----

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
        result, out, _ = _run(replace(setup, world=world + more, prefix=check.PERTURBED if again else []), command)
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
    reports = [_run(Setup(machine="sim", smp=3, world=["--seed", str(seed), "--user", how]), SORTED)[0].report()
               for how in ("ptrace", "seccomp")]
    return "" if reports[0] == reports[1] and reports[0] else "\n".join(reports)


def _spinning_program() -> str:
    """A program that computes for ever is convicted, and named."""
    world = ["--seed", "1", "--set", "user-limit 1"]
    result, _, _ = _run(Setup(machine="sim", world=world), ["busybox", "awk", "BEGIN { while (1); }"])
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


SUITES: dict[str, Callable[[], list[Job]]] = {
    "tidy": tidy, "docs": tidy, "tools": tools, "build": builds, "unit": meson, "fuzz": meson,
    "sim": deterministic, "boot": boot, "run": running, "abi": abi, "disk": disks, "debian": debian_programs,
    "applets": applets, "random": random_walks, "tsan": races,
}
APART = ("judges",)                  # too long to be run unless asked for by name

GUEST_SUITES = ("boot", "run", "abi", "disk", "debian", "applets", "random", "judges")
_machines: list[str] = []            # those that were built, of those that the chosen tests need


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
        needed = [f"{suite}/{name}/" for suite in GUEST_SUITES] + [f"build/{name}", f"abi/{name}-{SLOW_USER}/"]
        if filters and not any(_overlap(place, f) for place in needed for f in filters):
            continue
        began = time.monotonic()
        try:
            _prepare_machine(name)
            outcome = Outcome(f"build/{name}", PASSED, time.monotonic() - began)
            _machines.append(name)
        except Failure as failure:
            outcome = Outcome(f"build/{name}", FAILED, time.monotonic() - began, str(failure))
        jobs.append(Job([outcome.name], lambda names, outcome=outcome: iter([outcome]), required=True))
    return jobs


def _suite_jobs(name: str, filters: list[str], full: bool) -> list[Job]:
    def wanted(place: str) -> bool:
        return any(_overlap(place, f) for f in filters)
    try:
        return judges.jobs(_machines, wanted, full) if name == "judges" else SUITES[name]()
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
