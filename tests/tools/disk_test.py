# SPDX-License-Identifier: MIT
"""Boot disks: what is made once is made once, also when two boots ask at the same moment."""

import tempfile
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

from cloudos import disk


class GrubTest(unittest.TestCase):
    def test_two_boots_side_by_side_share_one_core_image(self) -> None:
        made = []

        def slow_mkimage(command: list[str]) -> None:
            made.append(command)
            time.sleep(0.05)
            Path(command[command.index("-o") + 1]).write_bytes(b"core")

        got = []
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(disk, "BUILD", Path(folder)), \
                mock.patch.object(disk, "_tool", slow_mkimage):
            def ask() -> None:
                got.append(disk._grub("x86_64", "x86_64-efi", ["fat"], "configfile\n"))
            threads = [threading.Thread(target=ask) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertEqual(got, [b"core"] * 4)
        self.assertEqual(len(made), 1)


if __name__ == "__main__":
    unittest.main()
