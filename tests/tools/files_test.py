# SPDX-License-Identifier: MIT
"""Archives and tables that the tools write, against the programs that read them elsewhere."""

import subprocess
import tempfile
import unittest
from pathlib import Path

from cloudos import initramfs
from cloudos.cpio import Archive
from cloudos.ui import Failure


class ArchiveTest(unittest.TestCase):
    def test_same_content_gives_the_same_bytes(self) -> None:
        def make() -> bytes:
            archive = Archive()
            archive.file("a/b/c", b"x" * 5, 0o751)
            archive.link("a/l", "b/c")
            return archive.bytes()
        self.assertEqual(make(), make())
        self.assertEqual(len(make()) % 512, 0)

    def test_folders_come_before_what_is_in_them(self) -> None:
        archive = Archive()
        archive.file("a/b/c", b"")
        archive.file("a/b/d", b"")
        body = archive.bytes()
        self.assertLess(body.index(b"a\0"), body.index(b"a/b\0"))
        self.assertEqual(body.count(b"a/b\0"), 1)

    def test_entry_layout(self) -> None:
        archive = Archive()
        archive.file("f", b"hello", 0o640)
        body = archive.bytes()
        self.assertEqual(body[:6], b"070701")
        self.assertEqual(int(body[14:22], 16), 0o100640)
        self.assertEqual(int(body[54:62], 16), 5)
        self.assertEqual(body[112:117], b"hello")

    def test_add_keeps_modes_of_a_whole_folder(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            top = Path(folder) / "top"
            (top / "in").mkdir(parents=True)
            (top / "in" / "run").write_text("#!/bin/sh\n")
            (top / "in" / "run").chmod(0o711)
            (top / "link").symlink_to("in/run")
            archive = Archive()
            archive.add(top, "/opt/top")
            body = archive.bytes()
        self.assertIn(b"opt/top/in/run\0", body)
        self.assertIn(b"%08X" % 0o100711, body)

    def test_add_wants_two_paths(self) -> None:
        for text in ("nothing", "/etc/hostname", "/etc/hostname:relative", "/no/such/file:/x"):
            with self.assertRaises(Failure):
                initramfs.parse_add(text)


class SymbolTest(unittest.TestCase):
    def test_table_is_what_nm_says(self) -> None:
        tool = Path(__file__).resolve().parents[2] / "tools" / "ksyms.py"
        with tempfile.TemporaryDirectory() as folder:
            fake = Path(folder) / "nm"
            fake.write_text("#!/bin/sh\ncat <<END\n0000000000000ff0 t before\n0000000000001000 T _text\n"
                            "0000000000001010 t local\n0000000000001010 T global\n0000000000001020 D data\nEND\n")
            fake.chmod(0o755)
            subprocess.run([tool, "--nm", fake, "--image", "x", "--output", f"{folder}/out"], check=True)
            text = (Path(folder) / "out").read_text()
        self.assertIn(".long 1\n", text)
        self.assertIn('.asciz "global"', text)
        self.assertIn(".long 0x10\n", text)


if __name__ == "__main__":
    unittest.main()
