# SPDX-License-Identifier: MIT
"""newc cpio archives (cpio(5)), written the same for the same content: no times but those given, numbered inodes."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from .ui import Failure

MAGIC = b"070701"
HEADER_SIZE = 110
TRAILER = "TRAILER!!!"


class Archive:
    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.names: set[str] = set()
        self.inode = 0

    def node(self, names: list[str], mode: int, data: bytes = b"", uid: int = 0, gid: int = 0,
             device: tuple[int, int] = (0, 0), mtime: int = 0) -> None:
        """One inode with all its names; folders above them are the caller's. A file's data come with its first name."""
        if len(data) >= 1 << 32:
            raise Failure(f"{names[0]} has {len(data) >> 20} MiB: a cpio archive holds files of less than 4 GiB")
        self.inode += 1
        links = 2 if stat.S_ISDIR(mode) else len(names)
        for name in names:
            raw = name.encode(errors="surrogateescape") + b"\0"
            fields = (self.inode, mode, uid, gid, links, mtime & 0xFFFFFFFF, len(data), 0, 0, *device, len(raw), 0)
            header = MAGIC + b"".join(b"%08X" % field for field in fields) + raw
            self.parts += [header, b"\0" * (-len(header) % 4), data, b"\0" * (-len(data) % 4)]
            self.names.add(name)
            data = b""

    def _entry(self, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        self.node([name], mode, data, device=device)

    def folder(self, name: str, mode: int = 0o755) -> None:
        """A folder and, before it, those above that are not there yet."""
        name = name.strip("/")
        if not name or name in self.names:
            return
        self.folder(os.path.dirname(name))
        self._entry(name, stat.S_IFDIR | mode)

    def file(self, name: str, data: bytes, mode: int = 0o644) -> None:
        name = name.strip("/")
        self.folder(os.path.dirname(name))
        self._entry(name, stat.S_IFREG | mode, data)

    def link(self, name: str, target: str) -> None:
        name = name.strip("/")
        self.folder(os.path.dirname(name))
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def device(self, name: str, mode: int, major: int, minor: int) -> None:
        name = name.strip("/")
        self.folder(os.path.dirname(name))
        self._entry(name, stat.S_IFCHR | mode, device=(major, minor))

    def add(self, host: Path, name: str) -> None:
        """A file, symbolic link or folder of the host with all below it; modes are kept, owners are not."""
        status = host.lstat() if host.is_symlink() else host.stat()
        mode = stat.S_IMODE(status.st_mode)
        if stat.S_ISLNK(status.st_mode):
            self.link(name, os.readlink(host))
        elif stat.S_ISDIR(status.st_mode):
            self.folder(name, mode)
            for child in sorted(host.iterdir()):
                self.add(child, f"{name}/{child.name}")
        else:
            self.file(name, host.read_bytes(), mode)

    def bytes(self) -> bytes:
        self._entry(TRAILER, 0)
        body = b"".join(self.parts)
        return body + b"\0" * (-len(body) % 512)


def files(data: bytes) -> Iterator[tuple[str, memoryview]]:
    """The regular files of archives that lie behind each other, as Archive writes them: names and contents."""
    view, at = memoryview(data), 0
    contents: dict[int, memoryview] = {}         # by inode: the first name has them
    while (at := data.find(MAGIC, at)) >= 0:
        fields = [int(data[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in range(13)]
        inode, mode, size, name_size = fields[0], fields[1], fields[6], fields[11]
        name = data[at + HEADER_SIZE:at + HEADER_SIZE + name_size - 1].decode(errors="surrogateescape")
        at += HEADER_SIZE + name_size
        at += -at % 4
        if name == TRAILER:
            contents = {}
        elif stat.S_ISREG(mode):
            if size or inode not in contents:
                contents[inode] = view[at:at + size]
            yield name, contents[inode]
        at += size + -size % 4
