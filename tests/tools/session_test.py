# SPDX-License-Identifier: MIT
"""The host channel against a guest played by a script."""

import os
import sys
import tempfile
import unittest
from pathlib import Path

from cloudos.channel import Demux, frame
from cloudos.session import Session

GUEST = '''
import os, sys, time
def send(letter, payload): os.write(1, b"\\x01" + letter + len(payload).to_bytes(2, "little") + payload)
def ask(n):
    send(b"w", str(n).encode())
    head = b""
    while len(head) < 4: head += os.read(0, 4 - len(head))
    assert head[:2] == b"\\x01i", head
    left = int.from_bytes(head[2:], "little"); data = b""
    while len(data) < left: data += os.read(0, left - len(data))
    return data
'''


class DemuxTest(unittest.TestCase):
    def test_any_split_gives_the_same(self) -> None:
        stream = b"log\r\n" + frame(b"o", b"out\x01put") + b"more " + frame(b"e", b"") + frame(b"x", b"7") + b"\x01?end"
        for cut in range(len(stream)):
            demux, got = Demux(), {"": b"", "o": b"", "e": b"", "x": b""}
            for part in (stream[:cut], stream[cut:]):
                for letter, payload in demux.feed(part):
                    got[letter] += payload
            self.assertEqual(got, {"": b"log\r\nmore \x01?end", "o": b"out\x01put", "e": b"", "x": b"7"})


class SessionTest(unittest.TestCase):
    def play(self, script: str, data: bytes | None = None, timeout_s: float = 20):
        written = {"o": b"", "e": b""}
        def on_output(letter: str, payload: bytes) -> None:
            written[letter] += payload
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as file:
            file.write(data or b"")
            file.seek(0)
            session = Session([sys.executable, "-c", GUEST + script], Path(folder) / "log",
                              None if data is None else file.fileno(), on_output, timeout_s)
            return session.run(), written["o"], written["e"]

    def test_status_streams_and_log(self) -> None:
        result, out, err = self.play('print("boot", flush=True); send(b"o", b"1\\x01\\n"); send(b"e", b"2"); send(b"x", b"7")')
        self.assertEqual((result.end, result.status, out, err, result.log), ("status", 7, b"1\x01\n", b"2", b"boot\n"))

    def test_input_is_handed_over_only_when_asked_for(self) -> None:
        data = os.urandom(10000)
        result, out, _ = self.play('''
while True:
    data = ask(3000)
    if not data: break
    send(b"o", data)
send(b"x", b"0")''', data)
        self.assertEqual((result.status, out), (0, data))

    def test_no_input_is_end_of_file(self) -> None:
        self.assertEqual(self.play('send(b"o", b"<" + ask(10) + b">"); send(b"x", b"0")')[1], b"<>")

    def test_panic(self) -> None:
        result, *_ = self.play('print("a\\npanic: test: 1\\n  f+0x1", flush=True); time.sleep(60)')
        self.assertEqual((result.end, result.status), ("panic", 125))
        self.assertTrue(result.panic_text().startswith("panic: test: 1\n  f+0x1"))

    def test_panic_wins_over_a_status(self) -> None:
        self.assertEqual(self.play('send(b"x", b"0"); print("panic: late", flush=True)')[0].end, "panic")

    def test_time_out(self) -> None:
        result, *_ = self.play('print("spins", flush=True); time.sleep(60)', timeout_s=1)
        self.assertEqual((result.end, result.status), ("timeout", 124))

    def test_death_without_a_status(self) -> None:
        result, *_ = self.play('print("gone", flush=True)')
        self.assertEqual((result.end, result.status, result.log_tail()), ("died", 125, "gone"))


if __name__ == "__main__":
    unittest.main()
