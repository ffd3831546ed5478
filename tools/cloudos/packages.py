# SPDX-License-Identifier: MIT
"""Debian's packages with all that they need: chosen by apt's own solver, downloaded once, and read.

The solver works on a machine of the wanted architecture on which nothing is installed, so that the choice depends on the
archive's lists alone. Dependencies and pre-dependencies count, recommendations do not. apt checks signatures and hashes.
"""

from __future__ import annotations

import io
import re
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .debian import ARCHITECTURES, Apt
from .ui import Failure, step

NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")                     # deb-control(5), without a version or an architecture
CHOSEN = re.compile(r"^Inst (\S+?)(?::\S+)? \((\S+) .*\[(\w+)\]\)", re.M)
AR_MAGIC = b"!<arch>\n"


@dataclass(frozen=True)
class Package:
    name: str
    version: str
    arch: str                     # Debian's name of it, or "all"

    @property
    def file(self) -> str:
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.arch}.deb"


def check_names(names: list[str]) -> tuple[str, ...]:
    """The names as a set, in order; one that cannot be a package's is refused before anything is asked."""
    for name in names:
        if not NAME.fullmatch(name):
            raise Failure(f"{name!r} is not the name of a Debian package: say such as python3 or redis-server", 2)
    return tuple(sorted(set(names)))


def closure(names: tuple[str, ...], arch: str, apt: Apt) -> list[Package]:
    """What has to be unpacked for these packages to work, in an order in which it may be."""
    done = apt.ask(["apt-get", "install", "-s", "-q", "-y", "--no-install-recommends", "-o",
                    "APT::Get::Show-User-Simulation-Note=no", "-o", f"APT::Architecture={ARCHITECTURES[arch]}",
                    *names])
    if done.returncode != 0:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(("E:", " "))]
        raise Failure(f"apt cannot choose packages for {' '.join(names)} ({ARCHITECTURES[arch]}):\n" + "\n".join(said), 2)
    return [Package(*found) for found in CHOSEN.findall(done.stdout)]


def bring(chosen: list[Package], apt: Apt) -> list[Path]:
    """The packages' files; those that are not there yet are downloaded."""
    kept = apt.folder / "archives"
    missing = [package for package in chosen if not (kept / package.file).exists()]
    if missing:
        kept.mkdir(parents=True, exist_ok=True)
        # Into a folder of its own: another process may be bringing the same.
        with step(f"downloading {len(missing)} packages"), tempfile.TemporaryDirectory(dir=kept) as own:
            apt.fetch(["apt-get", "download", "-q", *(f"{package.name}:{package.arch}={package.version}"
                                                      if package.arch != "all" else f"{package.name}={package.version}"
                                                      for package in missing)], Path(own))
            for package in missing:
                if not (Path(own) / package.file).exists():
                    raise Failure(f"apt-get download left no {package.file}")
                (Path(own) / package.file).rename(kept / package.file)
    return [kept / package.file for package in chosen]


# ---- deb(5): an ar archive of two tar archives ----

def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    data = path.read_bytes()
    if not data.startswith(AR_MAGIC):
        raise Failure(f"{path} is no Debian package")
    at = len(AR_MAGIC)
    while at < len(data):
        header = data[at:at + 60]
        size = header[48:58].decode(errors="replace").strip()
        if header[58:] != b"`\n" or not size.isdecimal() or at + 60 + int(size) > len(data):
            raise Failure(f"{path} is damaged, at byte {at}: remove it, and it is downloaded again")
        at += 60
        yield header[:16].decode(errors="replace").strip().rstrip("/"), data[at:at + int(size)]
        at += int(size) + int(size) % 2


def member(path: Path, kind: str) -> tarfile.TarFile:
    """`control` or `data` of a package."""
    for name, data in _members(path):
        if name.startswith(f"{kind}.tar"):
            try:
                return tarfile.open(fileobj=io.BytesIO(data))
            except tarfile.TarError as error:
                raise Failure(f"{path}: cannot read {name} ({error})") from error
    raise Failure(f"{path} has no {kind}.tar")
