# SPDX-License-Identifier: MIT
"""--profile of cloudos run: the kernel's profiler (/proc/cloudos/profile) around a command, and names for what it says.

The guest's kernel gives a user frame as a file and an offset in it. The files are those of the root file system that was booted: readelf
tells where they are loaded and which functions they have (of a stripped one, those that it shows to others).
"""

from __future__ import annotations

import bisect
import functools
import re
import secrets
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from . import cpio, flame

HZ = 997                     # a prime, lest it beat with what programs do in time
# Debian's busybox would take an applet of its own for a program that stands in PATH by the same name.
SCRIPT = """case $1 in
*/*) ;;
*) IFS=:; for folder in $PATH; do
    [ -x "$folder/$1" ] && {{ program=$folder/$1; shift; set -- "$program" "$@"; break; }}
done; unset IFS ;;
esac
echo start {hz} > /proc/cloudos/profile || exit 1
"$@"
status=$?
echo stop > /proc/cloudos/profile
{{ printf %s {mark}; cat /proc/cloudos/profile; printf %s {mark}; }} >&2
exit $status"""
FRAME = re.compile(r"(/.*)\+0x([0-9a-f]+)$")
LOAD = re.compile(r"\s+LOAD\s+0x(\w+)\s+0x(\w+)\s+0x\w+\s+0x(\w+)")
FUNCTIONS = ("FUNC", "IFUNC", "GNU_IFUNC")


class Session:
    """One profiled command: what to run instead of it, and its standard error without what the profiler writes there."""

    def __init__(self, command: list[str], hz: int = HZ) -> None:
        self.mark = f"profile-{secrets.token_hex(16)}"
        self.command = ["/bin/busybox", "sh", "-c", SCRIPT.format(hz=hz, mark=self.mark), "profile", *command]
        self.parts: list[bytearray] = [bytearray()]        # of standard error, between the marks
        self.shown = 0

    def _begun(self, data: bytearray) -> int:
        """How many bytes at the end may be the mark's beginning."""
        mark = self.mark.encode()
        return next((n for n in range(min(len(mark) - 1, len(data)), 0, -1) if data.endswith(mark[:n])), 0)

    def filter(self, data: bytes) -> bytes:
        """What of further standard error is the command's own."""
        own = b""
        self.parts[-1] += data
        while (at := self.parts[-1].find(self.mark.encode())) >= 0:
            rest = self.parts[-1][at + len(self.mark):]
            del self.parts[-1][at:]
            own += self._show()
            self.parts.append(rest)
            self.shown = 0
        return own + self._show(self._begun(self.parts[-1]))

    def _show(self, held: int = 0) -> bytes:
        if len(self.parts) == 2:
            return b""
        end = max(self.shown, len(self.parts[-1]) - held)
        text = bytes(self.parts[-1][self.shown:end])
        self.shown = end
        return text

    def text(self) -> str | None:
        """What the kernel gave; None: the command, or the machine, ended without."""
        return self.parts[1].decode(errors="replace") if len(self.parts) > 2 else None


class Symbols:
    """The functions of one ELF file."""

    def __init__(self, name: str, data: bytes) -> None:
        self.name = f"[{name.rpartition('/')[2]}]"         # of what no function is known
        self.loads: list[tuple[int, int, int]] = []        # offset in the file, address, bytes
        found: dict[int, tuple[int, str]] = {}
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            text = subprocess.run(["readelf", "-lsWC", file.name], capture_output=True, text=True, errors="replace").stdout
        for line in text.splitlines():
            if load := LOAD.match(line):
                self.loads.append((int(load[1], 16), int(load[2], 16), int(load[3], 16)))
                continue
            words = line.split(None, 7)
            if len(words) == 8 and words[3] in FUNCTIONS and words[6] != "UND":
                size = int(words[2], 0)
                found[int(words[1], 16)] = max(found.get(int(words[1], 16), (0, "")), (size, words[7].split("@")[0]))
        self.starts = sorted(found)
        self.functions = [found[start] for start in self.starts]

    def at(self, offset: int) -> str:
        address = next((at + offset - first for first, at, size in self.loads if first <= offset < first + size), None)
        number = bisect.bisect_right(self.starts, address) - 1 if address is not None else -1
        if number < 0 or address - self.starts[number] >= max(self.functions[number][0], 1):
            return self.name
        return self.functions[number][1]


def symboliser(archives: bytes) -> Callable[[str], str]:
    """Gives frames their names; the files are found in the archives of an initramfs."""
    files = {f"/{name.lstrip('/')}": data for name, data in cpio.files(archives)}

    @functools.cache
    def symbols(path: str) -> Symbols:
        return Symbols(path, bytes(files.get(path, b"")))

    @functools.cache
    def name(frame: str) -> str:
        found = FRAME.match(frame)
        return symbols(found[1]).at(int(found[2], 16)).replace(";", ":") if found else frame
    return name


def fold(text: str, name: Callable[[str], str]) -> Counter[tuple[str, ...]]:
    """The kernel's text with names: stacks that are equal now are one."""
    stacks: Counter[tuple[str, ...]] = Counter()
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        if stack and count.isdecimal():
            comm, *frames = stack.split(";")
            stacks[(comm, *map(name, frames))] += int(count)
    return stacks


def folded(stacks: Counter[tuple[str, ...]]) -> str:
    return "".join(f"{';'.join(stack)} {count}\n" for stack, count in sorted(stacks.items()))


def write(target: Path, stacks: Counter[tuple[str, ...]], title: str) -> Iterable[Path]:
    """The folded text into FILE.folded; for FILE.html also the page."""
    text = target.with_suffix(".folded")
    text.write_text(folded(stacks))
    if target.suffix != ".html":
        return [text]
    target.write_text(flame.page(stacks, title))
    return [target, text]
