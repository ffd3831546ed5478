# SPDX-License-Identifier: MIT
"""The guest's root file system: Debian's busybox-static byte for byte, our init, and a few lines of /etc; or Debian
packages (rootfs.py), and of that what they lack.

A run's own files (the command, --add) make a second archive behind the first, so that the first is the same
for every boot.
"""

from __future__ import annotations

import functools
import stat
import subprocess
from pathlib import Path

from . import build, debian, rootfs
from .cpio import Archive
from .paths import BUILD
from .tree import Node, Tree
from .ui import Failure

ETC = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
    "group": "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n",
    "hostname": "cloudos\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "profile": "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nexport PS1='cloudos:\\w# '\n",
}
FOLDERS = {"dev": 0o755, "proc": 0o555, "sys": 0o555, "tmp": 0o1777, "run": 0o755, "root": 0o700, "etc": 0o755,
           "bin": 0o755, "sbin": 0o755, "usr/bin": 0o755, "usr/sbin": 0o755, "mnt": 0o755, "var/tmp": 0o1777}
ENVIRONMENT = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TERM=vt100",
               "USER=root", "LOGNAME=root", "SHELL=/bin/sh", "PWD=/")


def busybox(arch: str) -> Path:
    return debian.package("busybox-static", arch) / "bin" / "busybox"


def applets() -> list[str]:
    """The same release has the same applets for every architecture; the native one can tell them."""
    done = subprocess.run([busybox("x86_64"), "--list"], capture_output=True, text=True, check=True)
    return [name for name in done.stdout.split() if name != "busybox"]


def _usual(arch: str) -> Tree:
    """All but init."""
    tree = Tree()
    for name, mode in FOLDERS.items():
        tree.folder(name, mode)
    tree.put("dev/console", Node(stat.S_IFCHR | 0o600, device=(5, 1)))
    tree.put("dev/null", Node(stat.S_IFCHR | 0o666, device=(1, 3)))
    tree.file("bin/busybox", busybox(arch).read_bytes(), 0o755)
    for name in applets():
        tree.link(f"bin/{name}", "busybox")
    for name, text in ETC.items():
        tree.file(f"etc/{name}", text.encode())
    return tree


@functools.cache
def base(arch: str, packages: tuple[str, ...] = ()) -> bytes:
    """The first archive: the usual root file system, or that of Debian packages."""
    first = rootfs.archive(arch, packages, _usual(arch)) if packages else _usual(arch).archive()
    init = Archive()               # in an archive of its own: it changes more often than packages do
    init.file("init", build.program(arch, "src/services/init/init").read_bytes(), 0o755)
    return first + init.bytes()


def extra(command: list[str], added: list[tuple[Path, str]], environment: list[str] | None = None) -> bytes:
    """The second archive; empty when there is nothing to say."""
    if not command and not added:
        return b""
    archive = Archive()
    archive.names |= {*FOLDERS, "usr", "var"}
    for host, guest in added:
        archive.add(host, guest)
    if command:
        archive.file("run/cloudos/command", b"".join(word.encode() + b"\0" for word in command), 0o600)
        variables = [*ENVIRONMENT, *(environment or [])]
        archive.file("run/cloudos/env", b"".join(word.encode() + b"\0" for word in variables), 0o600)
    return archive.bytes()


def parse_add(text: str) -> tuple[Path, str]:
    """HOSTFILE:GUESTPATH of --add."""
    host, colon, guest = text.rpartition(":")
    if not colon or not guest.startswith("/"):
        raise Failure(f"--add {text}: say HOSTFILE:/GUESTPATH", 2)
    path = Path(host)
    if not path.exists():
        raise Failure(f"--add {text}: there is no {host}", 2)
    return path, guest


COMPRESSORS = {
    "lz4": ({"lz4": "/usr/bin/lz4"}, ["lz4", "-9", "-q", "-c"]),
    "lz4-legacy": ({"lz4": "/usr/bin/lz4"}, ["lz4", "-l", "-9", "-q", "-c"]),
    "zstd": ({"zstd": "/usr/bin/zstd"}, ["zstd", "-19", "-q", "-c"]),
}


@functools.cache
def compressed_base(arch: str, how: str, packages: tuple[str, ...] = ()) -> bytes:
    needed, command = COMPRESSORS[how]
    debian.install(needed)
    data = base(arch, packages)
    if how == "zstd":
        command = [*command, f"--stream-size={len(data)}"]     # else the window is as for an endless stream
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def make(arch: str, target: Path, command: list[str] | None = None, added: list[tuple[Path, str]] | None = None,
         compress: str = "plain", packages: tuple[str, ...] = ()) -> Path:
    """The whole file. Only the first archive is compressed: the second is small, and follows it as it is."""
    target.parent.mkdir(parents=True, exist_ok=True)
    first = base(arch, packages) if compress == "plain" else compressed_base(arch, compress, packages)
    target.write_bytes(first + b"\0" * (-len(first) % 4) + extra(command or [], added or []))
    return target


def default(arch: str) -> Path:
    return make(arch, BUILD / f"initramfs-{arch}.cpio")
