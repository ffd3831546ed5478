# SPDX-License-Identifier: MIT
"""A root file system in memory: names and what they name, with modes, owners and hard links, on its way into an archive.

Names have no slash in front. With `merged`, the folders that Debian merges into /usr (bin, sbin, lib, ...) are links and what is
put below them goes below /usr, whatever a package calls it.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from .cpio import Archive
from .ui import Failure

MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
LINKS_MAX = 40          # symbolic links that one name may lead through, as in Linux


@dataclass
class Node:
    """What a name names; two names of one node are hard links."""

    mode: int                              # type and permissions
    data: bytes = b""                      # a file's content, a link's target
    uid: int = 0
    gid: int = 0
    device: tuple[int, int] = (0, 0)
    mtime: int = 0


class Tree:
    def __init__(self, merged: bool = False) -> None:
        self.nodes: dict[str, Node] = {}
        self.merged = merged
        if merged:
            for name in MERGED:
                self.folder(f"usr/{name}")
                self.nodes[name] = Node(stat.S_IFLNK | 0o777, f"usr/{name}".encode())

    def name(self, text: str) -> str:
        """The name under which something is kept; one that leads out of the tree is refused."""
        parts = [part for part in text.split("/") if part not in ("", ".")]
        if ".." in parts or "\0" in text:
            raise Failure(f"a file is called {text!r}: a name in a root file system does not lead upwards")
        if self.merged and len(parts) > 1 and parts[0] in MERGED:
            parts.insert(0, "usr")
        return "/".join(parts)

    def put(self, text: str, node: Node) -> None:
        """Puts a node, and folders above it that are not there. What had the name goes; a folder stays one."""
        name = self.name(text)
        there = self.nodes.get(name)
        if not name or (there and stat.S_ISLNK(there.mode) and stat.S_ISDIR(node.mode)):
            return                         # the root; a folder behind a link, such as bin
        if there and stat.S_ISDIR(there.mode) and not stat.S_ISDIR(node.mode):
            raise Failure(f"/{name} is a folder to one package and none to another")
        self.folder(os.path.dirname(name))
        self.nodes[name] = node

    def folder(self, text: str, mode: int = 0o755) -> None:
        name = self.name(text)
        if name and name not in self.nodes:
            self.put(name, Node(stat.S_IFDIR | mode))
        elif name and stat.S_ISREG(self.nodes[name].mode):
            raise Failure(f"/{name} is a file to one package and a folder to another")

    def file(self, text: str, data: bytes, mode: int = 0o644) -> None:
        self.put(text, Node(stat.S_IFREG | mode, data))

    def link(self, text: str, target: str, mtime: int = 0) -> None:
        self.put(text, Node(stat.S_IFLNK | 0o777, target.encode(), mtime=mtime))

    def hard_link(self, text: str, first: str) -> None:
        node = self.nodes.get(self.name(first))
        if not node or not stat.S_ISREG(node.mode):
            raise Failure(f"{text} is another name of {first}, which is no file")
        self.put(text, node)

    def find(self, text: str) -> Node | None:
        """The node that a path leads to, through links; None where there is none."""
        left, at, links = text.split("/")[::-1], [], 0
        while left:
            part = left.pop()
            if part in ("", "."):
                continue
            if part == "..":
                at = at[:-1]
                continue
            node = self.nodes.get("/".join([*at, part]))
            if node is None or links > LINKS_MAX:
                return None
            if not stat.S_ISLNK(node.mode):
                at.append(part)
                continue
            links += 1
            target = node.data.decode(errors="surrogateescape")
            at = [] if target.startswith("/") else at
            left += target.split("/")[::-1]
        return self.nodes.get("/".join(at))

    def fill(self, other: Tree) -> None:
        """Takes from another tree what is not here."""
        for name, node in other.nodes.items():
            if not self.find(name) and self.name(name) not in self.nodes:
                self.put(name, node)

    def archive(self) -> bytes:
        archive = Archive()
        names: dict[int, list[str]] = {}
        for name in sorted(self.nodes):
            names.setdefault(id(self.nodes[name]), []).append(name)
        for name in sorted(self.nodes):
            node = self.nodes[name]
            same = names[id(node)]
            if name == same[0]:            # the others come with the first
                archive.node(same, node.mode, node.data, node.uid, node.gid, node.device, node.mtime)
        return archive.bytes()
