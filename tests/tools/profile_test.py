# SPDX-License-Identifier: MIT
"""Profiles: standard error taken apart, names from ELF files in an archive, folding, and the page."""

import json
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from cloudos import cpio, flame, profile

SOURCE = "int busy(int n) { while (n) n--; return n; } int main(void) { return busy(9); }"


class SessionTest(unittest.TestCase):
    def test_any_split_gives_the_same(self) -> None:
        session = profile.Session(["true"])
        stream = f"pro profile- {session.mark[:20]}x{session.mark}a;b 1\n{session.mark}end".encode()
        for cut in range(len(stream)):
            session.parts, session.shown = [bytearray()], 0
            own = session.filter(stream[:cut]) + session.filter(stream[cut:])
            self.assertEqual(own.decode(), f"pro profile- {session.mark[:20]}xend")
            self.assertEqual(session.text(), "a;b 1\n")

    def test_no_marks_no_profile(self) -> None:
        session = profile.Session(["true"])
        self.assertEqual(session.filter(b"error\n"), b"error\n")
        self.assertIsNone(session.text())


class NamesTest(unittest.TestCase):
    def build(self, *options: str) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "program"
            subprocess.run(["gcc", "-xc", "-O0", *options, "-o", target, "-"], input=SOURCE.encode(), check=True)
            listed = subprocess.run(["nm", target], capture_output=True, text=True).stdout
            self.address = next((int(line.split()[0], 16) for line in listed.splitlines() if line.endswith(" busy")), 0)
            return target.read_bytes()

    def name(self, data: bytes, offset: int) -> str:
        archive = cpio.Archive()
        archive.file("bin/other", b"no ELF file")
        archive.file("bin/program", data)
        return profile.symboliser(archive.bytes() + cpio.Archive().bytes())(f"/bin/program+{offset:#x}")

    def test_functions_of_position_independent_and_of_static_programs(self) -> None:
        for options in (("-pie",), ("-static",)):
            data = self.build(*options)
            for first, at, size in profile.Symbols("/bin/program", data).loads:
                if at <= self.address < at + size:
                    self.assertEqual(self.name(data, self.address - at + first + 3), "busy")

    def test_what_has_no_function_has_the_files_name(self) -> None:
        self.assertEqual(self.name(self.build("-s", "-pie"), 1), "[program]")
        self.assertEqual(profile.symboliser(cpio.Archive().bytes())("/bin/other+0x10"), "[other]")
        self.assertEqual(profile.symboliser(b"")("read_[k]"), "read_[k]")


class FoldTest(unittest.TestCase):
    def test_stacks_that_are_equal_by_name_are_one(self) -> None:
        stacks = profile.fold("a b;/x+0x1;k_[k] 2\na b;/x+0x2;k_[k] 3\n[lost] 4\nnonsense\n", lambda frame: frame.split("+")[0])
        self.assertEqual(dict(stacks), {("a b", "/x", "k_[k]"): 5, ("[lost]",): 4})
        self.assertEqual(profile.folded(stacks), "[lost] 4\na b;/x;k_[k] 5\n")

    def test_page_holds_the_stacks_and_nothing_from_elsewhere(self) -> None:
        page = flame.page(profile.fold("</script>;@TITLE@ 7\n", str), "<b>&@NAMES@")
        self.assertEqual(json.loads(re.search(r"NAMES=(\[.*?\]);", page)[1]), ["</script>", "@TITLE@"])
        self.assertEqual(json.loads(re.search(r"STACKS=(\[.*?\]),NAMES", page)[1]), [[7, [0, 1]]])
        self.assertEqual(page.count("</script>"), 1)
        self.assertIn("<h1>&lt;b&gt;&amp;@NAMES@</h1>", page)
        self.assertNotIn(":/" + "/", page)


if __name__ == "__main__":
    unittest.main()
