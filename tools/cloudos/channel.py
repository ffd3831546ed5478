# SPDX-License-Identifier: MIT
"""The host channel: a command's standard streams and status, between the kernel's log lines, on one serial line.

With cloudos.channel=1 the kernel writes frames: the byte 0x01, a letter, the payload's length (16 bits, little
endian), the payload. Guest to host:

    o  standard output         e  standard error
    x  exit status, decimal    w  wants up to N bytes of standard input (payload: N, decimal)

Host to guest, only as an answer to `w`: `i` with at most N bytes; none means end of file. Whatever lies outside
frames is the kernel's log, which never holds the byte 0x01.
"""

from __future__ import annotations

from collections.abc import Iterator

START = 0x01
LETTERS = b"oexw"
INPUT_MAX = 4096


def frame(letter: bytes, payload: bytes) -> bytes:
    return bytes([START]) + letter + len(payload).to_bytes(2, "little") + payload


class Demux:
    """Takes the serial line's bytes as they come; gives (letter, payload), with letter '' for log text."""

    def __init__(self) -> None:
        self.pending = b""

    def feed(self, data: bytes) -> Iterator[tuple[str, bytes]]:
        self.pending += data
        while self.pending:
            at = self.pending.find(START)
            if at != 0:
                log = self.pending if at < 0 else self.pending[:at]
                self.pending = self.pending[len(log):]
                yield "", log
                continue
            if len(self.pending) < 2:
                return
            if self.pending[1] not in LETTERS:
                yield "", self.pending[:1]    # not ours: firmware or noise
                self.pending = self.pending[1:]
                continue
            if len(self.pending) < 4:
                return
            end = 4 + int.from_bytes(self.pending[2:4], "little")
            if len(self.pending) < end:
                return
            letter, payload = chr(self.pending[1]), self.pending[4:end]
            self.pending = self.pending[end:]
            yield letter, payload
