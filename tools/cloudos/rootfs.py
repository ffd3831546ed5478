# SPDX-License-Identifier: MIT
"""cloudos rootfs: a root file system of unmodified Debian packages, as an initramfs that boots.

Packages are unpacked as dpkg does, documentation but for copyright files left out. No script of theirs is run; the effects
that programs need are brought about here: users and groups (base-passwd), defaults below /etc (base-files), the winners of
update-alternatives, the cache of ld.so. What no package brings comes from the usual root file system: busybox's applets, among them sh.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shlex
import stat
import tarfile
import tempfile
import threading
from pathlib import Path

from . import debian, ldcache, packages
from .paths import BUILD
from .tree import Node, Tree
from .ui import Failure, say, step

SUMMARY = "make an initramfs of Debian packages"
ALWAYS = ("base-files", "base-passwd", "libc-bin")       # what any package may take for granted: folders, users, C.UTF-8
LEFT_OUT = re.compile(r"usr/share/(?:doc/(?!.*/copyright$)|man/|info/|locale/|lintian/|doc-base/|bug/)")
# Files that postinst scripts copy from where the package has them
COPIES = {
    "usr/share/base-passwd/passwd.master": "etc/passwd",
    "usr/share/base-passwd/group.master": "etc/group",
    "usr/share/base-files/nsswitch.conf": "etc/nsswitch.conf",
    "usr/share/base-files/profile": "etc/profile",
    "usr/share/base-files/dot.profile": "root/.profile",
    "usr/share/base-files/dot.bashrc": "root/.bashrc",
}
PARTS = ("cpio.py", "initramfs.py", "ldcache.py", "packages.py", "rootfs.py", "tree.py")       # what an archive depends on


_lock = threading.Lock()        # two boots side by side may be the first with their packages


def _unpack(tree: Tree, data: tarfile.TarFile) -> None:
    for entry in data:
        name = tree.name(entry.name)
        if LEFT_OUT.match(name):
            continue
        mode, mtime = stat.S_IMODE(entry.mode), int(entry.mtime)
        if entry.isdir():
            tree.put(name, Node(stat.S_IFDIR | mode, b"", entry.uid, entry.gid, mtime=mtime))
        elif entry.isfile():
            file = data.extractfile(entry)
            assert file
            tree.put(name, Node(stat.S_IFREG | mode, file.read(), entry.uid, entry.gid, mtime=mtime))
        elif entry.issym():
            tree.link(name, entry.linkname, mtime)
        elif entry.islnk():
            tree.hard_link(name, entry.linkname)
        else:
            raise Failure(f"/{name} is neither file, folder nor link: packages do not bring such")


class Alternatives:
    """What postinst scripts tell update-alternatives(1): a link, by way of /etc/alternatives, to the best program of a name."""

    def __init__(self) -> None:
        self.best: dict[str, tuple[int, list[tuple[str, str, str]]]] = {}     # name -> priority, (link, name, path)...

    def read(self, script: str) -> None:
        for line in script.replace("\\\n", " ").splitlines():
            try:
                words = shlex.split(line.strip(), comments=True)
            except ValueError:             # a quotation over several lines is no such command
                continue
            options = [word for word in words[1:] if word not in ("--quiet", "--force")]       # which may stand in front
            if words[:1] == ["update-alternatives"] and options[:1] == ["--install"]:
                self._install(options[1:])

    def _install(self, words: list[str]) -> None:
        ends = [at for at, word in enumerate(words) if re.match(r"[|&;<>]|\d+>", word)]
        words = words[:ends[0]] if ends else words
        # Who computes the words wants the script run: that is left out.
        if len(words) < 4 or not words[3].isdecimal() or any("$" in word or "`" in word for word in words):
            return
        group = [(words[0], words[1], words[2])]
        for at, word in enumerate(words):
            if word == "--slave" and at + 3 < len(words):
                group.append((words[at + 1], words[at + 2], words[at + 3]))
        if words[1] not in self.best or int(words[3]) > self.best[words[1]][0]:
            self.best[words[1]] = int(words[3]), group

    def apply(self, tree: Tree) -> None:
        for _, group in self.best.values():
            for link, name, path in group:
                if tree.find(path):
                    tree.link(f"etc/alternatives/{name}", path)
                    tree.link(link, f"/etc/alternatives/{name}")


def _postinst(control: tarfile.TarFile) -> str:
    for entry in control:
        if entry.name.removeprefix("./") == "postinst" and entry.isfile():
            file = control.extractfile(entry)
            assert file
            return file.read().decode(errors="replace")
    return ""


def unpack(files: list[Path], arch: str) -> Tree:
    """The packages unpacked behind each other, and configured."""
    tree, alternatives = Tree(merged=True), Alternatives()
    for file in files:
        try:
            with packages.member(file, "data") as data:
                _unpack(tree, data)
            with packages.member(file, "control") as control:
                alternatives.read(_postinst(control))
        except (tarfile.TarError, EOFError, OSError) as error:
            raise Failure(f"{file.name}: cannot be unpacked ({error}); remove {file}, and it is downloaded again") from error
    for source, target in COPIES.items():
        if (node := tree.find(source)) and not tree.find(target):
            tree.file(target, node.data)
    alternatives.apply(tree)
    tree.file("etc/ld.so.cache", ldcache.cache(ldcache.libraries(tree, arch), arch))
    return tree


def archive(arch: str, names: tuple[str, ...], filler: Tree) -> bytes:
    """The archive of packages and all that they need, and of the filler what these do not bring. Kept under build/."""
    key = hashlib.sha256(repr((arch, names)).encode())
    for part in PARTS:
        key.update((Path(__file__).parent / part).read_bytes())
    memory = BUILD / "rootfs" / f"{arch}-{key.hexdigest()[:16]}.cpio"
    memory.parent.mkdir(parents=True, exist_ok=True)
    with _lock:
        if not memory.exists():
            apt = debian.Apt()
            # Another process may be making the same: each in a file of its own, and the last rename wins.
            with step(f"unpacking {' '.join(names)} ({debian.ARCHITECTURES[arch]})"), \
                    tempfile.TemporaryDirectory(dir=memory.parent) as own:
                tree = unpack(packages.bring(packages.closure((*ALWAYS, *names), arch, apt), apt), arch)
                tree.fill(filler)
                partial = Path(own) / memory.name
                partial.write_bytes(tree.archive())
                partial.rename(memory)
    return memory.read_bytes()


def main(words: list[str]) -> int:
    from . import initramfs, machine       # which stand above this file
    parser = argparse.ArgumentParser(prog="cloudos rootfs", description=SUMMARY)
    parser.add_argument("packages", nargs="+", metavar="PACKAGE")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    parser.add_argument("--arch", choices=machine.ARCHES, default="x86_64")
    args = parser.parse_args(words)
    names = packages.check_names(args.packages)
    size = initramfs.make(args.arch, args.output, packages=names).stat().st_size >> 20
    say(f"{args.output} has {size} MiB; give the machine {machine.suitable_memory(size)} MiB of memory")
    return 0
