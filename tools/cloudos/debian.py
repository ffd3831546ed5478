# SPDX-License-Identifier: MIT
"""Debian as the source of everything: packages for this machine, and files for the guest.

Two ways in. `install` brings missing packages onto this machine with its own apt, as root or through sudo.
`Apt` downloads other packages and sources (other architectures, source tarballs, kernels to compare with)
with an apt configuration of its own under build/debian, which leaves the machine's alone: its mirror is the
one the machine uses, its keys are Debian's own keyring.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

from .paths import DEBIAN, PACKAGECACHE
from .ui import Failure, say, step

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

# package -> a file that tells that it is installed (dpkg alone would miss one that was built by hand)
BUILD_PACKAGES = {
    "meson": "/usr/bin/meson",
    "ninja-build": "/usr/bin/ninja",
    "gcc": "/usr/bin/gcc",
    "libc6-dev": "/usr/include/stdio.h",
    "linux-libc-dev": "/usr/include/linux/types.h",
    "xz-utils": "/usr/bin/xz",
    "bzip2": "/usr/bin/bzip2",
}
PATCH_PACKAGES = {"patch": "/usr/bin/patch"}
ARM_PACKAGES = {
    "gcc-aarch64-linux-gnu": "/usr/bin/aarch64-linux-gnu-gcc",
    "libc6-dev-arm64-cross": "/usr/aarch64-linux-gnu/include/stdio.h",
    "linux-libc-dev-arm64-cross": "/usr/aarch64-linux-gnu/include/linux/types.h",
}
QEMU_PACKAGES = {
    "x86_64": {"qemu-system-x86": "/usr/bin/qemu-system-x86_64"},
    "aarch64": {"qemu-system-arm": "/usr/bin/qemu-system-aarch64"},
}
IMAGE_PACKAGES = {
    "x86_64": {
        "grub-common": "/usr/bin/grub-mkimage",
        "grub-pc-bin": "/usr/lib/grub/i386-pc/kernel.img",
        "grub-efi-amd64-bin": "/usr/lib/grub/x86_64-efi/kernel.img",
        "mtools": "/usr/bin/mcopy",
    },
    "aarch64": {"grub-common": "/usr/bin/grub-mkimage", "mtools": "/usr/bin/mcopy"},
}
FIRMWARE_PACKAGES = {
    "x86_64": {"ovmf": "/usr/share/OVMF/OVMF_CODE.fd"},
    "aarch64": {"qemu-efi-aarch64": "/usr/share/AAVMF/AAVMF_CODE.fd"},
}


_lock = threading.RLock()     # tests run side by side: one of them installs or unpacks, the others wait


def _one_at_a_time(function):
    @functools.wraps(function)
    def locked(*words, **named):
        with _lock:
            return function(*words, **named)
    return locked


@_one_at_a_time
def install(packages: dict[str, str]) -> None:
    """Installs those of the packages whose file is missing."""
    missing = [name for name, file in packages.items() if not os.path.exists(file)]
    if not missing:
        return
    command = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing]
    by_hand = f"apt-get update && apt-get install --no-install-recommends {' '.join(missing)}"
    if not shutil.which("apt-get"):
        raise Failure(f"missing: {' '.join(missing)}. CloudOS installs them on Debian alone; elsewhere install "
                      "what your system calls them")
    prefix = []
    if os.geteuid() != 0:
        prefix = ["sudo"] if sys.stdin.isatty() else ["sudo", "-n"]
        if not shutil.which("sudo"):
            raise Failure(f"missing packages and no sudo. As root: {by_hand}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with step(f"installing {' '.join(missing)}"):
        # An outdated or absent package list is the usual reason for a first failure.
        for attempt in ([command], [["apt-get", "update", "-q"], command]):
            for part in attempt:
                done = subprocess.run([*prefix, "env", "DEBIAN_FRONTEND=noninteractive", *part], env=env,
                                      stdin=None if sys.stdin.isatty() else subprocess.DEVNULL,
                                      capture_output=True, text=True)
            if done.returncode == 0:
                break
        if done.returncode != 0:
            raise Failure(f"could not install packages:\n{done.stderr.strip()[-2000:]}\nAs root: {by_hand}")


def mirror() -> tuple[str, str]:
    """(address, suite) of the Debian archive that this machine uses."""
    suite = codename()
    texts = []
    for path in (Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*.list"))):
        if path.exists():
            texts.append(path.read_text(errors="replace"))
    for line in "\n".join(texts).splitlines():
        found = re.match(r"deb(?:-src)?\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)\s+.*\bmain\b", line)
        if found and found[2] == suite:
            return found[1], suite
    for path in sorted(Path("/etc/apt/sources.list.d").glob("*.sources")):
        for stanza in re.split(r"\n\s*\n", path.read_text(errors="replace")):
            fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", stanza, re.M))
            if suite in fields.get("Suites", "").split() and "main" in fields.get("Components", "").split():
                return fields["URIs"].split()[0], suite
    raise Failure(f"found no Debian archive for {suite} in /etc/apt: is this Debian?")


def codename() -> str:
    release = Path("/etc/os-release").read_text()
    found = re.search(r"^VERSION_CODENAME=(\S+)", release, re.M)
    if not found or "ID=debian" not in release:
        raise Failure("this is not a Debian release: CloudOS takes its guest's files from Debian")
    return found[1]


class Apt:
    """An apt of our own. `suite` is the machine's release, or another one for newer sources."""

    def __init__(self, suite: str | None = None, sources: bool = False) -> None:
        uri, native = mirror()
        self.suite = suite or native
        self.folder = DEBIAN / f"apt-{self.suite}{'-src' if sources else ''}"
        self.source = f"{'deb-src' if sources else 'deb'} [signed-by={KEYRING}] {uri} {self.suite} main"

    def _configure(self) -> dict[str, str]:
        for name in ("lists/partial", "archives/partial", "sources.d", "preferences.d"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "status").touch()
        (self.folder / "sources.list").write_text(f"{self.source}\n")
        (self.folder / "apt.conf").write_text("\n".join([
            f'Dir::State "{self.folder}";', f'Dir::State::status "{self.folder}/status";',
            f'Dir::Cache "{self.folder}";', f'Dir::Etc::sourcelist "{self.folder}/sources.list";',
            f'Dir::Etc::sourceparts "{self.folder}/sources.d";',
            f'Dir::Etc::preferences "{self.folder}/preferences";',
            f'Dir::Etc::preferencesparts "{self.folder}/preferences.d";',
            'APT::Architectures { "amd64"; "arm64"; };', 'Acquire::Languages "none";',
            'APT::Sandbox::User "root";', 'Acquire::Retries "3";',
            "#clear APT::Update::Post-Invoke;", "#clear APT::Update::Post-Invoke-Success;", ""]))
        return {**os.environ, "APT_CONFIG": str(self.folder / "apt.conf"), "LC_ALL": "C"}

    def _run(self, command: list[str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=self._configure(), cwd=cwd, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL)

    def ask(self, command: list[str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Runs an apt command, with lists brought when there are none, and anew when it fails."""
        for fresh in (False, True):
            if fresh or not any((self.folder / "lists").glob("*_*")):
                with step(f"reading Debian's package lists ({self.suite})"):
                    update = self._run(["apt-get", "update", "-q"])
                if update.returncode != 0:
                    raise Failure(f"apt-get update failed: {update.stderr.strip()[-1500:]}")
            done = self._run(command, cwd)
            if done.returncode == 0:
                break
        return done

    def fetch(self, command: list[str], into: Path) -> None:
        """Runs an apt-get command that leaves files in the working directory."""
        into.mkdir(parents=True, exist_ok=True)
        done = self.ask(command, into)
        if done.returncode != 0:
            raise Failure(f"{' '.join(command)} failed: {done.stderr.strip()[-1500:]}")


@_one_at_a_time
def package(name: str, arch: str) -> Path:
    """A binary package of the machine's release, unpacked: the folder. Downloaded once."""
    debian_arch = ARCHITECTURES[arch]
    folder = DEBIAN / "packages" / f"{name}_{debian_arch}"
    if folder.is_dir():
        return folder
    downloads = DEBIAN / "packages" / "downloads"
    with step(f"downloading Debian's {name} ({debian_arch})"):
        for old in downloads.glob(f"{name}_*_{debian_arch}.deb"):
            old.unlink()
        Apt().fetch(["apt-get", "download", "-q", f"{name}:{debian_arch}"], downloads)
        found = [*downloads.glob(f"{name}_*_{debian_arch}.deb"), *downloads.glob(f"{name}_*_all.deb")]
        if len(found) != 1:
            raise Failure(f"expected one file of {name}_*_{debian_arch}.deb, found {len(found)}")
        unpack_deb(found[0], folder)
    return folder


@_one_at_a_time
def source(name: str, part: str = "orig") -> list[Path]:
    """Tarballs of a source package of the machine's release: upstream's, or of part "debian" what Debian adds. Downloaded once."""
    folder = DEBIAN / "sources" / (name if part == "orig" else f"{name}.{part}")
    if not folder.is_dir():
        with step(f"downloading Debian's source of {name}"):
            partial = folder.with_name(f"{folder.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            only = "--tar-only" if part == "orig" else "--diff-only"
            Apt(sources=True).fetch(["apt-get", "source", "-q", "--download-only", only, name], partial)
            partial.rename(folder)
    return sorted(folder.glob(f"*.{part}.tar.*"))


def unpack_deb(deb: Path, folder: Path) -> None:
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    subprocess.run(["dpkg-deb", "-x", str(deb), str(partial)], check=True)
    partial.rename(folder)


def depends(name: str, arch: str) -> str:
    """The Depends: line of a package (a meta package names the real one there)."""
    apt = Apt()
    done = apt._run(["apt-cache", "show", "--no-all-versions", f"{name}:{ARCHITECTURES[arch]}"])
    if done.returncode != 0:
        apt.fetch(["apt-cache", "show", f"{name}:{ARCHITECTURES[arch]}"], DEBIAN)
        done = apt._run(["apt-cache", "show", "--no-all-versions", f"{name}:{ARCHITECTURES[arch]}"])
    found = re.search(r"^Depends: (.*)$", done.stdout, re.M)
    return found[1] if found else ""


def linux_kernel(arch: str) -> Path:
    """Debian's cloud kernel, to measure against: the file that QEMU boots."""
    real = re.search(r"linux-image-[0-9][^ ,|]*", depends(f"linux-image-cloud-{ARCHITECTURES[arch]}", arch))
    if not real:
        raise Failure(f"linux-image-cloud-{ARCHITECTURES[arch]} names no kernel")
    return next((package(real[0], arch) / "boot").glob("vmlinuz-*"))


# Upstream sources for subprojects/: Debian's source package, the file in it, what it must hash to.
SOURCES: tuple[tuple[str, str | None, str, str], ...] = (
    ("lz4", None, "lz4_1.9.4.orig.tar.gz", "0b0e3aa07c8c063ddf40b082bdf7e37a1562bda40a0ff5272957f3e987e0e54b"),
    ("libzstd", None, "libzstd_1.5.4+dfsg2.orig.tar.xz",
     "8cf4bbb65e77ec348d052c8d6230eba66d435bddf64c8b5be2fcb16880c19953"),
    ("mbedtls", "trixie", "mbedtls_3.6.6.orig.tar.bz2",
     "8fb65fae8dcae5840f793c0a334860a411f884cc537ea290ce1c52bb64ca007a"),
)


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@_one_at_a_time
def wrap_sources(sources: Iterable[tuple[str, str | None, str, str]] = SOURCES) -> None:
    """Puts the wraps' tarballs into subprojects/packagecache, checked; downloads what is not there yet."""
    for name, suite, file, digest in sources:
        target = PACKAGECACHE / file
        if target.exists() and sha256(target) == digest:
            continue
        with step(f"downloading Debian's source of {name}"):
            version = file.split("_")[1].split(".orig")[0]
            apt = Apt(suite, sources=True)
            downloads = DEBIAN / "sources"
            (downloads / file).unlink(missing_ok=True)
            apt.fetch(["apt-get", "source", "-q", "--download-only", "--tar-only", name], downloads)
            if not (downloads / file).exists():
                raise Failure(f"Debian's {name} is no longer at {version}: {file} was not in the source package")
            if sha256(downloads / file) != digest:
                raise Failure(f"{file} does not have the SHA-256 that CloudOS expects; refusing to build it")
            PACKAGECACHE.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(downloads / file, target)


if __name__ == "__main__":
    wrap_sources()
    say(f"sources are in {PACKAGECACHE}")
