# SPDX-License-Identifier: MIT
"""/etc/ld.so.cache as ldconfig(8) writes it (glibc 2.32's sysdeps/generic/dl-cache.h), for any architecture: name -> path of each shared library.

A header of 48 bytes; entries of 24 (flags, offset of the name, offset of the path, 0, 0), the greatest name first by a comparison that takes
runs of digits as numbers; the strings. No extensions: libraries for one kind of processor alone (glibc-hwcaps) are found without it.
"""

from __future__ import annotations

import re
import struct

from .tree import Tree

MAGIC = b"glibc-ld.so.cache1.1"
LITTLE_ENDIAN = 2
# architecture -> Debian's folder, the ELF machine, the flags of its libraries: FLAG_ELF_LIBC6 and FLAG_X8664_LIB64 or FLAG_AARCH64_LIB64
KINDS = {"x86_64": ("x86_64-linux-gnu", 62, 0x0303), "aarch64": ("aarch64-linux-gnu", 183, 0x0A03)}
LIBRARY = re.compile(r"(?:lib|ld-)[^/]*\.so(?:\.[^/]*)?")


def order(name: str) -> list[tuple[int, int]]:
    """_dl_cache_libcmp() as a key: a number is above any character."""
    return [(1, int(part)) if part.isdecimal() else (0, ord(part)) for part in re.findall(r"[0-9]+|[^0-9]", name)]


def folders(tree: Tree, arch: str) -> list[str]:
    """Where libraries are looked for, the first that has one wins."""
    found = []
    for name in sorted(tree.nodes):
        if re.fullmatch(r"etc/ld\.so\.conf\.d/[^/]+\.conf", name) and (node := tree.find(name)):
            found += [line.partition("#")[0].strip() for line in node.data.decode(errors="replace").splitlines()]
    usual = [f"/lib/{KINDS[arch][0]}", f"/usr/lib/{KINDS[arch][0]}", "/lib", "/usr/lib"]
    return list(dict.fromkeys(folder for folder in found + usual if folder.startswith("/")))


def _is_library(data: bytes, machine: int) -> bool:
    return data[:6] == b"\x7fELF\x02\x01" and len(data) >= 64 and struct.unpack_from("<HH", data, 16) == (3, machine)


def libraries(tree: Tree, arch: str) -> dict[str, str]:
    names: dict[str, set[str]] = {}
    for name in tree.nodes:
        folder, _, last = name.rpartition("/")
        if LIBRARY.fullmatch(last):
            names.setdefault(folder, set()).add(last)
    found: dict[str, str] = {}
    for folder in folders(tree, arch):
        for name in names.get(tree.name(folder + "/x").rpartition("/")[0], ()):
            node = tree.find(f"{folder}/{name}")
            if node and _is_library(node.data, KINDS[arch][1]):
                found.setdefault(name, f"{folder}/{name}")
    return found


def cache(found: dict[str, str], arch: str) -> bytes:
    strings = bytearray()
    entries = b""
    start = 48 + 24 * len(found)
    for name in sorted(found, key=order, reverse=True):
        at = start + len(strings)
        strings += name.encode() + b"\0" + found[name].encode() + b"\0"
        entries += struct.pack("<iIIIQ", KINDS[arch][2], at, at + len(name.encode()) + 1, 0, 0)
    header = MAGIC + struct.pack("<IIB3xI12x", len(found), len(strings), LITTLE_ENDIAN, 0)
    return header + entries + bytes(strings)
