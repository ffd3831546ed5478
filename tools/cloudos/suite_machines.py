# SPDX-License-Identifier: MIT
"""Suites of the machines: every way to boot, what `cloudos run` promises, disks."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from . import build, guests, initramfs, profile, run
from .machine import Setup
from .outcome import Job, simple
from .session import Result

# ---- every way to boot, and what `cloudos run` promises ----

SORTED = ["busybox", "sh", "-c", "for i in 1 2 3; do echo $i; done | busybox sort -r; exit 7"]
PATHS = (("x86_64", "direct"), ("x86_64", "bios"), ("x86_64", "uefi"), ("aarch64", "direct"), ("aarch64", "uefi"),
         ("sim", "direct"))
BOOT_LIMIT_S = 120


def run_command(setup: Setup, command: list[str], added: list[tuple[Path, str]] | None = None, stdin: bytes | None = None,
         timeout_s: float = BOOT_LIMIT_S) -> tuple[Result, bytes, bytes]:
    written = {"o": bytearray(), "e": bytearray()}
    with tempfile.TemporaryFile() as file:
        if stdin is not None:
            file.write(stdin)
            file.seek(0)
        result = run.execute(setup, command, added, file.fileno() if stdin is not None else None,
                             lambda letter, data: written[letter].extend(data), timeout_s)
    return result, bytes(written["o"]), bytes(written["e"])


def differs(got: tuple[Result, bytes, bytes], status: int, out: bytes, err: bytes | None = b"") -> str:
    result, *texts = got
    if result.status == status and texts[0] == out and err in (None, texts[1]):
        return ""
    return (f"{result.end}, status {result.status} (want {status})\nstdout {texts[0][-800:]!r}\n"
            f"stderr {texts[1][-800:]!r}\nlog:\n{result.log_tail()}")


def boot() -> list[Job]:
    def check(name: str, path: str, smp: int) -> Callable[[], str]:
        return lambda: differs(run_command(Setup(machine=name, boot=path, smp=smp), SORTED), 7, b"3\n2\n1\n")
    jobs = [simple(f"boot/{name}/{path}/smp{smp}", check(name, path, smp)) for name, path in PATHS if name in guests.ready
            for smp in (1, 4)]

    def selftest(name: str) -> Callable[[], str]:
        def check_log() -> str:
            got = run_command(Setup(machine=name, append="cloudos.selftest"), ["true"])
            return differs(got, 0, b"") or ("" if b"selftest: ok" in got[0].log else
                                             f"no `selftest: ok` in the log:\n{got[0].log_tail(60)}")
        return check_log
    def compressed(name: str, how: str) -> Callable[[], str]:
        return lambda: differs(run_command(Setup(machine=name, compress=how), SORTED), 7, b"3\n2\n1\n")
    jobs += [simple(f"boot/{name}/initramfs-{how}", compressed(name, how))
             for name in guests.ready for how in initramfs.COMPRESSORS]
    return jobs + [simple(f"boot/{name}/selftest", selftest(name)) for name in guests.ready]


def _added_files(name: str) -> str:
    """--add keeps modes and content; both streams and the input pass through untouched."""
    content = bytes(range(256)) * 300
    with tempfile.TemporaryDirectory() as folder:
        script, data = Path(folder) / "script", Path(folder) / "data"
        script.write_text("#!/bin/sh\ncat /opt/data; echo error >&2; cat; stat -c '%a' /opt/script /opt/data\n")
        script.chmod(0o751)
        data.write_bytes(content)
        data.chmod(0o604)
        got = run_command(Setup(machine=name), ["/opt/script"], [(script, "/opt/script"), (data, "/opt/data")], content[::-1])
    return differs(got, 0, content + content[::-1] + b"751\n604\n", b"error\n")


def _time_out(name: str) -> str:
    result, *_ = run_command(Setup(machine=name), ["sleep", "1000"], timeout_s=20)
    return "" if result.status == 124 else f"{result.end}, status {result.status} (want 124)"


def _crash(name: str) -> str:
    """A deliberate fault of the kernel: status 125, and a backtrace that names functions."""
    result, *_ = run_command(Setup(machine=name, append="cloudos.crash=1"), ["sh", "-c", "echo fault > /proc/cloudos/crash"])
    text = result.panic_text()
    if result.status != 125:
        return f"{result.end}, status {result.status} (want 125)\n{result.log_tail()}"
    return "" if "+0x" in text else f"no symbol in the backtrace:\n{text}"


PROFILED = """/opt/hot; dd if=/dev/zero of=/dev/null bs=64k count=2000 2>/dev/null; echo error >&2
su -s /bin/sh nobody -c 'cat /proc/cloudos/profile || echo start 9 > /proc/cloudos/profile' 2>/dev/null && exit 8
for bad in start 'start 0' 'start 10001' 'start -1' 'start 9 ' halt ''; do
    echo "$bad" > /proc/cloudos/profile && exit 9
done 2>/dev/null
exit 7"""


def _profile(name: str) -> str:
    """A function that is known to be hot is found on top, below its caller; the streams and the status stay the command's; root only."""
    arch = guests.arch_of(name)
    added = [(build.program(arch, "tests/profile/hot"), "/opt/hot")]
    session = profile.Session(["sh", "-c", PROFILED])
    result, out, err = run_command(Setup(machine=name, smp=2), session.command, added)
    if wrong := differs((result, out, session.filter(err)), 7, b"done\n", b"error\n"):
        return wrong
    text = session.text() or ""
    stacks = profile.fold(text, profile.symboliser(initramfs.extra([], added)))
    hot = Counter({stack[-2:]: 0 for stack in stacks if stack[0] == "hot"})
    for stack, count in stacks.items():
        hot[stack[-2:]] += count if stack[0] == "hot" else 0
    top = hot.most_common(1)[0] if hot else ((), 0)
    good = top[0] == ("hot_caller", "hot_function") and top[1] > hot.total() / 2 and top[1] > 100
    return "" if good and "_[k] " in text else f"the top is {top} of {hot.total()}:\n{profile.folded(stacks)[:4000]}"


def running() -> list[Job]:
    jobs = []
    for name in guests.ready:
        for what, command, status, error in (
            ("not-found", ["no-such-command"], 127, b"cloudos: no-such-command: not found\n"),
            ("not-executable", ["/etc/passwd"], 126, None),
            ("signal", ["sh", "-c", "kill -9 $$"], 137, b""),
        ):
            jobs.append(simple(f"run/{name}/{what}", lambda name=name, command=command, status=status, error=error:
                               differs(run_command(Setup(machine=name), command), status, b"", error)))
        jobs.append(simple(f"run/{name}/added-files", lambda name=name: _added_files(name)))
        jobs.append(simple(f"run/{name}/time-out", lambda name=name: _time_out(name)))
        jobs.append(simple(f"run/{name}/profile", lambda name=name: _profile(name)))
        jobs.append(simple(f"run/{name}/crash", lambda name=name: _crash(name)))
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
        wrong = differs(run_command(setup, ["/run/disk_check", "/dev/vda"], [(program, "/run/disk_check")]), 0, b"ok\n")
        if wrong:
            return wrong
        got, want = Path(file.name).read_bytes(), _disk_image()
    at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), None)
    return "" if at is None else f"the image differs from byte {at} on: {got[at:at + 16]!r}, not {want[at:at + 16]!r}"


SWAP_MEMORY_MIB, SWAP_TOUCHED_MIB, SWAP_DISK_MIB = 64, 128, 192


def _swap_check(name: str) -> str:
    program = build.program(guests.arch_of(name), "tests/disk/swap_check")
    with tempfile.NamedTemporaryFile() as file:
        file.truncate(SWAP_DISK_MIB << 20)
        setup = Setup(machine=name, smp=2, memory=SWAP_MEMORY_MIB, disks=[Path(file.name)])
        command = ["/run/swap_check", "/dev/vda", str(SWAP_TOUCHED_MIB)]
        return differs(run_command(setup, command, [(program, "/run/swap_check")]), 0, b"ok\n")


def disks() -> list[Job]:
    jobs = []
    for name, options in DISK_WAYS:
        suffix = "".join(f"-{key}{value}" for key, value in options.items())
        if name in guests.ready:
            jobs.append(simple(f"disk/{name}/check{suffix}",
                               lambda name=name, options=options: _disk_check(name, options)))
    jobs += [simple(f"disk/{name}/swap", lambda name=name: _swap_check(name)) for name in ("sim", "x86_64", "aarch64") if name in guests.ready]
    return jobs
